"""The deliveries of an end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.crd import crd
from execution_options.api.delivery import DeliverySpec
from execution_options.api.delivery_status import DeliveryStatus
from execution_options.api.meta import ObjectMeta, OwnerReference
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import DELIVERY_KIND
from execution_options.engines.phases import Outcome
from execution_options.engines.profile import builtin
from execution_options.notifications.cause import Cause
from execution_options.notifications.route import Channel, ChannelKey, Channels
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.merge import merge
from execution_options.outbox import state
from execution_options.outbox.compose import Composed, compose, ended, is_disabled

JOB = next(engine for engine in builtin() if engine.name == "job")
MAIL = {"default": True, "email": {"host": "mail.example.com", "from": "jobs@example.com"}}
PAGER = {"default": True, "pagerDuty": {"routingKeySecretRef": {"name": "s", "key": "k"}}}
METADATA = ObjectMeta(
    name="train-x7k2p",
    generate_name="train-",
    namespace="team",
    uid="u1",
    creation_timestamp="2026-11-23T11:00:00Z",
    labels={"execution.dev/id": "0123456789abcdef"},
)
SOURCE = Source(Level.NAMESPACE_DEFAULT, "ExecutionOptions", "nightly", "o1", 1)
FAILED = Outcome("FAILED", "OOM", "2026-11-23T12:00:00Z")


def channels(**specs: Any) -> Channels:
    known = [
        Channel(ChannelKey("team", name), msgspec.convert(spec, NotificationChannelSpec))
        for name, spec in specs.items()
    ]
    return Channels(known, "team", {}, "system")


def composed(
    spec: dict[str, Any], outcome: Outcome = FAILED, *, disabled: bool = False, **known: Any
) -> list[Composed]:
    effective = merge([Layer(SOURCE, msgspec.convert(spec, ExecutionOptionsSpec))])
    return compose(ended(JOB, METADATA, outcome), effective, channels(**known), disabled=disabled)


def mail(*phases: str, to: str = "a@b.c") -> dict[str, Any]:
    return {"phases": list(phases), "email": {"recipients": [to]}}


def test_each_channel_has_one_delivery_derived_from_the_end() -> None:
    spec = {"notifications": [mail("FAILED"), mail("FAILED", to="d@e.f"), mail("SUCCEEDED", to="x@y.z")]}
    (one,) = composed(spec, mail=MAIL)
    assert one.name.startswith("train-x7k2p-")
    assert one.spec.recipients == ("a@b.c", "d@e.f")
    assert (one.spec.channel.name, one.spec.channel.type) == ("mail", "email")
    assert one.spec.episode == "2026-11-23T12:00:00Z"
    assert one.spec.lineage == "job/team/train"
    assert one.spec.unsent is None
    assert [one.name] == [again.name for again in composed(spec, mail=MAIL)]
    later = Outcome("FAILED", "OOM", "2026-11-23T13:00:00Z")
    assert one.name != composed(spec, later, mail=MAIL)[0].name


def test_suppressed_and_unrouted_notifications_are_recorded_with_a_reason() -> None:
    (silent,) = composed({"notifications": [mail("FAILED")], "disableNotifications": True}, mail=MAIL)
    assert silent.spec.unsent is not None
    assert (silent.spec.unsent.state, silent.spec.unsent.reason) == ("Suppressed", "Disabled")
    assert "nightly" in silent.spec.unsent.message
    (silent,) = composed({"notifications": [mail("FAILED")]}, disabled=True, mail=MAIL)
    assert silent.spec.unsent is not None
    (lost,) = composed({"notifications": [mail("FAILED")]})
    assert lost.spec.unsent is not None
    assert (lost.spec.unsent.state, lost.spec.unsent.reason) == ("Failed", "NoChannel")
    assert lost.spec.recipients == ("a@b.c",)


def test_a_success_resolves_an_earlier_incident_in_pagerduty() -> None:
    spec = {"notifications": [{"phases": ["FAILED"], "pagerDuty": {"recipients": ["svc@example.com"]}}]}
    (failure,) = composed(spec, pager=PAGER)
    (success,) = composed(spec, Outcome("SUCCEEDED", "", "2026-11-23T13:00:00Z"), pager=PAGER)
    assert failure.lineage_digest == success.lineage_digest != ""
    assert failure.spec.serialised


def test_the_launch_plan_is_the_lineage() -> None:
    owner = OwnerReference("batch/v1", "CronJob", "nightly", "c1", controller=True)
    launched = msgspec.structs.replace(METADATA, owner_references=[owner])
    assert ended(JOB, launched, FAILED).lineage == "job/team/CronJob/nightly"


@pytest.mark.parametrize(
    ("engine", "labels", "definition"),
    [
        ("argo-workflow", {"workflows.argoproj.io/workflow-template": "train"}, "train"),
        (
            "argo-workflow",
            {"workflows.argoproj.io/cron-workflow": "c", "workflows.argoproj.io/workflow-template": "t"},
            "c",
        ),
        ("tekton-pipelinerun", {"tekton.dev/pipeline": "build"}, "build"),
        ("tekton-taskrun", {"tekton.dev/task": "lint", "tekton.dev/pipeline": ""}, "lint"),
        ("flyte-workflow", {"workflow-name": "flows.train"}, "flows.train"),
        # Labels of other engines are ignored.
        ("job", {"workflow-name": "nightly"}, "train"),
    ],
)
def test_the_definition_that_the_engine_names_is_the_lineage(
    engine: str, labels: dict[str, str], definition: str
) -> None:
    described = next(one for one in builtin() if one.name == engine)
    run = msgspec.structs.replace(METADATA, labels=labels)
    assert ended(described, run, FAILED).lineage == f"{engine}/team/{definition}"


@pytest.mark.parametrize(
    ("level", "value", "disabled"),
    [
        (Level.EXECUTION, False, True),
        (Level.CLUSTER_ENFORCE, False, False),
        (Level.CLUSTER_ENFORCE, True, True),
    ],
)
def test_enforced_options_take_precedence_over_the_annotation(level: Level, value: bool, disabled: bool) -> None:
    layer = Layer(Source(level, "ClusterExecutionOptions", "x", "c"), ExecutionOptionsSpec(disable_notifications=value))
    assert is_disabled(merge([layer]), True) is disabled
    assert not is_disabled(merge([]), None)


def test_the_schema_has_every_field_that_is_written() -> None:
    """The API server would drop a field that the schema does not have."""
    (one,) = composed({"notifications": [mail("FAILED")], "disableNotifications": True}, mail=MAIL)
    written = one.manifest("team")["spec"]
    assert msgspec.to_builtins(msgspec.convert(written, DeliverySpec)) == written
    assert set(state.Status.__struct_encode_fields__) == set(DeliveryStatus.__struct_encode_fields__)
    cause = Cause(pod="train-0", container="main", reason="OOMKilled", exit_code=137, message="x", failed=1, pods=2)
    effective = merge([Layer(SOURCE, msgspec.convert({"notifications": [mail("FAILED")]}, ExecutionOptionsSpec))])
    (caused,) = compose(ended(JOB, METADATA, FAILED, cause=cause), effective, channels(mail=MAIL), disabled=False)
    written = caused.manifest("team")["spec"]
    assert written["cause"] == {"pod": "train-0", "container": "main", "reason": "OOMKilled", "exitCode": 137}
    assert msgspec.to_builtins(msgspec.convert(written, DeliverySpec)) == written
    (untimed,) = composed({"notifications": [mail("FAILED")]}, Outcome("FAILED"), mail=MAIL)
    assert untimed.manifest("team")["spec"]["episode"] == ""
    status = crd(DELIVERY_KIND)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"][
        "properties"
    ]
    assert set(state.Recipient.__struct_encode_fields__) == set(status["recipients"]["items"]["properties"])
    assert set(state.Claim.__struct_encode_fields__) == set(status["claim"]["properties"])


def test_a_recovery_is_a_delivery_of_its_own_that_finds_the_failure() -> None:
    told = mail("FAILED") | {"onRecovery": True}
    (failure,) = composed({"notifications": [told]}, mail=MAIL)
    outcome = Outcome("SUCCEEDED", "", "2026-11-23T13:00:00Z")
    recovery, success = sorted(
        composed({"notifications": [told, mail("SUCCEEDED", to="x@y.z")]}, outcome, mail=MAIL),
        key=lambda one: one.spec.recipients,
    )
    assert recovery.name != success.name
    assert (recovery.spec.recovers, success.spec.recovers) == (True, False)
    assert failure.lineage_digest == recovery.lineage_digest != ""
    assert not failure.spec.serialised
    assert recovery.spec.message.subject == "train-x7k2p succeeded again"
    written = recovery.manifest("team")["spec"]
    assert msgspec.to_builtins(msgspec.convert(written, DeliverySpec)) == written


def test_members_of_a_group_have_a_key_in_common() -> None:
    told = mail("FAILED", "SUCCEEDED") | {"group": {"by": ["lineage"], "wait": "1m"}}
    (one,) = composed({"notifications": [told]}, mail=MAIL)
    (other,) = composed({"notifications": [told]}, Outcome("SUCCEEDED", "", "2026-11-23T13:00:00Z"), mail=MAIL)
    assert one.spec.group == other.spec.group
    assert one.spec.group is not None
    assert (one.spec.group.title, one.spec.group.wait_seconds, one.spec.group.interval_seconds) == ("train", 60, 300)
    written = one.manifest("team")
    assert written["metadata"]["labels"] == {"execution.dev/notification-group": one.spec.group.key}
    assert msgspec.to_builtins(msgspec.convert(written["spec"], DeliverySpec)) == written["spec"]
    (apart,) = composed({"notifications": [mail("FAILED", to="x@y.z") | {"group": {"by": ["lineage"]}}]}, mail=MAIL)
    assert apart.spec.group is not None
    assert apart.spec.group.key != one.spec.group.key


def test_a_channel_groups_what_does_not_say_otherwise() -> None:
    grouping = MAIL | {"group": {"by": ["namespace"]}}
    (one,) = composed({"notifications": [mail("FAILED")]}, mail=grouping)
    assert one.spec.group is not None
    assert one.spec.group.title == "team"
    own = mail("FAILED") | {"group": {"by": ["options"], "interval": "1h"}}
    (one,) = composed({"notifications": [own]}, mail=grouping)
    assert one.spec.group is not None
    assert (one.spec.group.title, one.spec.group.interval_seconds) == ("nightly", 3600)


def test_a_recovery_is_told_by_itself() -> None:
    told = mail("FAILED") | {"onRecovery": True, "group": {"by": ["lineage"]}}
    (recovery,) = composed({"notifications": [told]}, Outcome("SUCCEEDED", "", "2026-11-23T13:00:00Z"), mail=MAIL)
    assert recovery.spec.group is None
