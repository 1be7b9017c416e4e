"""Every typo is heard: what a user writes that means nothing is refused, warned of, or in a condition."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from execution_options.api.decoding import UnreadableError
from execution_options.api.names import (
    API_VERSION,
    CHANNEL_KIND,
    DELIVERY_KIND,
    DELIVERY_PLURAL,
    ENGINE_KIND,
    GROUP,
    VERSION,
)
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support import descriptions
from support.team import RefusedError, Team, options_manifest
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import Cluster

pytestmark = pytest.mark.e2e

Manifest = dict[str, Any]

MAIL = {"phases": ["FAILED"], "email": {"recipients": ["a@example.com"]}}
SMTP = {"host": "smtp.example.com", "from": "a@example.com"}


@pytest.fixture(scope="module")
def webhook(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The whole operator, since conditions are the controller's."""
    with LocalOperator(control_plane.kubeconfig, control_plane.context, controller=("--status-interval", "0.3")) as one:
        yield one


def schema(**properties: Any) -> Manifest:
    return {"type": "object", "properties": properties}


TEXT = {"type": "string"}
LIST = {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
TEMPLATE = schema(
    metadata=schema(**{kind: {"type": "object", "additionalProperties": TEXT} for kind in ("labels", "annotations")}),
    spec=schema(
        serviceAccountName=TEXT, containers={"type": "array", "items": schema(name=TEXT, image=TEXT, env=LIST)}
    ),
)
CRATE: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "crates.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Crate", "plural": "crates", "singular": "crate"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": schema(
                        spec=schema(steps={"type": "array", "items": schema(name=TEXT, template=TEMPLATE)}),
                        status=schema(done={"type": "boolean"}),
                    )
                },
            }
        ],
    },
}
DEFINITIONS = path_of("apiextensions.k8s.io", "v1", "customresourcedefinitions")


@pytest.fixture
def crates(team: Team) -> Iterator[None]:
    """The kind of an engine, with a schema."""
    team.request("POST", DEFINITIONS, CRATE)
    try:
        runs = path_of("example.com", "v1", "crates")
        eventually(lambda: team.request("GET", runs), retry_on=(RefusedError, UnreadableError))
        yield
    finally:
        team.request("DELETE", f"{DEFINITIONS}/crates.example.com")
        eventually(
            lambda: not team.request("GET", f"{DEFINITIONS}?fieldSelector=metadata.name=crates.example.com")["items"]
        )


def engine(name: str = "crate", **changes: Any) -> Manifest:
    manifest = {"apiVersion": API_VERSION, "kind": ENGINE_KIND, "metadata": {"name": name}}
    return {**manifest, "spec": descriptions.spec(**{"kind": "Crate", "plural": "crates", **changes})}


def channel(name: str, **changes: Any) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": CHANNEL_KIND,
        "metadata": {"name": name, **changes},
        "spec": {"email": SMTP},
    }


def namespace(**metadata: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-", **metadata}}


def delivery() -> Manifest:
    spec = {
        "phase": "FAILED",
        "episode": "2026-11-23T12:00:00Z",
        "channel": {"namespace": "", "name": "", "type": "email"},
        "recipients": ["a@example.com"],
        "unsent": {"state": "Suppressed", "reason": "Disabled", "message": "by options"},
        "message": {"type": "email", "subject": "s", "text": "t"},
    }
    return {"apiVersion": API_VERSION, "kind": DELIVERY_KIND, "metadata": {"name": "d"}, "spec": spec}


def ours(**metadata: str) -> dict[str, str]:
    return {f"{GROUP}/{key.replace('_', '-')}": value for key, value in metadata.items()}


def selecting(**selector: Any) -> Manifest:
    return options_manifest("o", {"selector": selector, "labels": {"a": "b"}})


def notifying(*notifications: Manifest) -> Manifest:
    return options_manifest("o", {"notifications": list(notifications)})


def running_as(account: str, **more: str) -> Manifest:
    return options_manifest("o", {"securityContext": {"runAs": {"k8sServiceAccount": account, **more}}})


def a_job(**annotations: str) -> Manifest:
    return {**job("j"), "metadata": {"name": "j", "annotations": ours(**annotations)}}


def labelled_job(**labels: str) -> Manifest:
    return {**job("j"), "metadata": {"name": "j", "labels": ours(**labels)}}


def job_whose_pods_have(**annotations: str) -> Manifest:
    made = copy.deepcopy(job("j"))
    made["metadata"] = {"name": "j"}
    made["spec"]["template"]["metadata"] = {"annotations": ours(**annotations)}
    return made


def cron_job(*, jobs: Manifest | None = None, pods: Manifest | None = None, **metadata: Any) -> Manifest:
    spec = copy.deepcopy(job("j")["spec"])
    spec["template"]["metadata"] = pods or {}
    template = {"metadata": jobs or {}, "spec": spec}
    made = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", **metadata}}
    return {**made, "spec": {"schedule": "0 0 * * *", "jobTemplate": template}}


def pod(**metadata: Any) -> Manifest:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **metadata}, "spec": spec}


