"""Messages about executions and pods that wait."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.parallelism import waiting
from execution_options.parallelism.slots import Pod, Slots


def pod(name: str, **facts: Any) -> Pod:
    return Pod(**{"uid": name, "namespace": "team", "name": name, "created": "", **facts})


def slots(cap: int, *pods: Pod) -> Slots:
    made = Slots(cap)
    for one in pods:
        made.put(one)
    while made.next() is not None:
        pass
    return made


def test_the_message_of_a_pod_has_its_place() -> None:
    made = slots(1, *(pod(name) for name in "abc"))
    assert [(one.name, text) for one, text in waiting.lines(made)] == [
        ("b", "waiting for a parallelism slot: 1 of 1 in use, 1st in line"),
        ("c", "waiting for a parallelism slot: 1 of 1 in use, 2nd in line"),
    ]
    assert waiting.execution_text(made) == "2 pods wait for a parallelism slot: 1 of 1 in use"


def test_messages_name_pods_that_have_a_slot_but_cannot_be_scheduled() -> None:
    made = slots(1, pod("a", gated=False, unschedulable=True), pod("b"))
    assert waiting.execution_text(made) == (
        "1 pod waits for a parallelism slot: 1 of 1 in use; the scheduler finds no place for a"
    )


def test_the_message_of_a_pod_mentions_gates_of_others() -> None:
    ((_, text),) = waiting.lines(slots(1, pod("a", held_otherwise=True)))
    assert text == "waiting for other scheduling gates to be removed, then for a parallelism slot"


def test_only_pods_that_did_not_wait_are_blamed_for_exceeding_the_cap() -> None:
    assert waiting.over_text(slots(1, pod("a", gated=False), pod("b", gated=False))) == (
        "2 of 1 in use: the limit was lowered, or others removed gates; none is released until it fits"
    )
    assert waiting.over_text(slots(2, pod("a", gated=False, skipped=True))) == ""
    over = slots(1, *(pod(name, gated=False, skipped=True) for name in "abcde"))
    assert waiting.over_text(over) == (
        "5 of 1 in use: created past the webhook or on a node, these did not wait: a, b, c and 2 more"
    )


def test_refused_pods_are_mentioned_only_if_there_are_any() -> None:
    text = waiting.quota_text("q", "pods 6 of 8", refused=False)
    assert (
        text == "pods that wait for a parallelism slot count against ResourceQuota q, which is nearly used: pods 6 of 8"
    )
    assert waiting.quota_text("q", "pods 6 of 8", refused=True) == (
        f"{text}; more pods of this execution that need any of it are refused until fewer wait or less is used"
    )


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (21, "21st")]
)
def test_ordinals(number: int, text: str) -> None:
    assert waiting.ordinal(number) == text
