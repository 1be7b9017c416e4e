"""Pods are assigned to their executions in whatever order executions, their parts and pods are seen."""

from __future__ import annotations

import gc
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from execution_options.api.keys import ExecutionKey, GroupKey
from execution_options.controller.cache.objects import followed
from execution_options.engines.registry import builtin_engines
from support.board import NAMESPACE, Cluster, pod
from support.podapi import KIND, TEAM, PodApi, Watcher, bare, options_document, owned

if TYPE_CHECKING:
    from execution_options.controller.cache.objects import EngineObject


EXECUTIONS = ("a", "bb")
PARTS = {f"{name}.{part}": owner for name in EXECUTIONS for part, owner in (("1", name), ("2", f"{name}.1"))}
OWNERS = (*EXECUTIONS, *PARTS)
EVENTS = st.one_of(
    st.tuples(st.just("execution"), st.sampled_from(EXECUTIONS), st.booleans()),
    st.tuples(st.just("part"), st.sampled_from(list(PARTS)), st.booleans()),
    st.tuples(st.just("pod"), st.sampled_from(OWNERS), st.sampled_from(["there", "there", "ended", "gone"])),
    st.tuples(st.just("bare"), st.tuples(st.sampled_from("gh"), st.integers(1, 3)), st.booleans()),
)