class Typo(NamedTuple):
    title: str
    manifest: Manifest
    words: str


WARNED = (
    Typo("engine", selecting(engines=["jobb"]), "engines: jobb is no known engine: did you mean job?"),
    Typo(
        "launcher", selecting(launchedBy={"kind": "Cronjob", "name": "x"}), "Cronjob launches no known execution: did"
    ),
    Typo("channel", notifying(MAIL | {"channelRef": {"name": "mial"}}), "there is no NotificationChannel mial"),
    Typo("no channel", notifying(MAIL), "there is no NotificationChannel for email with default: true"),
    Typo("account", running_as("trainr"), "service account 'trainr' does not exist"),
    Typo(
        "engine's path", engine(podTemplates=["spec.steps[*].tmplate"]), "no 'tmplate' in spec.steps[*]: did you mean"
    ),
    Typo(
        "path of a status",
        engine(status={"phases": [{"phase": "FAILED", "when": [{"path": "status.don"}]}]}),
        "no 'don' in status: did you mean 'done'?",
    ),
    Typo("engine's plural", engine(plural="cratess"), "cratess.example.com in version v1 is not installed"),
    Typo("engine's kind", engine("my-job", group="batch", kind="Job"), "Job is the kind of engine job"),
    Typo("test", channel("c", annotations=ours(test_notificaton="1")), "did you mean execution.dev/test-notification?"),
    Typo(
        "value of a namespace", namespace(labels=ours(failure_policy="fail")), "write execution.dev/failure-policy=Fail"
    ),
    Typo("pods of a namespace", namespace(labels=ours(pods="enable")), "write execution.dev/pods=enabled"),
    Typo("label of a namespace", namespace(labels=ours(pod="enabled")), "did you mean execution.dev/pods?"),
    Typo("annotation of a namespace", namespace(annotations=ours(pods="enabled")), "write it as a label"),
    Typo(
        "limit of a namespace",
        namespace(annotations=ours(allowed_service_acounts="a")),
        "did you mean execution.dev/allowed-service-accounts?",
    ),
    Typo("annotation", a_job(option="o"), "write the annotation execution.dev/options"),
    Typo("label of an execution", labelled_job(options="o"), "write it as an annotation"),
    Typo(
        "pod template",
        job_whose_pods_have(options="o"),
        "spec.template.metadata.annotations: execution.dev/options has",
    ),
    Typo(
        "launch plan",
        cron_job(annotations=ours(option="o")),
        "option has no effect: did you mean execution.dev/options?",
    ),
    Typo(
        "launch plan's reference", cron_job(annotations=ours(options="gone")), "ExecutionOptions 'gone' does not exist"
    ),
    Typo("no reference", cron_job(annotations=ours(options="A!")), "'A!' is not a name of options"),
    Typo("jobs of a launch plan", cron_job(jobs={"annotations": ours(options="gone")}), "'gone' does not exist"),
    Typo(
        "its pods",
        cron_job(pods={"annotations": ours(options="o")}),
        "template.metadata.annotations: execution.dev/options",
    ),
    Typo("its silence", cron_job(annotations=ours(disable_notifications="true")), "has no effect on a CronJob"),
    Typo("bare pod", pod(annotations=ours(group="g")), "are executions only where they have the annotation"),
    Typo("bare pod's annotation", pod(annotations=ours(option="o")), "did you mean execution.dev/options?"),
)

