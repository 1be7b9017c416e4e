"""What the status of options says of executions that an edit does not reach."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from execution_options.api.keys import ExecutionKey, OptionsKey
from execution_options.api.names import OPTIONS_KIND
from execution_options.controller.cache.tracker import Tracked
from execution_options.controller.executions.unfollowed import CONDITION, ENFORCED, Unenforced, Unfollowed
from execution_options.engines.registry import builtin_engines

A, B = (ExecutionKey("job", "team", name) for name in "ab")
POD = ("team", "a-0")
OPTIONS = OptionsKey(OPTIONS_KIND, "team", "o")


class Cluster:
    """Two Jobs with the same options."""

    def __init__(self, *conditions: str, of: type[Unfollowed] = Unfollowed) -> None:
        self.changed: list[OptionsKey] = []
        self.records = {key: Tracked(key.name, key.name, active=True, sources=frozenset({"o"})) for key in (A, B)}
        self.known: Any = SimpleNamespace(
            key=OPTIONS, uid="o", status={"conditions": [{"type": one} for one in conditions]}
        )
        tracker = SimpleNamespace(records=self.records, of_source=lambda _: self.records.items())
        world: Any = SimpleNamespace(tracker=tracker, engines=builtin_engines())
        index: Any = SimpleNamespace(of_uid=lambda _: self.known)
        self.unfollowed = of(world, index, self.changed.append)

    def condition(self) -> list[tuple[str, str]]:
        """As the status would show it, which is then what was written."""
        aspects = self.unfollowed.aspects(self.known)
        self.known.status = {"conditions": [{"type": one.type} for one in aspects]} if aspects else self.known.status
        return [(one.status, one.message) for one in aspects]


def test_nothing_is_said_unless_an_edit_was_refused() -> None:
    cluster = Cluster()
    cluster.unfollowed.followed(A)
    assert cluster.condition() == []
    assert cluster.changed == []


def test_it_is_said_how_many_are_not_reached_and_why_until_they_are() -> None:
    cluster = Cluster()
    cluster.unfollowed.refused(B, "no")
    cluster.unfollowed.refused(B, "no")
    assert cluster.changed == [OPTIONS]
    assert cluster.condition() == [("False", "edits do not reach 1 execution: Job team/b: no")]
    cluster.unfollowed.refused(A, "pod a-0: too much", POD)
    assert cluster.condition() == [
        ("False", "edits do not reach 2 executions, among them Job team/a: pod a-0: too much")
    ]
    cluster.unfollowed.followed(A)
    cluster.unfollowed.followed(B)
    assert cluster.condition() == [("False", "edits do not reach 1 execution: Job team/a: pod a-0: too much")]
    del cluster.changed[:]
    cluster.unfollowed.pod_followed(POD)
    assert cluster.changed == [OPTIONS]
    assert cluster.condition() == [("True", "")]


@pytest.mark.parametrize("ends", [True, False])
def test_what_has_ended_or_is_gone_is_not_counted(ends: bool) -> None:
    cluster = Cluster()
    cluster.unfollowed.followed(A)
    cluster.unfollowed.refused(B, "no")
    assert cluster.condition()
    if ends:
        cluster.records[B] = Tracked("b", "b", active=False, sources=frozenset({"o"}))
    else:
        del cluster.records[B]
    cluster.unfollowed.forget(B)
    assert cluster.condition() == [("True", "")]


def test_what_another_process_said_stays_until_every_execution_was_tried() -> None:
    cluster = Cluster(CONDITION)
    assert cluster.condition() == []
    cluster.unfollowed.followed(A)
    assert cluster.condition() == []
    del cluster.changed[:]
    cluster.unfollowed.followed(B)
    assert cluster.changed == [OPTIONS]
    assert cluster.condition() == [("True", "")]


def test_pods_that_are_not_as_is_enforced_have_a_condition_of_their_own() -> None:
    cluster = Cluster(CONDITION, of=Unenforced)
    assert cluster.condition() == []
    cluster.unfollowed.refused(A, "a pod runs under service account 'x', not 'y'", POD)
    (one,) = cluster.unfollowed.aspects(cluster.known)
    why = "what is enforced does not hold for 1 execution: Job team/a: a pod runs under service account 'x', not 'y'"
    assert (one.type, one.status, one.message) == (ENFORCED, "False", why)
    cluster.condition()
    cluster.unfollowed.pod_followed(POD)
    cluster.unfollowed.followed(B)
    (one,) = cluster.unfollowed.aspects(cluster.known)
    assert (one.type, one.status) == (ENFORCED, "True")
