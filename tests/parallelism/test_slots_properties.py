"""Whatever is lost, repeated or late: the cap holds, no pod waits for ever, and no slot leaks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from execution_options.parallelism.slots import Pod, Slots

ANSWERS = ("done", "done", "lost", "lost late", "refused", "busy")


@dataclass(frozen=True)
class Stored:
    """A pod in the API server."""

    pod: Pod
    born_gated: bool


class Execution(RuleBasedStateMachine):
    """An API server, a network that loses and delays messages, and a controller that releases pods."""

    def __init__(self) -> None:
        super().__init__()
        self.server: dict[str, Stored] = {}
        self.events: deque[tuple[str, Pod | None]] = deque()
        self.seen: list[tuple[str, Pod | None]] = []
        self.under_way: list[str] = []
        """Releases that were sent and may still take effect."""
        self.unanswered: list[str] = []
        """Those of them that the controller still expects an answer for."""
        self.parked: list[str] = []
        self.to_verify: list[str] = []
        """Pods whose release must be verified."""
        self.count = 0
        self.slots = Slots(1)

    @initialize(cap=st.integers(1, 4))
    def start(self, cap: int) -> None:
        self.slots = Slots(cap)

    # The cluster.

    def change(self, uid: str, pod: Pod | None) -> None:
        if pod is None:
            del self.server[uid]
        else:
            self.server[uid] = replace(self.server[uid], pod=pod)
        self.events.append((uid, pod))

    @rule(
        number=st.integers(1, 4),
        priority=st.integers(0, 1),
        kind=st.sampled_from(["gated", "gated", "gated", "held", "missed"]),
    )
    def arrive(self, number: int, priority: int, kind: str) -> None:
        for _ in range(number):
            uid = f"p{self.count:03}"
            self.count += 1
            gated, held = kind != "missed", kind == "held"
            pod = Pod(uid, "team", uid, f"{self.count // 3:04}", priority, gated, held)
            self.server[uid] = Stored(pod, gated)
            self.events.append((uid, pod))
        self.deliver("all")

    @precondition(lambda self: self.server)
    @rule(data=st.data(), waiting=st.booleans())
    def end_or_delete(self, data: st.DataObject, waiting: bool) -> None:
        uids = [uid for uid, one in self.server.items() if one.pod.gated is waiting]
        if uids:
            self.change(data.draw(st.sampled_from(uids)), None)

    @rule()
    def others_let_go(self) -> None:
        for uid, one in list(self.server.items()):
            if one.pod.held_otherwise:
                self.change(uid, structs.replace(one.pod, held_otherwise=False))

    @rule(cap=st.sampled_from([1, 2, 3, 5, 0, None]))
    def edit(self, cap: int | None) -> None:
        self.slots.cap = cap
        self.send()

    # Events that reach the controller.

    @rule(what=st.sampled_from(["all", "all", "next", "again", "nothing", "list"]))
    def deliver(self, what: str) -> None:
        if what == "list":
            self.relist()
        elif what == "again":
            for uid, pod in self.seen:
                # The store never repeats an event of a pod after it saw the pod's deletion.
                if pod is not None and self.slots.get(uid) is not None:
                    self.observe(uid, pod)
        elif what == "nothing" and self.events:
            self.events.popleft()
        for _ in range({"all": len(self.events), "next": min(1, len(self.events))}.get(what, 0)):
            event = self.events.popleft()
            self.seen.append(event)
            self.observe(*event)
        self.send()

    def observe(self, uid: str, pod: Pod | None) -> None:
        if pod is None:
            self.slots.remove(uid)
        else:
            self.slots.put(pod)

    def relist(self) -> None:
        self.events.clear()
        self.seen.clear()
        for pod in list(self.slots.pods()):
            if pod.uid not in self.server:
                self.slots.remove(pod.uid)
        for one in self.server.values():
            self.slots.put(one.pod)

    # What the controller does.

    def send(self) -> None:
        """Send all releases that are possible."""
        while (pod := self.slots.next()) is not None:
            if self.slots.must_verify(pod.uid):
                self.to_verify.append(pod.uid)
                continue
            self.under_way.append(pod.uid)
            self.unanswered.append(pod.uid)
            released = {uid for uid, one in self.server.items() if one.born_gated and not one.pod.gated}
            coming = {uid for uid in self.under_way if uid in self.server}
            assert self.slots.cap is None or len(released | coming) <= self.slots.cap

    def carry_out(self, uid: str) -> None:
        self.under_way.remove(uid)
        one = self.server.get(uid)
        if one is not None and one.pod.gated and not one.pod.held_otherwise:
            self.change(uid, structs.replace(one.pod, gated=False))

    @rule(answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4))
    def answer(self, answers: list[str]) -> None:
        for answer in answers[: len(self.unanswered)]:
            uid = self.unanswered.pop(0)
            if answer in ("refused", "busy"):
                self.under_way.remove(uid)
                if answer == "busy":
                    self.slots.repeat(uid)
                else:
                    self.refused(uid)
                continue
            if answer != "lost late":
                self.carry_out(uid)
            if answer == "done":
                self.read(uid)
            else:
                self.slots.doubt(uid)
                self.slots.repeat(uid)
        self.send()

    def refused(self, uid: str) -> None:
        if self.slots.refuse(uid):
            self.parked.append(uid)
        else:
            self.slots.repeat(uid)

    def read(self, uid: str) -> None:
        """Read the pod after an answer."""
        one = self.server.get(uid)
        if one is None:
            self.slots.remove(uid)
            return
        self.slots.put(one.pod)
        if one.pod.gated and self.slots.refuse(uid):
            self.parked.append(uid)

    @precondition(lambda self: len(self.under_way) > len(self.unanswered))
    @rule()
    def carry_out_late(self) -> None:
        late = [uid for uid in self.under_way if self.under_way.count(uid) > self.unanswered.count(uid)]
        self.carry_out(late[0])

    @precondition(lambda self: self.to_verify)
    @rule(carried_out=st.booleans())
    def ask(self, carried_out: bool) -> None:
        """Verify a release when no earlier request can still take effect."""
        uid = self.to_verify.pop(0)
        while uid in self.under_way:
            if carried_out:
                self.carry_out(uid)
            else:
                self.under_way.remove(uid)
        one = self.server.get(uid)
        if one is None:
            self.slots.remove(uid)
        else:
            self.slots.put(one.pod)
            if one.pod.gated:
                self.slots.requeue(uid)
        self.send()

    @rule()
    def belong_to_another(self) -> None:
        """Move all pods to another execution."""
        before, self.slots = self.slots, Slots(self.slots.cap)
        for pod in list(before.pods()):
            self.slots.take(pod, before)
        assert (len(before), before.used, before.waiting) == (0, 0, 0)
        self.send()

    @rule()
    def readmit(self) -> None:
        for uid in self.parked:
            self.slots.readmit(uid)
        self.parked.clear()
        self.send()

    @rule()
    def crash(self) -> None:
        """Another controller takes over from a list, after the requests of the last one."""
        while self.under_way:
            self.carry_out(self.under_way[0])
        self.unanswered.clear()
        self.parked.clear()
        self.to_verify.clear()
        self.slots = Slots(self.slots.cap)
        self.relist()
        self.send()

    @invariant()
    def counts_add_up(self) -> None:
        users, line = [pod.uid for pod in self.slots.users()], [pod.uid for pod in self.slots.line()]
        assert not {*users} & {*line}
        assert (len(users), len(line)) == (self.slots.used, self.slots.waiting)
        assert len({*line}) == len(line)

    @invariant()
    def the_line_is_in_order(self) -> None:
        free = [pod for pod in self.slots.line() if not pod.held_otherwise and pod.uid not in self.parked]
        assert free == sorted(free, key=lambda pod: (-pod.priority, pod.created, pod.name))

    def teardown(self) -> None:
        """In the end, when nothing more is lost, every pod has had its turn."""
        if self.slots.cap == 0:
            self.slots.cap = 1
        for _ in range(3 * self.count + 3):
            self.others_let_go()
            while self.under_way:
                self.carry_out(self.under_way[0])
            self.unanswered.clear()
            self.relist()
            self.readmit()
            while self.to_verify:
                self.ask(carried_out=True)
            self.answer_all()
            for uid in [uid for uid, one in self.server.items() if not one.pod.gated]:
                self.change(uid, None)
        self.relist()
        assert self.server == {}
        assert (len(self.slots), self.slots.used, self.slots.waiting) == (0, 0, 0)

    def answer_all(self) -> None:
        for uid in list(self.under_way):
            self.carry_out(uid)
            self.read(uid)


TestExecution = Execution.TestCase
TestExecution.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
