"""The status of options."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from execution_options.admission.accountplan import Verdict
from execution_options.api.problem import Problem
from execution_options.engines.registry import builtin_engines
from execution_options.status import conditions, optionsstatus
from execution_options.status.conditions import Aspect
from execution_options.status.optionsstatus import Counts
from support.options import cluster, namespaced

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
LATER = datetime(2026, 2, 2, tzinfo=UTC)
READY = Aspect("Ready", "True", "Applied", "")


def written(present: dict[str, Any], *aspects: Aspect, now: datetime = NOW, **counts: int) -> dict[str, Any]:
    return optionsstatus.status(present, 3, aspects, Counts(**counts), now)


def effective(options: OptionsObject, **astray: str) -> Aspect:
    found = {name.replace("_", "-"): (Problem("spec.envs[0]", words),) for name, words in astray.items()}
    return optionsstatus.fully_effective(options, builtin_engines(), found)


def test_it_is_stable_and_keeps_the_times_of_unchanged_conditions() -> None:
    first = written({}, READY, active=1)
    assert first["conditions"][0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert written(first, READY, now=LATER, active=1) == first
    other = written(first, Aspect("Ready", "True", "Other", "m"), now=LATER, active=1)
    assert other["conditions"][0]["lastTransitionTime"] == first["conditions"][0]["lastTransitionTime"]
    failed = written(first, Aspect("Ready", "False", "InvalidSpec", "m"), now=LATER)
    assert failed["conditions"][0]["lastTransitionTime"] == "2026-02-02T00:00:00Z"


def test_only_a_change_of_numbers_can_wait() -> None:
    first = written({}, READY)
    assert not conditions.is_urgent(first, written(first, READY, active=5))
    assert conditions.is_urgent(first, written(first, Aspect("Ready", "True", "Other", "")))
    assert conditions.is_urgent({}, first)
    assert conditions.is_urgent(first | {"observedGeneration": 2}, first)


def test_conditions_of_others_are_kept_and_broken_ones_do_no_harm() -> None:
    others = written({}, Aspect("Theirs", "True", "Other", ""))["conditions"]
    for present in ({"conditions": [*others, {"type": "Broken"}, 7]}, {"conditions": "x"}, {"conditions": others}):
        types = [c["type"] for c in written(present, READY)["conditions"]]
        assert types == (["Ready"] if present["conditions"] == "x" else ["Ready", "Theirs"])


def test_the_worst_of_several_accounts_decides() -> None:
    works = Verdict("ServiceAccountNotOurs", "fine", works=True)
    broken = Verdict("ServiceAccountMissing", "gone")
    assert optionsstatus.ready([]).reason == "Applied"
    assert optionsstatus.ready([works]).status == "True"
    worst = optionsstatus.ready([works, broken])
    assert (worst.status, worst.reason, worst.message) == ("False", "ServiceAccountMissing", "gone; fine")
    assert optionsstatus.ready([], "bad role").reason == "InvalidIamRole"


def test_every_field_without_effect_is_named() -> None:
    spec = {
        "selector": {"engines": ["job", "nonsense"], "launchedBy": {"kind": "CronNonsense", "name": "x"}},
    }
    aspect = effective(namespaced("o", spec))
    assert aspect.status == "False"
    for part in ("nonsense", "CronNonsense"):
        assert part in aspect.message
    assert "engines: job" not in aspect.message
    assert effective(namespaced("o", {"labels": {"a": "b"}})).status == "True"


def test_engines_without_an_effect_of_an_option_are_named() -> None:
    spec = {"overwriteCache": True, "selector": {"engines": ["job", "argo-workflow"]}}
    aspect = effective(namespaced("o", spec))
    assert aspect.status == "False"
    assert "without effect: spec.overwriteCache on job" in aspect.message
    everywhere = effective(namespaced("o", {"overwriteCache": True}))
    assert everywhere.status == "True"
    assert everywhere.message == "spec.overwriteCache has an effect only on argo-workflow, flyte-workflow"
    spec = {"overwriteCache": True, "selector": {"engines": ["argo-workflow"]}}
    assert effective(namespaced("o", spec)).message == ""
    account = {"securityContext": {"runAs": {"k8sServiceAccount": "a"}}, "selector": {"engines": ["flyte-taskaction"]}}
    assert "spec.securityContext on flyte-taskaction" in effective(namespaced("o", account)).message


def test_the_reason_why_pods_are_never_held_back_is_named() -> None:
    def aspect(*engines: str) -> conditions.Aspect:
        return effective(namespaced("o", {"maxParallelism": 2, "selector": {"engines": engines}}))

    gangs, stop = "pods that need each other to begin", "to hold one of them back would stop all"
    watchers = "pods that start or watch over others"
    for engine in ("jobset", "trainjob", "pytorchjob", "tfjob", "mpijob", "xgboostjob", "paddlejob", "jaxjob"):
        assert aspect(engine).message == f"without effect: spec.maxParallelism on {engine} (which has {gangs}: {stop})"
    assert aspect("rayjob").message == (
        f"without effect: spec.maxParallelism on rayjob (which has {watchers} and {gangs}: {stop})"
    )
    some = aspect("tekton-pipelinerun", "spark-application", "flyte-taskaction")
    assert some.status == "True"
    assert some.message.split("; ") == [
        f"spec.maxParallelism on tekton-pipelinerun neither holds back nor counts {watchers}",
        f"spec.maxParallelism on spark-application neither holds back nor counts {watchers}",
        f"spec.maxParallelism on flyte-taskaction neither holds back nor counts {watchers} and {gangs}",
    ]
    own = aspect("job", "argo-workflow", "flyte-workflow", "tekton-taskrun", "pod")
    assert (own.status, own.message) == ("True", "")


def test_options_without_a_selector_show_how_to_refer_to_them() -> None:
    assert "options: o)" in optionsstatus.selecting(namespaced("o")).message
    assert "options: cluster/o)" in optionsstatus.selecting(cluster("o")).message
    assert optionsstatus.selecting(namespaced("o", {"selector": {}})).status == "True"


def test_missed_executions_are_counted() -> None:
    assert optionsstatus.admission(Counts(missed=2)).message.startswith("2 executions were ")
    assert optionsstatus.admission(Counts(missed=1)).message.startswith("1 execution was ")
    assert optionsstatus.admission(Counts()).status == "True"


def test_options_that_select_an_engine_whose_paths_lead_nowhere_are_not_fully_effective() -> None:
    for selector in ({"engines": ["argo-workflow"]}, {}):
        found = effective(namespaced("o", {"selector": selector}), argo_workflow="leads nowhere")
        assert found.status == "False"
        assert "ExecutionEngine argo-workflow: spec.envs[0]: leads nowhere" in found.message
    others = effective(namespaced("o", {"selector": {"engines": ["job"]}}), argo_workflow="leads nowhere")
    assert (others.status, others.message) == ("True", "")
    referred = effective(namespaced("o"), argo_workflow="leads nowhere")
    assert (referred.status, "leads nowhere" in referred.message) == ("True", True)


def test_likely_corrections_are_suggested() -> None:
    spec = {"selector": {"engines": ["jobb"], "launchedBy": {"kind": "Cronjob", "name": "x"}}}
    message = effective(namespaced("o", spec)).message
    assert "jobb is no known engine: did you mean job?" in message
    assert "Cronjob launches no known execution: did you mean CronJob?" in message


def test_the_worst_condition_is_shown_until_nothing_is_wrong() -> None:
    partly = Aspect("FullyEffective", "False", "FieldsWithoutEffect", "m" * 5000)
    unrouted = Aspect("NotificationsRouted", "False", "ChannelMissing", "there is no c")
    theirs = Aspect("Theirs", "False", "Other", "")
    first = written({}, READY, partly, unrouted, theirs)
    assert first["problem"] == {"reason": "ChannelMissing", "message": "there is no c"}
    second = written(first, READY, partly, Aspect("NotificationsRouted", "True", "Routed", ""))
    assert second["problem"]["reason"] == "FieldsWithoutEffect"
    assert len(second["problem"]["message"]) == 1024
    healed = written({}, READY, Aspect("Selecting", "False", "OnlyByReference", ""))
    assert healed["problem"] is None, "a merge patch removes it"
    assert conditions.is_written({name: value for name, value in healed.items() if value is not None}, healed)
    assert not conditions.is_written(first, healed)
