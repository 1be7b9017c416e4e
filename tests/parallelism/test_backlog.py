"""A backlog names whoever waits now, and costs no more than what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.keys import GroupKey
from execution_options.parallelism import backlog as module
from execution_options.parallelism.backlog import MAX_NAMED, Named, read
from execution_options.parallelism.groups import Group
from execution_options.parallelism.slots import Pod

if TYPE_CHECKING:
    import pytest


class Naming:
    """Groups of pods, namespaces with quotas, and what is named."""

    def __init__(self) -> None:
        self.limited: set[str] = {"team"}
        self.groups: dict[GroupKey, Group] = {}
        self.backlog = Named(lambda one: f"id-{one.key.name}" if one.slots.is_full and one.slots.waiting else "")

    def group(self, name: str, *, running: int, waiting: int, cap: int = 1, namespace: str = "team") -> None:
        """As many pods of an execution run and wait from now on."""
        key = GroupKey("engine", namespace, name)
        self.groups.pop(key, None)
        if running + waiting:
            group = self.groups[key] = Group(key)
            group.slots.cap = cap
            for number in range(running + waiting):
                uid = f"{name}-{number}"
                group.slots.put(Pod(uid, namespace, uid, "", gated=number >= running))
        self.backlog.touch(key)

    def named(self) -> dict[str, frozenset[str]]:
        found = self.backlog.texts(self.groups, self.limited)
        return {namespace: read(text) for namespace, text in found.items()}


def test_a_quota_that_comes_finds_who_waits_already_and_one_that_goes_is_forgotten() -> None:
    now = Naming()
    now.limited.clear()
    now.group("full", running=1, waiting=1)
    now.group("other", running=1, waiting=1, namespace="other")
    assert now.named() == {}
    now.limited.add("team")
    assert now.named() == {"team": {"id-full"}}
    now.limited.remove("team")
    assert now.named() == {}
    now.group("full", running=1, waiting=0)
    now.limited.add("team")
    assert now.named() == {}


STEPS = st.tuples(st.sampled_from("abc"), st.sampled_from(["team", "other"]), st.integers(0, 2), st.integers(0, 2))


@given(st.lists(st.one_of(STEPS, st.sets(st.sampled_from(["team", "other"]))), max_size=30))
def test_however_it_came_to_be_those_are_named_who_wait_now(steps: list[Any]) -> None:
    now = Naming()
    for step in steps:
        if isinstance(step, set):
            now.limited.clear()
            now.limited.update(step)
        else:
            name, namespace, running, waiting = step
            now.group(name, running=running, waiting=waiting, cap=2, namespace=namespace)
        expected: dict[str, set[str]] = {}
        for key, group in now.groups.items():
            if key.namespace in now.limited and group.slots.used >= 2 and group.slots.waiting:
                expected.setdefault(key.namespace, set()).add(f"id-{key.name}")
        assert now.named() == expected


def test_a_round_visits_only_the_groups_that_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    now, written, visited = Naming(), list[Any](), list[str]()
    joined = module.written
    monkeypatch.setattr(module, "written", lambda *given: written.append(given) or joined(*given))  # type: ignore[func-returns-value]
    for number in range(100):
        now.group(str(number), running=1, waiting=1)
    assert len(now.named()["team"]) == 100
    visit = now.backlog._visit
    monkeypatch.setattr(now.backlog, "_visit", lambda key, group: visited.append(key.name) or visit(key, group))  # type: ignore[func-returns-value]
    now.group("7", running=1, waiting=2)
    assert len(now.named()["team"]) == 100
    assert visited == ["7"]
    assert len(written) == 1, "nothing is put together anew that has not changed"


def test_all_namespaces_share_the_room() -> None:
    now = Naming()
    now.limited.add("other")
    for number in range(MAX_NAMED // 2 + 10):
        now.group(str(number), running=1, waiting=1)
    assert len(now.named()["team"]) == MAX_NAMED // 2 + 10
    now.group("x", running=1, waiting=1, namespace="other")
    assert {namespace: len(ids) for namespace, ids in now.named().items()} == {"team": MAX_NAMED // 2, "other": 1}