@given(st.lists(EVENTS, max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_board_does_not_depend_on_the_order_of_events(history: list[tuple[str, Any, Any]]) -> None:
    cluster = Cluster()
    for what, which, how in history:
        if what == "execution":
            cluster.execution(which, there=how)
        elif what == "part":
            cluster.part(which, PARTS[which], there=how)
        elif what == "bare":
            group, cap = which
            name = f"{group}{cap}"
            cluster.pod(name, pod(name, group=group, cap=cap) if how else None)
        else:
            name = f"pod of {which}"
            phase: dict[str, Any] = {"status": {"phase": "Succeeded"}} if how == "ended" else {}
            identifier = f"id-{which.split('.')[0]}"
            cluster.pod(name, None if how == "gone" else pod(name, owner=which, identifier=identifier, **phase))
        assert cluster.shown() == cluster.again().shown()


def test_a_group_of_bare_pods_has_their_lowest_limit() -> None:
    cluster = Cluster()
    for cap in (3, 2, 5):
        cluster.pod(f"p{cap}", pod(f"p{cap}", group="g", cap=cap))
    assert cluster.shown() == {GroupKey("pod", NAMESPACE, "g"): ({"p3", "p2", "p5"}, 2)}
    cluster.pod("p2", None)
    assert cluster.shown()[GroupKey("pod", NAMESPACE, "g")][1] == 3


def test_an_edit_that_reached_a_bare_pod_applies_even_if_a_later_one_does_not() -> None:
    """The limit of options ``o`` is 4, then 1, and then an edit applies to later executions only."""
    watcher = Watcher(PodApi())
    for number in range(6):
        bare(watcher.api, f"p{number}", "g", 4, 2, "gated")
    watcher.options("o", 4, 2)
    watcher.watch()
    group = watcher.board.groups[GroupKey("pod", TEAM, "g")]
    watcher.options("o", 1, 3)
    assert group.slots.cap == 1
    edit = {"kind": KIND, "name": "o", "uid": "o", "generation": 3, "spec": {"maxParallelism": 1}}
    for one in watcher.api.pods.values():
        one["metadata"]["annotations"]["execution.dev/live"] = msgspec.json.encode({"layers": [edit]}).decode()
    watcher.watch()
    later = options_document("o", 9, 4)
    later["spec"]["updatePolicy"] = "NextExecution"
    watcher.index.hand(KIND, later)
    watcher.board.options_changed("o")
    assert group.slots.cap == 1
    assert len(group.declared) == 1


def test_an_edit_gives_no_first_limit() -> None:
    watcher = Watcher(PodApi())
    watcher.options("o", 1, 2)
    # A label from somebody else, or from another version of the operator, holds nothing back.
    watcher.run("run", None)
    owned(watcher.api, "p", "run", labels={"execution.dev/max-parallelism": "gated"})
    bare(watcher.api, "q", "g", None, 1, "gated")
    watcher.watch()
    for key in (GroupKey("tekton-pipelinerun", TEAM, "run"), GroupKey("pod", TEAM, "g")):
        slots = watcher.board.groups[key].slots
        assert slots.cap is None
        assert slots.next() is not None


def test_a_limit_that_is_lifted_can_be_set_again() -> None:
    watcher = Watcher(PodApi())
    watcher.options("o", 2, 1)
    watcher.run("run", 2)
    for name in ("a", "b", "c"):
        owned(watcher.api, name, "run", labels={"execution.dev/max-parallelism": "gated"})
    watcher.watch()
    slots = watcher.board.groups[GroupKey("tekton-pipelinerun", TEAM, "run")].slots
    for generation, cap in ((2, None), (3, 0), (4, 1), (5, 3)):
        watcher.options("o", cap, generation)
        assert slots.cap == (cap or None)


def test_the_snapshot_of_a_pod_without_an_identifier_is_ignored() -> None:
    """The operator writes the identifier with the snapshot, and the API server allows nobody else to."""
    cluster = Cluster()
    cluster.pod("real", pod("real", group="g", cap=2))
    cluster.pod(
        "forged",
        pod("forged", group="g", cap=1, labels={"execution.dev/max-parallelism": "gated", "execution.dev/id": ""}),
    )
    shown = cluster.shown()
    assert shown.pop(GroupKey("pod", NAMESPACE, "g")) == ({"real"}, 2)
    assert list(shown.values()) == [({"forged"}, None)]


def test_an_owner_in_another_namespace_takes_none_of_its_slots() -> None:
    cluster = Cluster()
    cluster.execution("a", there=True)
    foreign = pod("p", owner="a", identifier="id-of-another", namespace="elsewhere")
    cluster.pod("p", foreign)
    assert cluster.shown() == {GroupKey("", "elsewhere", "id-of-another"): ({"p"}, None)}


def test_no_pod_is_released_while_its_engine_is_gone_or_replaced() -> None:
    cluster = Cluster()
    cluster.execution("bb", there=True)
    for number in range(4):
        cluster.pod(f"p{number}", pod(f"p{number}", owner="bb", identifier="id-bb"))
    group = cluster.board.groups[GroupKey("tekton-pipelinerun", NAMESPACE, "bb")]
    assert (group.slots.next(), group.slots.next(), group.slots.next())[2] is None
    cluster.execution("bb", there=False)
    unknown = cluster.board.groups[GroupKey("", NAMESPACE, "id-bb")].slots
    assert (unknown.used, unknown.waiting, unknown.next()) == (2, 2, None)
    cluster.execution("bb", there=True)
    again = cluster.board.groups[GroupKey("tekton-pipelinerun", NAMESPACE, "bb")].slots
    assert (again.used, again.waiting, again.next()) == (2, 2, None)


def test_no_pod_is_released_while_its_engine_is_gone_and_another_has_its_parts() -> None:
    cluster = Cluster()
    cluster.execution("bb", there=True)
    cluster.part("bb.1", "bb", there=True)
    for number in range(4):
        cluster.pod(f"p{number}", pod(f"p{number}", owner="bb.1", identifier="id-bb"))
    slots = cluster.board.groups[GroupKey("tekton-pipelinerun", NAMESPACE, "bb")].slots
    assert (slots.next(), slots.next(), slots.next())[2] is None
    # It is now an execution itself, without options, although it has the label of the execution that made it.
    task = ExecutionKey("tekton-taskrun", NAMESPACE, "bb.1")
    metadata = {"name": "bb.1", "namespace": NAMESPACE, "uid": "bb.1", "labels": {"execution.dev/id": "id-bb"}}
    item: EngineObject = msgspec.convert({"metadata": metadata}, followed(builtin_engines()["tekton-taskrun"]))
    cluster.executions["bb.1"] = item
    cluster.tracker.put(task, item)
    cluster.board.execution_changed(task, "bb.1", "id-bb")
    cluster.execution("bb", there=False)
    unknown = cluster.board.groups[GroupKey("", NAMESPACE, "id-bb")].slots
    assert (unknown.used, unknown.waiting, unknown.next()) == (2, 2, None)
    cluster.tracker.put(task, None)
    cluster.execution("bb", there=True)
    again = cluster.board.groups[GroupKey("tekton-pipelinerun", NAMESPACE, "bb")].slots
    assert (again.used, again.waiting, again.next()) == (2, 2, None)


def test_an_unanswered_release_stays_doubtful_when_the_pod_moves() -> None:
    cluster = Cluster()
    cluster.pod("p", pod("p", owner="bb", identifier="id-bb"))
    cluster.board.abandon(GroupKey("", NAMESPACE, "id-bb"))
    slots = cluster.board.slots_of("uid of p")
    assert slots is not None
    assert slots.next() is not None
    slots.doubt("uid of p")
    slots.repeat("uid of p")
    cluster.execution("bb", there=True)
    now = cluster.board.groups[GroupKey("tekton-pipelinerun", NAMESPACE, "bb")].slots
    assert not now.refuse("uid of p"), "it may run already"
    assert now.next() is not None, "it is repeated"


def test_a_pod_of_kueues_takes_no_slot_and_is_reported_once() -> None:
    cluster = Cluster()
    events: list[tuple[str, object]] = []
    listener: Any = SimpleNamespace(
        to_be_left=lambda pod: events.append(("to be left", pod.facts.name)),
        left_to_kueue=lambda key: events.append(("left", key.name)),
        changed=lambda group: events.append(("changed", group.key.name)),
    )
    cluster.board._listener = listener
    both = pod("p", group="g", gates=("execution.dev/max-parallelism", "kueue.x-k8s.io/admission"))
    cluster.pod("p", both)
    assert cluster.shown() == {}
    labels = {"execution.dev/max-parallelism": "kueue"}
    for gates in (("kueue.x-k8s.io/admission",), ()):
        cluster.pod("p", pod("p", group="g", gates=gates, labels=labels))
    assert cluster.shown() == {}
    assert events == [("to be left", "p"), ("left", "g")]


def test_a_pod_that_an_airflow_task_waits_for_is_not_in_the_dag_run() -> None:
    cluster = Cluster()
    run = {"dag_id": "etl", "run_id": "monday"}
    for name, more in (("worker", {}), ("operator", {"kubernetes_pod_operator": "True"})):
        cluster.pod(name, pod(name, labels={"execution.dev/max-parallelism": "gated", **run, **more}))
    assert cluster.shown() == {
        GroupKey("pod", NAMESPACE, "etl/monday"): ({"worker"}, 1),
        GroupKey("pod", NAMESPACE, "uid of operator"): ({"operator"}, 1),
    }


def test_the_listener_is_notified_when_the_last_pod_stops_waiting() -> None:
    cluster = Cluster()
    events: list[tuple[str, int]] = []
    listener: Any = cluster.board._listener
    listener.changed = lambda group: events.append((group.key.name, group.slots.waiting))
    cluster.execution("a", there=True)
    cluster.pod("runs", pod("runs", owner="a", gates=()))
    cluster.pod("waits", pod("waits", owner="a"))
    assert events[-1] == ("a", 1)
    cluster.pod("waits", None)
    assert events[-1] == ("a", 0)
    events.clear()
    cluster.pod("runs", None)
    assert events == [("a", 0)]
    assert cluster.shown() == {}


def test_a_new_part_only_reassigns_its_own_pods() -> None:
    cluster = Cluster()
    cluster.execution("a", there=True)
    asked: list[str] = []
    owning = cluster.tracker.owning
    cluster.tracker.owning = lambda *key: asked.append(key[0]) or owning(*key)  # type: ignore[method-assign, func-returns-value]
    for number in range(100):
        cluster.part(f"a.{number}", "a", there=True)
        cluster.pod(f"p{number}", pod(f"p{number}", owner=f"a.{number}", identifier="id-a"))
    assert len(asked) == 100


def test_the_kept_fields_of_a_pod_are_those_that_were_read() -> None:
    found = pod("p", owner="a", identifier="id-a")
    facts = found.facts
    assert (facts.uid, facts.namespace, facts.name, facts.gated) == ("uid of p", NAMESPACE, "p", True)
    assert (found.metadata.uid, found.metadata.resource_version) == ("uid of p", "1")
    assert (found.owner, found.id, found.group, found.declared) == ("a", "id-a", "", ())
    twin = pod("q", owner="a", identifier="id-a")
    assert twin.owner is found.owner
    assert twin.facts.namespace is facts.namespace


def test_little_is_kept_of_each_pod() -> None:
    cluster = Cluster()
    cluster.execution("a", there=True)
    tracemalloc.start()
    for number in range(1000):
        cluster.pod(f"p{number}", pod(f"p{number}", owner="a", identifier="id-a"))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1000 * 1100


def test_nothing_is_kept_of_deleted_options_that_nothing_uses() -> None:
    cluster, found = Cluster(), pod("p", group="g")
    tracemalloc.start()
    for number in range(2000):
        uid = f"{number:036}"
        cluster.pod(
            "p", structs.replace(found, declared=tuple(structs.replace(one, uid=uid) for one in found.declared))
        )
        cluster.board.options_changed(uid, gone=True)
        assert cluster.shown()[GroupKey("pod", NAMESPACE, "g")][1] is None
        cluster.pod("p", None)
        cluster.board.options_changed(uid, gone=True)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000
