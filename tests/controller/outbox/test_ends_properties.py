"""Each end is recorded once and nothing is held for ever, in whatever order things happen."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.keys import ExecutionKey
from execution_options.api.meta import PartialObject
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import (
    DELIVERY_PLURAL,
    ID_LABEL,
    NOTIFICATIONS_FINALIZER,
    NOTIFIED_ANNOTATION,
    OPTIONS_KIND,
    SNAPSHOT_ANNOTATION,
)
from execution_options.controller.cache.objects import PodObject, kind_of
from execution_options.controller.cache.tracker import tracked
from execution_options.controller.outbox.due import Due
from execution_options.controller.outbox.ends import EndKey, Ends
from execution_options.controller.outbox.outcomes import Outcomes
from execution_options.controller.outbox.refusals import Refusals
from execution_options.controller.runtime.conflicts import ConflictError, Shell
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import Pace
from execution_options.engines.profile import builtin
from execution_options.kube.client import ApiError
from execution_options.notifications.route import Channel, ChannelKey, Channels
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.snapshot import Snapshot, encode
from support.causes import NO_CAUSES, NO_LOGS
from support.fakes import Clock
from support.rfc6902 import apply

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache.objects import ExecutionObject
    from execution_options.controller.cache.tracker import Tracked
    from execution_options.outbox.compose import Composed

ENGINES = {engine.name: engine for engine in builtin()}
MAIL = msgspec.convert(
    {"default": True, "email": {"host": "mail.example.com", "from": "jobs@example.com"}}, NotificationChannelSpec
)
FOREIGN = "example.com/other"
GRACE = 30
Manifest = dict[str, Any]


class Point:
    """A moment at which anything else may happen, or the process may die."""

    def __await__(self) -> Generator[None]:
        yield


class Api:
    """One object of the API server and the deliveries beside it, with the server's rules for both.

    Attributes:
        stored: the object; ``None`` when it is gone.
        events: what a watch still has to tell: the type, and the object as it was then.
        deliveries: by name.
        told: the phases of all deliveries that were ever recorded.
        room: whether the annotations have room for the note.
        lose: how many of the next answers get lost on their way.
    """

    def __init__(self, stored: Manifest, *, room: bool) -> None:
        self.version = 1
        self.stored: Manifest | None = stored
        self.events: list[tuple[str, Manifest]] = []
        self.deliveries: dict[str, Composed] = {}
        self.told: list[str] = []
        self.room = room
        self.lose = 0

    def put(self, document: Manifest) -> None:
        """Store the object, or let it go where it is deleted and nothing holds it any more."""
        metadata = document["metadata"]
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        gone = "deletionTimestamp" in metadata and not metadata["finalizers"] and not metadata[GRACE_SECONDS]
        self.stored = None if gone else document
        self.events.append(("DELETED" if gone else "MODIFIED", copy.deepcopy(document)))

    async def get(self, path: str, **_: Any) -> bytes:
        await Point()
        if DELIVERY_PLURAL in path:
            if path.rpartition("/")[2] not in self.deliveries:
                raise ApiError(404, "NotFound", path)
            return self._answer({"metadata": {}})
        if self.stored is None:
            raise ApiError(404, "NotFound", path)
        return self._answer(self.stored)

    async def patch(self, path: str, operations: list[Manifest]) -> ObjectMeta:
        await Point()
        if self.stored is None:
            raise ApiError(404, "NotFound", path)
        try:
            changed = apply(self.stored, operations)
        except (AssertionError, LookupError) as error:
            raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request") from error
        before, after = self.stored["metadata"], changed["metadata"]
        phase = self.stored["status"].get("phase")  # of a pod
        assert phase is None or "deletionTimestamp" in before, "nobody writes to a pod that has ended"
        if not self.room and NOTIFIED_ANNOTATION in after["annotations"]:
            raise ApiError(422, "Invalid", "metadata.annotations: Too long: may not be more than 262144 bytes")
        if "deletionTimestamp" in before and set(after["finalizers"]) - set(before["finalizers"]):
            raise ApiError(422, "Invalid", "metadata.finalizers: Forbidden: no new finalizers can be added")
        self.put(changed)
        return msgspec.json.decode(self._answer(changed), type=PartialObject).metadata

    async def record(self, _namespace: str, composed: Composed) -> None:
        await Point()
        if composed.name not in self.deliveries:
            self.deliveries[composed.name] = composed
            self.told.append(composed.spec.phase)
        self._answer({})

    def _answer(self, document: Manifest) -> bytes:
        if self.lose:
            self.lose -= 1
            raise TimeoutError
        return msgspec.json.encode(document)


GRACE_SECONDS = "deletionGracePeriodSeconds"


class EndsOfOne(RuleBasedStateMachine):
    """One execution, from its creation to where nothing changes any more, and the controllers that follow it.

    A controller takes one step at a time, up to its next request; between any two steps everything else may happen,
    and it may die. It may be told of changes late, and where its watch broke, only of what has become of them.
    """

    @initialize(
        engine=st.sampled_from(["job", "pod"]),
        held=st.booleans(),
        foreign=st.booleans(),
        room=st.sampled_from([True, True, False]),
    )
    def create(
        self,
        engine: str,
        held: bool,
        foreign: bool,
        room: bool,
        phases: tuple[str, ...] = ("SUCCEEDED", "FAILED", "ABORTED"),
    ) -> None:
        told = [{"phases": list(phases), "email": {"recipients": ["a@b.c"]}}]
        spec = {"notifications": told} | ({"notificationGuarantee": "Held"} if held else {})
        source = Source(Level.NAMESPACE_DEFAULT, OPTIONS_KIND, "o", "o1", 1)
        layer = Layer(source, msgspec.convert(spec, ExecutionOptionsSpec))
        snapshot = Snapshot(id="0123456789abcdef", layers=(layer,))
        self.engine, self.held = ENGINES[engine], held
        self.channel = "mail"
        self.key = ExecutionKey(engine, "team", "train")
        self.end = EndKey(*self.key, "u1")
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        metadata = {
            "name": "train",
            "namespace": "team",
            "uid": "u1",
            "resourceVersion": "1",
            "creationTimestamp": self._time(),
            "labels": {ID_LABEL: snapshot.id},
            "annotations": {SNAPSHOT_ANNOTATION: encode(snapshot)},
            "finalizers": [FOREIGN] * foreign + [NOTIFICATIONS_FINALIZER] * held,
        }
        self.api = Api({"metadata": metadata, "status": {}}, room=room)
        self.ends_seen: list[str] = []
        """Phases in which it truly ended, in their order."""
        self.late: list[str] = []
        """How it ended while it was being deleted: told where no controller has seen it before that."""
        self.unseen = False
        """Whether it vanished, or ended again, where no controller could have seen what it was before."""
        self._start()

    # The controller.

    def _start(self) -> None:
        """A controller takes over: it lists, and knows nothing of what its predecessor knew."""
        programs = SimpleNamespace(of=lambda _: None, are_complete=lambda _: True)
        world = cast("Any", SimpleNamespace(engines=ENGINES, programs=programs, causes=NO_CAUSES))
        index = cast("Any", SimpleNamespace(get=lambda _: None, of_uid=lambda _: None))
        channels = Channels([Channel(ChannelKey("team", self.channel), MAIL)], "team", {}, "system")
        directory = cast("Any", SimpleNamespace(channels=lambda _: channels))
        recorder, queue = cast("Any", SimpleNamespace(post_on=lambda *_: None)), cast("Any", self)
        metrics, api = Metrics(), cast("Any", self.api)
        shell = Shell(api, api, Pace(1e6), metrics)
        self.clock = Clock()
        refusals = Refusals(index, recorder, metrics, lambda _: None)
        self.ends = Ends(
            world,
            Due(index, directory, NO_CAUSES, "", NO_LOGS),
            shell,
            api,
            refusals,
            Outcomes(index, recorder, lambda _: None),
            self.clock,
        )
        completed = [note for one in self.api.deliveries.values() if (note := one.spec.completes)]
        self.ends.recall(dict.fromkeys(["u1"], completed[-1]) if completed else {})
        self.ends.queue = queue
        self.ends.active = True
        self.due: float | None = None
        self.work: Coroutine[None, None, float | None] | None = None
        self.seen: ExecutionObject | None = None
        self._list()

    def add(self, _: EndKey, after: float = 0.0) -> None:
        """Have it looked at: what the queue does."""
        at = self.clock() + after
        self.due = at if self.due is None else min(self.due, at)

    def _list(self) -> None:
        self.unseen |= self.api.stored is None or len(self.api.events) > 1
        self.api.events.clear()
        before, self.seen = self.seen, None
        if self.api.stored is not None:
            self._tell(self.api.stored)
        elif before is not None:
            self.ends.changed(self.key, before, None, self._record(before))

    def _tell(self, document: Manifest) -> None:
        before, self.seen = self.seen, self._decoded(document)
        self.ends.changed(self.key, before, self.seen, self._record(self.seen))

    def _decoded(self, document: Manifest) -> ExecutionObject:
        item: ExecutionObject = msgspec.json.decode(msgspec.json.encode(document), type=kind_of(self.engine))
        if isinstance(item, PodObject):
            item.judge(self.engine)
        return item

    def _record(self, item: ExecutionObject) -> Tracked:
        return tracked(item)

    @rule()
    def hears(self) -> None:
        if not self.api.events:
            return
        kind, document = self.api.events.pop(0)
        if kind == "MODIFIED":
            self._tell(document)
            return
        last = self._decoded(document)
        before, self.seen = self.seen, None
        self.ends.deleted(self.key, last, self._record(last))
        self.ends.changed(self.key, before or last, None, self._record(last))

    @rule()
    def watch_breaks(self) -> None:
        self._list()

    @rule(times=st.integers(1, 4))
    def works(self, times: int) -> None:
        for _ in range(times):
            if self.work is None:
                if self.due is None or self.due > self.clock():
                    return
                self.due = None
                self.work = self.ends.reconcile(self.end)
            try:
                self.work.send(None)
            except StopIteration as done:
                self.work = None
                if done.value is not None:
                    self.add(self.end, done.value)
            except (ApiError, ConflictError, TimeoutError):
                self.work = None
                self.add(self.end, 1.0)

    @rule()
    def dies(self) -> None:
        if self.work is not None:
            self.work.close()
        self._start()

    @rule()
    def another_channel_becomes_the_default(self) -> None:
        """While no controller works: deliveries that are recorded anew would have other names."""
        if self.engine.is_pod:
            self.channel += "i"
            self.dies()

    @rule()
    def deliveries_are_cleaned(self) -> None:
        """All that `Cleaning` would remove once they are old enough, which takes much longer than to try again."""
        stored = self.api.stored
        if stored is None and (self.due is not None or self.work is not None):
            return
        if stored is None or NOTIFIED_ANNOTATION in stored["metadata"]["annotations"]:
            self.api.deliveries.clear()

    @rule()
    def an_answer_gets_lost(self) -> None:
        self.api.lose = 1

    # What others do.

    def _time(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _change(self, **status: Any) -> None:
        assert self.api.stored is not None
        self.api.put({**copy.deepcopy(self.api.stored), **({"status": status} if status else {})})

    def _is(self, *, ended: bool | None = None, deleted: bool | None = None) -> bool:
        stored = self.api.stored
        if stored is None:
            return False
        now = self._decoded(stored)
        return ended in (None, now.finished) and deleted in (None, now.metadata.deletion_timestamp is not None)

    @rule(seconds=st.sampled_from([1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self._is())
    @rule()
    def somebody_writes(self) -> None:
        self._change()

    @precondition(lambda self: self._is(ended=False))
    @rule(well=st.booleans())
    def ends_by_itself(self, well: bool) -> None:
        at = self._time()
        phase = "SUCCEEDED" if well else "FAILED"
        if self._is(deleted=True):
            self.late = [phase]
        else:
            self.ends_seen.append(phase)
        if self.engine.is_pod:
            statuses = [{"state": {"terminated": {"finishedAt": at}}}]
            self._change(phase="Succeeded" if well else "Failed", containerStatuses=statuses)
        else:
            said = {"type": "Complete" if well else "Failed", "status": "True", "lastTransitionTime": at}
            self._change(conditions=[said])

    @precondition(lambda self: not self.engine.is_pod and self._is(ended=True, deleted=False))
    @rule()
    def is_tried_again(self) -> None:
        self.unseen |= self.seen is None or self.seen.metadata.resource_version != str(self.api.version)
        self.unseen |= self.due is not None or self.work is not None
        self._change(startTime=self._time())

    @precondition(lambda self: self._is(deleted=False))
    @rule()
    def is_deleted(self) -> None:
        assert self.api.stored is not None
        if self._is(ended=False):
            self.ends_seen.append("ABORTED")
        document = copy.deepcopy(self.api.stored)
        grace = GRACE if self.engine.is_pod and self._is(ended=False) else 0
        if not grace and not document["metadata"]["finalizers"]:
            # Without grace and finalizers an object goes as it is: one that was let go at its end, and began again
            # before anybody held it anew, is not held.
            self.held = False
            self.api.version += 1
            document["metadata"]["resourceVersion"] = str(self.api.version)
            self.api.stored = None
            self.api.events.append(("DELETED", document))
            return
        self._time()
        at = (self.now + timedelta(seconds=grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
        document["metadata"] |= {"deletionTimestamp": at, GRACE_SECONDS: grace}
        self.api.put(document)

    @precondition(lambda self: self._is(deleted=True))
    @rule()
    def what_held_it_besides_us_lets_go(self) -> None:
        """Others take their finalizers off, and a kubelet has stopped the containers, or will not any more."""
        assert self.api.stored is not None
        document = copy.deepcopy(self.api.stored)
        metadata = document["metadata"]
        metadata["finalizers"] = [name for name in metadata["finalizers"] if name != FOREIGN]
        if metadata[GRACE_SECONDS]:
            # The API server moves the time of the deletion back by the grace period that is not waited for.
            asked = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=GRACE)
            metadata |= {"deletionTimestamp": asked.strftime("%Y-%m-%dT%H:%M:%SZ"), GRACE_SECONDS: 0}
        self.api.put(document)

    def teardown(self) -> None:
        if not hasattr(self, "api"):
            return
        self.api.lose = 0
        if self._is(deleted=True):
            self.what_held_it_besides_us_lets_go()
        for _ in range(50):
            self.hears()
            self.works(9)
            self.clock.now += 5.0
        told, truth = self.api.told, self.ends_seen
        if self.late and told[-1:] == self.late:
            truth = truth[:-1] + self.late
        assert not self._is(deleted=True), "nothing is left in Terminating"
        if self.unseen and (not self.held or self._is(ended=False)):
            assert len(told) <= len(truth), "nothing is told twice"
            return
        if self.unseen:
            # Of several ends that nobody could tell apart the last one counts.
            assert told[-1:] == truth[-1:]
            assert len(told) <= len(truth)
        else:
            assert told == truth
        if self.api.stored is not None:
            note = self.api.stored["metadata"]["annotations"].get(NOTIFIED_ANNOTATION, "")
            ended = self._is(ended=True)
            assert not ended or self.engine.is_pod or note.startswith(truth[-1]) or not self.api.room
            let_go = ended and not self.engine.is_pod
            assert (NOTIFICATIONS_FINALIZER in self.api.stored["metadata"]["finalizers"]) is (self.held and not let_go)


TestEndsOfOne = EndsOfOne.TestCase
TestEndsOfOne.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


def test_a_pod_that_only_leaves_what_is_followed_has_not_ended() -> None:
    """Somebody takes its label away: a watch by labels calls that a deletion."""
    run = EndsOfOne()
    run.create("pod", held=False, foreign=False, room=True)
    assert run.api.stored is not None
    run.api.events.append(("DELETED", copy.deepcopy(run.api.stored)))
    run.unseen = True
    run.teardown()
    assert run.api.told == []


def test_an_execution_that_vanished_unseen_is_not_told_of_as_anything() -> None:
    run = EndsOfOne()
    run.create("job", held=False, foreign=False, room=True)
    run.ends_by_itself(well=True)
    run.is_deleted()
    run.watch_breaks()
    run.teardown()
    assert run.api.told == []


def test_a_deletion_that_nobody_is_to_hear_of_is_no_failure_either() -> None:
    """The containers of a pod are killed when it is deleted."""
    run = EndsOfOne()
    run.create("pod", held=True, foreign=False, room=True, phases=("FAILED",))
    run.is_deleted()
    run.hears()
    run.works(9)
    run.ends_by_itself(well=False)
    run.ends_seen, run.late = [], []
    run.teardown()
    assert run.api.told == []


def test_an_execution_that_began_again_and_went_before_anybody_held_it_anew_is_told_of_once() -> None:
    run = EndsOfOne()
    run.create("job", held=True, foreign=False, room=True)
    run.ends_by_itself(well=False)
    run.dies()
    run.works(times=3)
    run.is_tried_again()
    run.is_deleted()
    run.dies()
    run.teardown()
    assert run.api.told == ["FAILED"]