REFUSED = (
    Typo("phase", notifying(MAIL | {"phases": ["FAILD"]}), 'Unsupported value: "FAILD"'),
    Typo("mode", options_manifest("o", {"mode": "enforce", "selector": {}}), 'Unsupported value: "enforce"'),
    Typo("policy", running_as("a", serviceAccountPolicy="create"), 'Unsupported value: "create"'),
    Typo("guarantee", options_manifest("o", {"notificationGuarantee": "held"}), 'Unsupported value: "held"'),
    Typo("variable", notifying(MAIL | {"template": {"body": "{{ phas }}"}}), "there is no variable phas"),
    Typo("phase of an engine", engine(status={"phases": [{"phase": "FAILD"}]}), 'Unsupported value: "FAILD"'),
    Typo("reference", a_job(options="gone"), "refers to ExecutionOptions 'gone', which does not exist"),
    Typo("reference to the cluster", a_job(options="clutser/gone"), "is not a name of options"),
    Typo("flag", a_job(disable_notifications="yes"), 'is \'yes\', write "true" or "false"'),
)

PATHS = {
    "Namespace": path_of("", "v1", "namespaces"),
    ENGINE_KIND: path_of(GROUP, VERSION, "executionengines"),
}


def path_to(team: Team, kind: str) -> str:
    if kind == CHANNEL_KIND:
        return path_of(GROUP, VERSION, "notificationchannels", team.namespace)
    return PATHS.get(kind) or team.path(kind)


def try_out(team: Team, manifest: Manifest) -> None:
    path = f"{path_to(team, manifest['kind'])}?dryRun=All&fieldValidation=Strict"
    team.request("POST", path, copy.deepcopy(manifest))


@pytest.fixture
def in_force(team: Team) -> None:
    """An entry is in force a moment after it was written."""

    def warned() -> bool:
        for manifest in (
            selecting(engines=["jobb"]),
            namespace(labels=ours(pod="x")),
            cron_job(annotations=ours(a="b")),
        ):
            try_out(team, manifest)
            assert team.warnings, manifest
        return True

    eventually(warned)


def test_what_means_nothing_is_warned_of_when_it_is_applied(team: Team, crates: None, in_force: None) -> None:
    unheard = []
    for typo in WARNED:
        try_out(team, typo.manifest)
        if not any(typo.words in warning.replace('\\"', '"') for warning in team.warnings):
            unheard.append((typo.title, team.warnings))
    assert unheard == []


def test_what_cannot_be_is_refused(team: Team, crates: None, in_force: None) -> None:
    unheard = []
    for typo in REFUSED:
        try:
            try_out(team, typo.manifest)
            unheard.append((typo.title, "accepted"))
        except RefusedError as error:
            if typo.words not in str(error):
                unheard.append((typo.title, str(error)))
    assert unheard == []


def test_a_request_for_a_redelivery_that_means_nothing_is_warned_of(team: Team, in_force: None) -> None:
    deliveries = path_of(GROUP, VERSION, DELIVERY_PLURAL, team.namespace)
    team.request("POST", deliveries, delivery())
    path = f"{deliveries}/d?dryRun=All"

    def warned(kind: str, **metadata: str) -> list[str]:
        team.request("PATCH", path, {"metadata": {kind: ours(**metadata)}}, "application/merge-patch+json")
        return team.warnings

    (warning,) = warned("labels", redelivr="1")
    assert "did you mean execution.dev/redeliver?" in warning
    (warning,) = warned("annotations", redeliver="1")
    assert "the label execution.dev/redeliver asks for a redelivery" in warning
    assert warned("labels", redeliver="1") == []


