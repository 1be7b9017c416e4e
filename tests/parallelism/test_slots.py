"""Which pods get a slot, and which keep it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from execution_options.parallelism.slots import Pod, Slots


def pod(name: str, **facts: Any) -> Pod:
    return Pod(**{"uid": name, "namespace": "team", "name": name, "created": "2026-11-01T00:00:00Z", **facts})


def slots(cap: int | None, *pods: Pod) -> Slots:
    made = Slots(cap)
    for one in pods:
        made.put(one)
    return made


def released(made: Slots) -> list[str]:
    found = []
    while (one := made.next()) is not None:
        found.append(one.name)
    return found


def test_as_many_pods_are_released_as_fit() -> None:
    made = slots(2, pod("a"), pod("b"), pod("c"))
    assert released(made) == ["a", "b"]
    assert (made.used, made.waiting) == (2, 1)


def test_the_end_of_a_pod_frees_its_slot() -> None:
    made = slots(1, pod("a"), pod("b"))
    assert released(made) == ["a"]
    assert made.remove("a")
    assert released(made) == ["b"]


def test_priority_decides_then_age_then_name() -> None:
    early = "2026-10-01T00:00:00Z"
    made = slots(4, pod("b"), pod("a"), pod("old", created=early), pod("urgent", priority=10))
    assert released(made) == ["urgent", "old", "a", "b"]


def test_running_pods_take_slots() -> None:
    made = slots(2, pod("running", gated=False), pod("a"), pod("b"))
    assert released(made) == ["a"]


def test_without_a_limit_all_are_released_and_with_zero_slots_none() -> None:
    assert released(slots(None, pod("a"), pod("b"))) == ["a", "b"]
    assert released(slots(0, pod("a"))) == []


def test_a_lowered_cap_kills_no_pod_and_a_raised_one_applies_at_once() -> None:
    made = slots(2, *(pod(name) for name in "abcde"))
    assert released(made) == ["a", "b"]
    made.cap = 1
    made.remove("a")
    assert released(made) == []
    made.cap = 3
    assert released(made) == ["c", "d"]


def test_a_pod_with_gates_of_others_is_passed_over_until_they_are_removed() -> None:
    made = slots(1, pod("a", held_otherwise=True), pod("b"), pod("c"))
    assert released(made) == ["b"]
    made.put(pod("a"))
    made.remove("b")
    assert released(made) == ["a"]


def test_a_gated_pod_that_is_deleted_needs_no_slot_and_a_running_one_keeps_it() -> None:
    made = slots(1, pod("a", deleting=True), pod("b"))
    assert released(made) == ["b"]
    made.put(pod("b", gated=False, deleting=True))
    made.put(pod("c"))
    assert released(made) == []


def test_an_old_event_gives_no_slot_back() -> None:
    made = slots(1, pod("a"), pod("b"))
    assert released(made) == ["a"]
    made.put(pod("a", gated=False))
    made.put(pod("a"))
    assert released(made) == []
    assert made.has_slot("a")


def test_a_refused_release_gives_the_slot_to_the_next_one_in_line() -> None:
    made = slots(1, pod("a"), pod("b"))
    assert released(made) == ["a"]
    assert made.refuse("a")
    assert released(made) == ["b"]
    made.readmit("a")
    made.remove("b")
    assert released(made) == ["a"]


def test_a_doubtful_release_keeps_its_slot_whatever_the_answer_to_a_later_one() -> None:
    made = slots(1, pod("a"), pod("b"))
    assert released(made) == ["a"]
    made.doubt("a")
    assert not made.refuse("a")
    assert released(made) == []
    made.repeat("a")
    assert released(made) == ["a"]
    made.put(pod("a", gated=False))
    made.repeat("a")
    assert released(made) == []


@pytest.mark.parametrize("gone", ["a", "b"])
def test_nothing_is_left_of_a_pod_that_is_gone(gone: str) -> None:
    made = slots(1, pod("a"), pod("b"))
    released(made)
    made.doubt("a")
    made.repeat(gone)
    made.remove(gone)
    assert gone not in [one.name for one in (*made.users(), *made.line())]
    assert len(made) == 1


def test_a_pod_that_left_the_line_and_came_back_is_in_it_once() -> None:
    made = slots(0, pod("a"), pod("b"))
    for held in (True, False, True, False):
        made.put(pod("a", held_otherwise=held))
    assert [one.name for one in made.line()] == ["a", "b"]


def test_nothing_is_kept_of_pods_that_came_and_went_behind_a_waiting_one() -> None:
    made = slots(0, pod("a"))
    tracemalloc.start()
    for number in range(10_000):
        made.put(pod(f"b{number}"))
        made.remove(f"b{number}")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000


def test_the_line_is_in_order_and_pods_with_gates_of_others_are_last() -> None:
    made = slots(0, pod("a", held_otherwise=True), pod("c"), pod("b"), pod("u", priority=1))
    assert [one.name for one in made.line()] == ["u", "b", "c", "a"]
