"""Whose pods are whose, in whatever order executions, their parts and pods are seen."""

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
from support.podapi import KIND, TEAM, PodApi, Watcher, bare, owned, said

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
def test_however_it_came_to_be_the_board_is_as_if_told_anew(events: list[tuple[str, Any, Any]]) -> None:
    cluster = Cluster()
    for what, which, how in events:
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


def test_a_group_of_bare_pods_has_the_least_of_their_limits() -> None:
    cluster = Cluster()
    for cap in (3, 2, 5):
        cluster.pod(f"p{cap}", pod(f"p{cap}", group="g", cap=cap))
    assert cluster.shown() == {GroupKey("pod", NAMESPACE, "g"): ({"p3", "p2", "p5"}, 2)}
    cluster.pod("p2", None)
    assert cluster.shown()[GroupKey("pod", NAMESPACE, "g")][1] == 3


def test_an_edit_that_reached_a_bare_pod_counts_where_a_later_one_does_not() -> None:
    """Options ``o`` were 4 at first, then 1, then for later executions only."""
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
    later = said("o", 9, 4)
    later["spec"]["updatePolicy"] = "NextExecution"
    watcher.index.put(KIND, msgspec.json.encode(later))
    watcher.board.options_changed("o")
    assert group.slots.cap == 1
    assert len(group.said) == 1


def test_an_edit_gives_no_limit_to_what_was_created_without_one() -> None:
    watcher = Watcher(PodApi())
    watcher.options("o", 1, 2)
    # Labels that somebody gave them, or an operator of another version, hold nobody back.
    watcher.run("run", None)
    owned(watcher.api, "p", "run", labels={"execution.dev/max-parallelism": "gated"})
    bare(watcher.api, "q", "g", None, 1, "gated")
    watcher.watch()
    for key in (GroupKey("tekton-pipelinerun", TEAM, "run"), GroupKey("pod", TEAM, "g")):
        slots = watcher.board.groups[key].slots
        assert slots.cap is None
        assert slots.next() is not None


def test_a_limit_that_is_lifted_and_set_again_holds_for_what_was_created_with_it() -> None:
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


def test_what_carries_no_identifier_has_a_snapshot_of_its_authors_alone() -> None:
    """The operator writes the identifier with the snapshot, and the API server lets nobody else."""
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


def test_nobody_is_released_beside_pods_whose_engine_goes_or_is_replaced() -> None:
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


def test_nobody_is_released_whose_engine_goes_while_another_has_its_parts() -> None:
    cluster = Cluster()
    cluster.execution("bb", there=True)
    cluster.part("bb.1", "bb", there=True)
    for number in range(4):
        cluster.pod(f"p{number}", pod(f"p{number}", owner="bb.1", identifier="id-bb"))
    slots = cluster.board.groups[GroupKey("tekton-pipelinerun", NAMESPACE, "bb")].slots
    assert (slots.next(), slots.next(), slots.next())[2] is None
    # It is an execution of its own now, without options, although it carries the label of what made it.
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


def test_what_was_not_answered_stays_in_doubt_whoever_has_the_pod() -> None:
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


def test_what_kueue_has_takes_no_slot_and_that_it_is_left_is_said_once() -> None:
    cluster = Cluster()
    told: list[tuple[str, object]] = []
    listener: Any = SimpleNamespace(
        to_be_left=lambda pod: told.append(("to be left", pod.facts.name)),
        left_to_kueue=lambda key: told.append(("left", key.name)),
        changed=lambda group: told.append(("changed", group.key.name)),
    )
    cluster.board._listener = listener
    both = pod("p", group="g", gates=("execution.dev/max-parallelism", "kueue.x-k8s.io/admission"))
    cluster.pod("p", both)
    assert cluster.shown() == {}
    labels = {"execution.dev/max-parallelism": "kueue"}
    for gates in (("kueue.x-k8s.io/admission",), ()):
        cluster.pod("p", pod("p", group="g", gates=gates, labels=labels))
    assert cluster.shown() == {}
    assert told == [("to be left", "p"), ("left", "g")]


def test_the_pod_that_a_task_of_airflow_waits_for_is_none_of_its_dag_run() -> None:
    cluster = Cluster()
    run = {"dag_id": "etl", "run_id": "monday"}
    for name, more in (("worker", {}), ("operator", {"kubernetes_pod_operator": "True"})):
        cluster.pod(name, pod(name, labels={"execution.dev/max-parallelism": "gated", **run, **more}))
    assert cluster.shown() == {
        GroupKey("pod", NAMESPACE, "etl/monday"): ({"worker"}, 1),
        GroupKey("pod", NAMESPACE, "uid of operator"): ({"operator"}, 1),
    }


def test_that_nobody_of_a_group_waits_any_more_is_told() -> None:
    cluster = Cluster()
    told: list[tuple[str, int]] = []
    listener: Any = cluster.board._listener
    listener.changed = lambda group: told.append((group.key.name, group.slots.waiting))
    cluster.execution("a", there=True)
    cluster.pod("runs", pod("runs", owner="a", gates=()))
    cluster.pod("waits", pod("waits", owner="a"))
    assert told[-1] == ("a", 1)
    cluster.pod("waits", None)
    assert told[-1] == ("a", 0)
    told.clear()
    cluster.pod("runs", None)
    assert told == [("a", 0)]
    assert cluster.shown() == {}


def test_a_part_that_comes_has_only_its_own_pods_looked_at_again() -> None:
    cluster = Cluster()
    cluster.execution("a", there=True)
    looked: list[str] = []
    owning = cluster.tracker.owning
    cluster.tracker.owning = lambda *said: looked.append(said[0]) or owning(*said)  # type: ignore[method-assign, func-returns-value]
    for number in range(100):
        cluster.part(f"a.{number}", "a", there=True)
        cluster.pod(f"p{number}", pod(f"p{number}", owner=f"a.{number}", identifier="id-a"))
    assert len(looked) == 100


def test_what_is_kept_of_a_pod_is_what_was_read() -> None:
    found = pod("p", owner="a", identifier="id-a")
    facts = found.facts
    assert (facts.uid, facts.namespace, facts.name, facts.gated) == ("uid of p", NAMESPACE, "p", True)
    assert (found.metadata.uid, found.metadata.resource_version) == ("uid of p", "1")
    assert (found.owner, found.id, found.group, found.said) == ("a", "id-a", "", ())
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


def test_nothing_is_kept_of_deleted_options_that_nobody_has() -> None:
    cluster, found = Cluster(), pod("p", group="g")
    tracemalloc.start()
    for number in range(2000):
        uid = f"{number:036}"
        cluster.pod("p", structs.replace(found, said=tuple(structs.replace(one, uid=uid) for one in found.said)))
        cluster.board.options_changed(uid, gone=True)
        assert cluster.shown()[GroupKey("pod", NAMESPACE, "g")][1] is None
        cluster.pod("p", None)
        cluster.board.options_changed(uid, gone=True)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000
