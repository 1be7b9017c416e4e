"""What the status says of options."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from execution_options.controller import status
from execution_options.controller.accounts import Verdict
from execution_options.controller.status import Aspect, Counts
from execution_options.engines.profile import builtin
from support.options import cluster, namespaced

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
LATER = datetime(2026, 2, 2, tzinfo=UTC)
READY = Aspect("Ready", "True", "Applied", "")


def written(present: dict[str, Any], *aspects: Aspect, now: datetime = NOW, **counts: int) -> dict[str, Any]:
    return status.status(present, 3, aspects, Counts(**counts), now)


def test_it_is_stable_and_keeps_the_time_of_what_did_not_change() -> None:
    first = written({}, READY, active=1)
    assert first["conditions"][0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert written(first, READY, now=LATER, active=1) == first
    other = written(first, Aspect("Ready", "True", "Other", "m"), now=LATER, active=1)
    assert other["conditions"][0]["lastTransitionTime"] == first["conditions"][0]["lastTransitionTime"]
    failed = written(first, Aspect("Ready", "False", "InvalidSpec", "m"), now=LATER)
    assert failed["conditions"][0]["lastTransitionTime"] == "2026-02-02T00:00:00Z"


def test_numbers_can_wait_and_nothing_else() -> None:
    first = written({}, READY)
    assert not status.is_urgent(first, written(first, READY, active=5))
    assert status.is_urgent(first, written(first, Aspect("Ready", "True", "Other", "")))
    assert status.is_urgent({}, first)
    assert status.is_urgent(first | {"observedGeneration": 2}, first)


def test_conditions_of_others_stay_and_broken_ones_do_no_harm() -> None:
    others = written({}, Aspect("Theirs", "True", "Other", ""))["conditions"]
    for present in ({"conditions": [*others, {"type": "Broken"}, 7]}, {"conditions": "x"}, {"conditions": others}):
        types = [c["type"] for c in written(present, READY)["conditions"]]
        assert types == (["Ready"] if present["conditions"] == "x" else ["Ready", "Theirs"])


def test_the_worst_of_several_accounts_decides() -> None:
    works = Verdict("ServiceAccountNotOurs", "fine", works=True)
    broken = Verdict("ServiceAccountMissing", "gone")
    assert status.ready([]).reason == "Applied"
    assert status.ready([works]).status == "True"
    worst = status.ready([works, broken])
    assert (worst.status, worst.reason, worst.message) == ("False", "ServiceAccountMissing", "gone; fine")
    assert status.ready([], "bad role").reason == "InvalidIamRole"


def test_every_field_without_effect_is_named() -> None:
    spec = {
        "selector": {"engines": ["job", "nonsense"], "launchedBy": {"kind": "CronNonsense", "name": "x"}},
    }
    aspect = status.fully_effective(namespaced("o", spec), builtin())
    assert aspect.status == "False"
    for part in ("nonsense", "CronNonsense"):
        assert part in aspect.message
    assert "engines: job" not in aspect.message
    assert status.fully_effective(namespaced("o", {"labels": {"a": "b"}}), builtin()).status == "True"


def test_it_is_said_on_which_engines_an_option_has_no_effect() -> None:
    spec = {"overwriteCache": True, "selector": {"engines": ["job", "argo-workflow"]}}
    aspect = status.fully_effective(namespaced("o", spec), builtin())
    assert aspect.status == "False"
    assert "without effect: spec.overwriteCache on job" in aspect.message
    everywhere = status.fully_effective(namespaced("o", {"overwriteCache": True}), builtin())
    assert everywhere.status == "True"
    assert everywhere.message == "spec.overwriteCache has an effect only on argo-workflow, flyte-workflow"
    spec = {"overwriteCache": True, "selector": {"engines": ["argo-workflow"]}}
    assert status.fully_effective(namespaced("o", spec), builtin()).message == ""
    account = {"securityContext": {"runAs": {"k8sServiceAccount": "a"}}, "selector": {"engines": ["flyte-taskaction"]}}
    assert (
        "spec.securityContext on flyte-taskaction"
        in status.fully_effective(namespaced("o", account), builtin()).message
    )


def test_it_is_said_why_pods_are_never_held_back() -> None:
    def said(*engines: str) -> status.Aspect:
        return status.fully_effective(
            namespaced("o", {"maxParallelism": 2, "selector": {"engines": engines}}), builtin()
        )

    gangs, stop = "pods that need each other to begin", "to hold one of them back would stop all"
    watchers = "pods that start or watch over others"
    for engine in ("jobset", "trainjob", "pytorchjob", "tfjob", "mpijob", "xgboostjob", "paddlejob", "jaxjob"):
        assert said(engine).message == f"without effect: spec.maxParallelism on {engine} (which has {gangs}: {stop})"
    assert said("rayjob").message == (
        f"without effect: spec.maxParallelism on rayjob (which has {watchers} and {gangs}: {stop})"
    )
    some = said("tekton-pipelinerun", "flyte-taskaction")
    assert some.status == "True"
    assert some.message.split("; ") == [
        f"spec.maxParallelism on tekton-pipelinerun neither holds back nor counts {watchers}",
        f"spec.maxParallelism on flyte-taskaction neither holds back nor counts {watchers} and {gangs}",
    ]
    own = said("job", "argo-workflow", "spark-application", "flyte-workflow", "tekton-taskrun", "pod")
    assert (own.status, own.message) == ("True", "")


def test_options_without_a_selector_say_how_they_are_referred_to() -> None:
    assert "options: o)" in status.selecting(namespaced("o")).message
    assert "options: cluster/o)" in status.selecting(cluster("o")).message
    assert status.selecting(namespaced("o", {"selector": {}})).status == "True"


def test_missed_executions_are_counted() -> None:
    assert status.admission(Counts(missed=2)).message.startswith("2 executions were ")
    assert status.admission(Counts(missed=1)).message.startswith("1 execution was ")
    assert status.admission(Counts()).status == "True"