def test_launch_plans_of_engines_added_at_run_time_are_checked_alike(
    team: Team, crates: None, in_force: None, tolerated: list[str], cluster_objects: Callable[[str, Manifest], None]
) -> None:
    tolerated += [r"engine \S+: RightsMissing", r"store: /apis/example\.com/v1/\w+: 403", "are described no more"]
    cluster_objects(path_of("rbac.authorization.k8s.io", "v1", "clusterroles"), rights("apps", "statefulsets"))
    # Any kind will do that the API server has.
    plan = {"group": "apps", "version": "v1", "kind": "StatefulSet", "plural": "statefulsets"}
    described = engine(podTemplates=["spec.steps[*].template"], launchPlans=[plan])
    cluster_objects(path_of(GROUP, VERSION, "executionengines"), described)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    typo = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s", "annotations": ours(option="o")},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    path = f"{path_of('apps', 'v1', 'statefulsets', team.namespace)}?dryRun=All"

    def warned() -> bool:
        team.request("POST", path, copy.deepcopy(typo))
        return any("option has no effect: did you mean execution.dev/options?" in text for text in team.warnings)

    eventually(warned)
    typo["metadata"] = {"name": "s", "annotations": ours(options="gone")}
    team.request("POST", path, copy.deepcopy(typo))
    assert any("ExecutionOptions 'gone' does not exist" in text for text in team.warnings)


def test_what_is_right_is_not_warned_of(team: Team, crates: None, in_force: None) -> None:
    team.options("base", {"labels": {"a": "b"}})
    right = (
        selecting(engines=["job"], launchedBy={"kind": "CronJob", "name": "x*"}),
        engine(podTemplates=["spec.steps[*].template"]),
        channel("c", annotations=ours(test_notification="1")),
        namespace(labels=ours(pods="enabled", failure_policy="Fail")),
        namespace(labels=ours(pods="disabled", failure_policy="Ignore")),
        namespace(annotations=ours(allowed_service_accounts="a", allowed_output_prefixes="s3://b/")),
        a_job(options="base"),
        cron_job(
            annotations=ours(options="base"), jobs={"annotations": ours(options="none", disable_notifications="true")}
        ),
        pod(labels={"example.com/team": "a"}),
    )
    for manifest in right:
        try_out(team, manifest)
        assert team.warnings == [], manifest


def test_the_webhook_is_not_asked_about_other_namespaces(team: Team, webhook: LocalOperator, in_force: None) -> None:
    def asked() -> int:
        lines = subprocess.run(["curl", "-s", webhook.url("webhook", "/metrics")], capture_output=True, text=True)
        counted = [
            line
            for line in lines.stdout.splitlines()
            if "_admission_requests_total{" in line and 'engine="none"' in line
        ]
        return sum(int(float(line.rpartition(" ")[2])) for line in counted)

    before = asked()
    try_out(team, namespace(labels={"example.com/team": "a"}))
    try_out(team, pod(labels={"example.com/team": "a"}))
    assert asked() == before
    try_out(team, namespace(labels=ours(pods="enabled")))
    assert asked() == before + 1


def test_conditions_say_it_too_and_the_first_columns_name_the_worst(
    team: Team, in_force: None, tolerated: list[str]
) -> None:
    tolerated.append("ServiceAccountMissing")
    for name, spec in (
        ("engine", selecting(engines=["jobb"])["spec"]),
        ("account", running_as("trainr")["spec"]),
        ("channel", notifying(MAIL | {"channelRef": {"name": "mial"}})["spec"]),
        ("right", {"labels": {"a": "b"}}),
    ):
        team.options(name, spec)
    wanted = {
        "engine": "FieldsWithoutEffect",
        "account": "ServiceAccountMissing",
        "channel": "ChannelMissing",
        "right": "",
    }
    for name, reason in wanted.items():
        eventually(lambda name=name, reason=reason: _has(team, name, reason))
    columns = [line.split() for line in team.kubectl("get", "eo").splitlines()]
    assert columns[0][:3] == ["NAME", "READY", "PROBLEM"]
    assert ["account", "False", "ServiceAccountMissing"] in [line[:3] for line in columns]
    # It goes away with what was wrong.
    team.merge("ExecutionOptions", "engine", {"spec": {"selector": {"engines": ["job"]}}})
    eventually(lambda: _has(team, "engine", ""))


