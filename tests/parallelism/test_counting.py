"""Pods without the label count before anybody is released beside them, whatever happens meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from execution_options.api.names import GATE, LIVE_ANNOTATION
from execution_options.controller.objects import OptionsKey, PodObject
from execution_options.controller.parallelism.groups import BARE
from execution_options.controller.parallelism.labelling import LOOK_SECONDS
from execution_options.controller.parallelism.objects import GroupKey
from execution_options.controller.parallelism.reach import SETTLE_SECONDS
from execution_options.kube.client import ApiError
from support.podapi import KIND, RUN, TEAM, Counter, PodApi, bare, owned, said

POLICY = ApiError(403, "Forbidden", "ValidatingAdmissionPolicy 'frozen' denied request: no labels here")


@pytest.fixture
def api() -> PodApi:
    return PodApi()


@pytest.fixture
def counter(api: PodApi) -> Counter:
    counter = Counter(api)
    counter.options("o", 2, 2)
    return counter


def grouped(api: PodApi, early: int = 2) -> None:
    """A group of which some run that were created before the limit, and one waits."""
    for number in range(early):
        bare(api, f"early-{number}", "g", None)
    bare(api, "late", "g", 2, 2, "gated")


async def test_pods_that_ran_before_the_limit_count_at_once_and_are_labelled(api: PodApi, counter: Counter) -> None:
    grouped(api)
    counter.watch()
    assert counter.used("g") == 0
    assert not counter.is_counted("g")
    await counter.count()
    assert counter.is_counted("g")
    assert counter.used("g") == 2
    await counter.label("early-0", "early-1")
    assert api.pods["early-0"]["metadata"]["labels"][GATE] == "capped"
    counter.watch()
    assert await counter.label("early-0", "early-1") == [None, None]
    api.end("early-0")
    counter.watch()
    assert counter.used("g") == 1


async def test_a_count_says_nothing_of_a_limit_that_was_lifted_and_set_again_meanwhile(
    api: PodApi, counter: Counter
) -> None:
    grouped(api, early=0)
    counter.watch()

    def lifted() -> None:
        api.during = lambda: None
        counter.options("o", None, 3)
        bare(api, "between", "g", None, 3)
        counter.options("o", 2, 4)

    api.during = lifted
    await counter.count()
    assert not counter.is_counted("g")
    await counter.count()
    assert counter.is_counted("g")
    assert counter.used("g") == 1


async def test_a_group_that_came_while_pods_were_listed_is_not_counted_by_that_list(
    api: PodApi, counter: Counter
) -> None:
    grouped(api)
    counter.watch()

    def comes() -> None:
        api.during = lambda: None
        bare(api, "unseen", "h", None)
        bare(api, "other", "h", 2, 2, "gated")
        counter.watch()

    api.during = comes
    await counter.count()
    assert (counter.is_counted("g"), counter.is_counted("h")) == (True, False)
    await counter.count()
    assert counter.used("h") == 1


async def test_one_pod_that_refuses_the_label_keeps_nobody_else_and_counts_until_its_end(
    api: PodApi, counter: Counter
) -> None:
    grouped(api)
    bare(api, "other", "h", 2, 2, "gated")
    api.refused["early-0"] = POLICY
    counter.watch()
    await counter.count()
    assert await counter.label("early-0", "early-1") == [LOOK_SECONDS] * 2
    counter.watch()
    assert (counter.is_counted("g"), counter.is_counted("h")) == (True, True)
    assert counter.used("g") == 2
    text = f"pod early-0 runs without the label {GATE}, which was refused; it counts all the same: {POLICY.message}"
    assert counter.events == [("Pod", "early-0", "LabelRefused", text)]
    assert await counter.label("early-0") == [LOOK_SECONDS]
    api.end("early-0")
    assert await counter.label("early-0") == [None]
    assert counter.used("g") == 1
    assert api.patches.count("early-0") == 1


async def test_a_pod_that_refuses_the_label_is_found_again_by_another_controller(api: PodApi, counter: Counter) -> None:
    grouped(api)
    api.refused["early-0"] = POLICY
    counter.watch()
    await counter.count()
    await counter.label("early-0", "early-1")
    other = Counter(api, counter.index)
    other.watch()
    assert other.used("g") == 1
    await other.count()
    assert other.used("g") == 2


async def test_while_the_other_watch_has_a_refused_pod_nobody_asks_for_it(api: PodApi, counter: Counter) -> None:
    grouped(api, early=1)
    api.refused["early-0"] = POLICY
    counter.watch()
    await counter.count()
    await counter.label("early-0")
    counter.seen["early-0"] = msgspec.convert(api.pods["early-0"], PodObject)
    asked = len(api.gets)
    api.end("early-0")
    assert await counter.label("early-0") == [LOOK_SECONDS]
    assert len(api.gets) == asked
    counter.seen["early-0"] = msgspec.convert(api.pods["early-0"], PodObject)
    assert await counter.label("early-0") == [None]
    assert len(api.gets) == asked + 1


async def test_a_failure_of_one_label_is_tried_again_and_its_pod_counts_meanwhile(
    api: PodApi, counter: Counter
) -> None:
    grouped(api, early=1)
    api.refused["early-0"] = ApiError(500, "InternalError", "failed calling webhook")
    counter.watch()
    await counter.count()
    with pytest.raises(ApiError, match="failed calling webhook"):
        await counter.label("early-0")
    assert counter.used("g") == 1
    del api.refused["early-0"]
    await counter.label("early-0")
    assert api.pods["early-0"]["metadata"]["labels"][GATE] == "capped"
    assert counter.events == []


async def test_what_a_proxy_says_neither_settles_nor_frees_anything(api: PodApi, counter: Counter) -> None:
    grouped(api, early=1)
    counter.watch()
    await counter.count()
    api.refused["early-0"] = ApiError(403, "", "a proxy's page")
    with pytest.raises(ApiError, match="a proxy's page"):
        await counter.label("early-0")
    assert counter.events == []
    del api.refused["early-0"]
    assert await counter.label("early-0") == [LOOK_SECONDS]
    api.unread["early-0"] = ApiError(404, "", "a proxy's page")
    with pytest.raises(ApiError, match="a proxy's page"):
        await counter.label("early-0")
    assert counter.used("g") == 1


@pytest.mark.parametrize("how", ["ended", "gone", "replaced"])
async def test_a_pod_that_is_no_more_when_it_is_labelled_holds_nothing(api: PodApi, counter: Counter, how: str) -> None:
    grouped(api, early=1)
    counter.watch()
    await counter.count()
    uid = counter.uid("early-0")
    if how == "ended":
        api.end("early-0")
    else:
        del api.pods["early-0"]
    if how == "replaced":
        bare(api, "early-0", "g", 2, 2, "gated")
    assert await counter.labelling.label(uid) is None
    assert counter.used("g") == 0


async def test_a_pod_that_ended_before_the_watch_saw_its_label_holds_nothing(api: PodApi, counter: Counter) -> None:
    grouped(api, early=1)
    counter.watch()
    await counter.count()
    assert await counter.label("early-0") == [LOOK_SECONDS]
    api.end("early-0")
    counter.watch()
    assert counter.used("g") == 1
    assert await counter.label("early-0") == [None]
    assert counter.used("g") == 0


async def test_a_pod_that_lost_the_label_but_not_its_gate_waits_like_others(api: PodApi, counter: Counter) -> None:
    grouped(api, early=0)
    bare(api, "lost", "g", 2, 2, "gated")
    del api.pods["lost"]["metadata"]["labels"][GATE]
    counter.watch()
    await counter.count()
    await counter.label("lost")
    counter.watch()
    slots = counter.board.groups[GroupKey(BARE, TEAM, "g")].slots
    assert [pod.name for pod in slots.line()] == ["late", "lost"]
    assert slots.used == 0


async def test_what_kueue_manages_gets_its_own_label_and_no_slot(api: PodApi, counter: Counter) -> None:
    grouped(api, early=0)
    bare(api, "queued", "g", None, labels={"kueue.x-k8s.io/managed": "true"})
    counter.watch()
    await counter.count()
    await counter.label("queued")
    assert api.pods["queued"]["metadata"]["labels"][GATE] == "kueue"
    assert counter.used("g") == 0


async def test_many_pods_cost_one_list_and_a_label_each_however_far_the_watch_is_behind(
    api: PodApi, counter: Counter
) -> None:
    grouped(api, early=500)
    api.page = 100
    counter.watch()
    await counter.count()
    assert counter.used("g") == 500
    names = [f"early-{number}" for number in range(500)]
    assert await counter.label(*names) == [LOOK_SECONDS] * 500
    assert (len(api.lists), len(api.gets), len(api.patches)) == (1, 0, 500)


async def test_pods_of_others_and_pods_without_a_limit_are_left_alone(api: PodApi, counter: Counter) -> None:
    grouped(api, early=1)
    api.create("alone", labels={"execution.dev/id": "alone"})
    counter.options("p", None, 1)
    bare(api, "free", "g", None, state="")
    api.pods["free"]["metadata"]["annotations"]["execution.dev/snapshot"] = '{"id": "x", "layers": []}'
    counter.watch()
    await counter.count()
    assert counter.used("g") == 1


async def test_a_namespace_is_listed_once_for_all_groups_that_come(api: PodApi, counter: Counter) -> None:
    grouped(api)
    counter.watch()
    await counter.count()
    for number in range(20):
        counter.now += SETTLE_SECONDS
        bare(api, f"task-{number}", f"run-{number}", 2, 2, "gated")
        counter.watch()
        assert not counter.is_counted(f"run-{number}")
        await counter.count()
        assert counter.is_counted(f"run-{number}")
    assert len(api.lists) == 2


async def test_within_a_minute_of_an_edit_what_was_admitted_before_it_may_still_come(
    api: PodApi, counter: Counter
) -> None:
    bare(api, "first", "g", 2, 2, "gated")
    counter.watch()
    counter.reaches.of(TEAM)
    counter.now += SETTLE_SECONDS - 1
    await counter.count()
    bare(api, "slow", "h", None)
    bare(api, "second", "h", 2, 2, "gated")
    counter.watch()
    await counter.count()
    assert counter.used("h") == 1


async def test_a_pod_that_comes_unmarked_all_the_same_has_the_namespace_listed_again(
    api: PodApi, counter: Counter
) -> None:
    for number in range(2):
        counter.now += SETTLE_SECONDS
        bare(api, f"waits-{number}", f"g-{number}", 2, 2, "gated")
        counter.watch()
        await counter.count()
    bare(api, "told", "h", None)
    bare(api, "untold", "i", None)
    counter.counting.unlabelled(msgspec.convert(api.pods["told"], PodObject).metadata)
    bare(api, "second", "i", 2, 2, "gated")
    counter.watch()
    await counter.count()
    assert counter.used("i") == 1


async def test_a_limit_that_options_get_has_the_namespace_listed_again(api: PodApi, counter: Counter) -> None:
    counter.options("p", None, 1)
    for number in range(2):
        counter.now += SETTLE_SECONDS
        bare(api, f"waits-{number}", f"g-{number}", 2, 2, "gated")
        counter.watch()
        await counter.count()
    early = {"execution.dev/group": "h", "execution.dev/snapshot": _snapshot_of("p", None)}
    api.create("early", labels={"execution.dev/id": "early"}, annotations=early)
    counter.options("p", 1, 2)
    bare(api, "late", "h", 2, 2, "gated")
    counter.watch()
    await counter.count()
    assert counter.used("h") == 1


async def test_nobody_is_released_while_a_pod_knows_a_later_edit_than_the_index(api: PodApi, counter: Counter) -> None:
    bare(api, "early", "g", None)
    counter.options("o", None, 2)
    bare(api, "late", "g", 2, 3, "gated")
    counter.watch()
    pauses = [(await counter.count())[0]]
    while len(pauses) < 4:
        counter.uncounted(GroupKey(BARE, TEAM, "g"))
        pauses += await counter.count()
    assert pauses == [0.1, 0.2, 0.4, 0.8]
    assert set(counter.hinted) == {OptionsKey(KIND, TEAM, "o")}
    assert not counter.is_counted("g")
    counter.options("o", 2, 3)
    counter.uncounted(GroupKey(BARE, TEAM, "g"))
    assert await counter.count() == [None]
    assert counter.used("g") == 1


async def test_a_pod_that_may_have_a_limit_by_options_that_may_be_gone_is_known_by_then(
    api: PodApi, counter: Counter
) -> None:
    grouped(api, early=0)
    api.create(
        "doubtful",
        labels={"execution.dev/id": "doubtful"},
        annotations={"execution.dev/group": "g", "execution.dev/snapshot": _snapshot_of("gone", 0, "o", 2)},
    )
    counter.watch()
    await counter.count()
    counter.board.options_changed("gone", gone=True)
    assert counter.used("g") == 1


def _snapshot_of(first: str, value: int | None, second: str = "", other: int = 0) -> str:
    layers = [
        {
            "source": {"level": level, "kind": KIND, "name": name, "uid": name, "generation": 1},
            "spec": {} if cap is None else {"maxParallelism": cap},
        }
        for level, name, cap in ((2, second, other), (3, first, value))
        if name
    ]
    return msgspec.json.encode({"id": "x", "layers": layers}).decode()


async def test_the_units_of_an_execution_are_found_by_its_identifier(api: PodApi, counter: Counter) -> None:
    key = GroupKey(*counter.run("run"))
    owned(api, "unit", "run")
    owned(api, "assistant", "run", labels={"app.kubernetes.io/component": "affinity-assistant"})
    owned(api, "unit-of-another", "other")
    assert await counter.counting.count(key) is None
    assert api.lists == [f"execution.dev/id=id-run,!{GATE}"]
    assert counter.used("run", RUN) == 1
    assert counter.is_counted("run", RUN)
    assert counter.missed == []


async def test_those_of_one_that_was_created_past_the_webhook_by_its_engines_label(
    api: PodApi, counter: Counter
) -> None:
    key = GroupKey(*counter.run("run", missed=True))
    owned(api, "unit", "run", identified=False)
    await counter.counting.count(key)
    assert counter.used("run", RUN) == 1
    assert counter.missed == [(RUN, TEAM)]


async def test_a_pod_that_comes_late_counts_and_is_labelled_without_a_list(api: PodApi, counter: Counter) -> None:
    key = GroupKey(*counter.run("run"))
    owned(api, "early", "run")
    await counter.counting.count(key)
    owned(api, "retry", "run")
    late = msgspec.convert(api.pods["retry"], PodObject).metadata
    counter.counting.unlabelled(late)
    counter.counting.unlabelled(late)
    assert counter.used("run", RUN) == 2
    assert counter.board.slots_of(late.uid) is not None
    await counter.label("retry")
    assert api.pods["retry"]["metadata"]["labels"][GATE] == "capped"
    assert len(api.lists) == 1


async def test_an_edit_that_reached_a_bare_pod_counts_where_a_later_one_does_not(api: PodApi, counter: Counter) -> None:
    for number in range(6):
        bare(api, f"p{number}", "g", 4, 2, "gated")
    counter.options("o", 4, 2)
    counter.watch()
    await counter.count()
    group = counter.board.groups[GroupKey(BARE, TEAM, "g")]
    counter.options("o", 1, 3)
    assert group.slots.cap == 1
    for number in range(6):
        annotations = api.pods[f"p{number}"]["metadata"]["annotations"]
        annotations[LIVE_ANNOTATION] = _edit_of("o", 1, 3)
    counter.watch()
    later = said("o", 9, 4)
    later["spec"]["updatePolicy"] = "NextExecution"
    counter.index.put(KIND, msgspec.json.encode(later))
    counter.board.options_changed("o")
    assert group.slots.cap == 1
    assert len(group.said) == 1


def _edit_of(options: str, cap: int, generation: int) -> str:
    edit = {"kind": KIND, "name": options, "uid": options, "generation": generation, "spec": {"maxParallelism": cap}}
    return msgspec.json.encode({"layers": [edit]}).decode()
