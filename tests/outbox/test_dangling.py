"""A launch plan is reported exactly if its executions are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.admission.creation import decide
from execution_options.admission.refusal import RefusedError
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import OPTIONS_ANNOTATION
from execution_options.engines.profile import builtin
from execution_options.outbox.dangling import Dangling, dangling, notified
from support.options import NAMESPACE, cluster, execution, namespaced

from .test_compose import MAIL, PAGER, channels

if TYPE_CHECKING:
    from execution_options.outbox.compose import Composed

JOB = next(engine for engine in builtin() if engine.name == "job")
CRON = JOB.launch_plans[0]
HERE = {"env": "prod"}
KNOWN = [
    namespaced("o"),
    namespaced("all", {"selector": {}}),
    cluster("everywhere"),
    cluster("elsewhere", {"namespaceSelector": {"matchLabels": {"env": "dev"}}}),
]


def plan(text: str | None) -> ObjectMeta:
    annotations = {} if text is None else {OPTIONS_ANNOTATION: text}
    return ObjectMeta(name="nightly", namespace=NAMESPACE, uid="u1", annotations=annotations)


def found(text: str | None, *known: Any) -> Dangling | None:
    return dangling(JOB, CRON, plan(text), HERE, known or KNOWN)


NAMES = st.sampled_from(
    ["o", "gone", "all", "cluster/everywhere", "cluster/elsewhere", "cluster/gone", "none", "No!", ""]
)


@given(st.lists(NAMES, min_size=1, max_size=4).map(",".join))
def test_a_reference_dangles_if_an_execution_would_be_refused_for_it(text: str) -> None:
    document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"template": {"spec": {}}}}
    try:
        started = structs.replace(execution(started_by="nightly", plan_options=text), namespace_labels=HERE)
        decide(JOB, document, started, KNOWN, "0" * 16)
    except RefusedError as error:
        reason: str | None = error.reason
    except ValueError:
        reason = "InvalidReference"
    else:
        reason = None
    problem = found(text)
    assert (None if problem is None else problem.reason) == reason


def test_it_says_what_is_wrong_and_what_would_be_right() -> None:
    problem = found("o, gone, cluster/elsewhere")
    assert problem is not None
    assert problem.message == (
        "every execution that CronJob nightly starts is refused: its annotation execution.dev/options refers to what "
        "does not exist: ExecutionOptions gone in its namespace, ClusterExecutionOptions elsewhere for its namespace. "
        "Create it, or correct the annotation"
    )


def sent(*notifications: dict[str, Any], text: str = "o,gone", day: str = "2026-11-30", **spec: Any) -> list[Composed]:
    problem = found(text, namespaced("o", {"notifications": list(notifications), **spec}))
    assert problem is not None
    return notified(JOB, CRON, plan(text), problem, channels(mail=MAIL, pager=PAGER), day)


MAILED = {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}
PAGED = {"phases": ["FAILED"], "pagerDuty": {"recipients": ["on-call"]}}


@pytest.mark.parametrize(("text", "spec"), [("o,gone", {}), ("gone", {"selector": {}})])
def test_recipients_of_failures_are_notified_once_a_day(text: str, spec: dict[str, Any]) -> None:
    (mail, page) = sent(MAILED, PAGED, {"phases": ["SUCCEEDED"], "email": {"recipients": ["d@e.f"]}}, text=text, **spec)
    assert mail.spec.recipients == ("a@b.c",)
    assert mail.spec.message.subject == "CronJob nightly starts nothing: its executions are refused"
    assert "ExecutionOptions gone in its namespace" in mail.spec.message.text
    # A later success resolves it.
    assert page.spec.lineage == f"job/{NAMESPACE}/CronJob/nightly"
    assert page.spec.serialised
    assert [one.name for one in sent(MAILED, PAGED, text=text, **spec)] == [mail.name, page.name]
    assert mail.name not in [one.name for one in sent(MAILED, text=text, day="2026-12-01", **spec)]


def test_another_dangling_reference_is_notified_the_same_day() -> None:
    assert sent(MAILED)[0].name != sent(MAILED, text="o,lost")[0].name


def test_the_message_has_no_link_to_an_execution() -> None:
    problem = found("o,gone", namespaced("o", {"notifications": [MAILED]}))
    assert problem is not None
    linked = channels(mail={**MAIL, "executionURL": "https://jobs.example.com/{{ name }}"})
    (mail,) = notified(JOB, CRON, plan("o,gone"), problem, linked, "2026-11-30")
    assert "jobs.example.com" not in mail.spec.message.html