def _has(team: Team, name: str, reason: str) -> bool:
    stored = team.get("ExecutionOptions", name)
    assert stored["status"]["observedGeneration"] == stored["metadata"]["generation"]
    assert stored["status"].get("problem", {}).get("reason", "") == reason
    return True


def test_an_engine_whose_path_leads_nowhere_is_seen_wherever_somebody_looks(
    team: Team, crates: None, in_force: None, tolerated: list[str], cluster_objects: Callable[[str, Manifest], None]
) -> None:
    tolerated += [r"engine \S+: RightsMissing", r"store: /apis/example\.com/v1/\w+: 403", "are described no more"]
    cluster_objects(path_of("rbac.authorization.k8s.io", "v1", "clusterroles"), rights())
    engines = path_of(GROUP, VERSION, "executionengines")
    team.options("o", {"selector": {"engines": ["crate"]}, "labels": {"a": "b"}, "envs": [{"name": "E", "value": "1"}]})
    cluster_objects(engines, engine(podTemplates=["spec.steps[*].tmplate"]))

    def is_reported() -> bool:
        status = team.request("GET", f"{engines}/crate")["status"]
        found = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
        assert found == {"Ready": ("True", "InUse"), "PathsExist": ("False", "PathsNotInSchema")}
        assert "did you mean 'template'?" in status["problem"]["message"]
        return True

    eventually(is_reported)
    eventually(lambda: _has(team, "o", "FieldsWithoutEffect"))
    assert "ExecutionEngine crate" in team.get("ExecutionOptions", "o")["status"]["problem"]["message"]

    container = {"name": "main", "image": "busybox"}
    steps = [{"name": "one", "template": {"spec": {"containers": [container]}}}]
    crate = {"apiVersion": "example.com/v1", "kind": "Crate", "metadata": {"name": "c"}, "spec": {"steps": steps}}
    runs = path_of("example.com", "v1", "crates", team.namespace)
    team.request("POST", runs, crate)
    shown = explained(team)
    assert "(not there) 1" in shown
    assert "nothing is at spec.steps[*].tmplate" in shown
    assert "labels[a]" in shown
    assert "(not there) b" not in shown, "the execution itself has the label"

    # Mended, it is as if nothing had been wrong.
    change = {"spec": {"podTemplates": ["spec.steps[*].template"]}}
    team.request("PATCH", f"{engines}/crate", change, "application/merge-patch+json")
    assert team.warnings == []
    eventually(lambda: _has(team, "o", ""))

    def reached() -> bool:
        made = team.request("POST", f"{runs}?dryRun=All", {**crate, "metadata": {"name": "d"}})
        assert made["spec"]["steps"][0]["template"]["spec"]["containers"][0]["env"] == [{"name": "E", "value": "1"}]
        return True

    eventually(reached)


def rights(*launch_plans: str) -> Manifest:
    metadata: Manifest = {"name": "engine-crates", "labels": {"rbac.execution.dev/aggregate-to-controller": "true"}}
    rule = {"apiGroups": ["example.com"], "resources": ["crates"], "verbs": ["get", "list", "watch", "patch"]}
    rules = [rule]
    if launch_plans:
        group, plural = launch_plans
        metadata["labels"]["rbac.execution.dev/aggregate-to-webhook"] = "true"
        rules.append({"apiGroups": [group], "resources": [plural], "verbs": ["get", "list", "watch"]})
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}


@pytest.fixture
def cluster_objects(team: Team) -> Iterator[Callable[[str, Manifest], None]]:
    """Creates objects outside of the namespace, and removes them in the end."""
    made: list[str] = []

    def create(collection: str, manifest: Manifest) -> None:
        team.request("POST", collection, manifest)
        made.append(f"{collection}/{manifest['metadata']['name']}")

    yield create
    for path in reversed(made):
        team.request("DELETE", path)


def explained(team: Team) -> str:
    command = [*(sys.executable, "-m", "execution_options", "explain", "crate/c", "-n", team.namespace)]
    command += ["--kubeconfig", str(team.cluster.kubeconfig), "--context", str(team.cluster.context)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
