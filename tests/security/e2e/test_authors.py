"""Options and channels are written by those alone who could do themselves what these do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import API_VERSION, GROUP, VERSION
from execution_options.kube.client import path_of
from support.team import options_manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.team import Team
    from support.users import Users

    Grant = Callable[..., str]
    Manifest = dict[str, Any]

pytestmark = pytest.mark.e2e

WRITE = "create,get,patch,update executionoptions.execution.dev"
ACCOUNT = {"k8sServiceAccount": "trainer", "serviceAccountPolicy": "Create"}
RUN_AS: dict[str, Any] = {"securityContext": {"runAs": ACCOUNT}}


@pytest.fixture(autouse=True)
def in_force(team: Team, users: Users, grant: Grant) -> None:
    """A policy is in force a moment after it was written."""
    grant("nobody", WRITE)
    body = options_manifest("probe", {})
    path = f"{path_of(GROUP, VERSION, 'executionoptions', team.namespace)}?dryRun=All"
    eventually(lambda: users.ask("nobody", "POST", path, body).status == 403)


def cluster_options(team: Team, spec: Manifest) -> Manifest:
    manifest = options_manifest(f"{team.namespace}-c", spec)
    return {**manifest, "kind": "ClusterExecutionOptions"}


def test_who_writes_options_may_create_pods_there(team: Team, users: Users, grant: Grant) -> None:
    grant("writer", WRITE)
    grant("author", WRITE, "create pods")
    path, body = team.path("ExecutionOptions"), options_manifest("o", {"labels": {"a": "1"}})
    refused = users.ask("writer", "POST", path, body)
    assert refused.status == 403
    assert f"options decide how pods run: writer may not create pods in namespace {team.namespace}" in refused.message
    users.may("author", "POST", f"{path}?dryRun=All", body)
    users.may("author", "POST", path, body)
    own = team.path("ExecutionOptions", "o")
    assert users.ask("writer", "PATCH", own, {"spec": {"labels": {"a": "2"}}}).status == 403
    # What options say stays as it is.
    users.may("writer", "PATCH", own, {"metadata": {"labels": {"owner": "writer"}}})
    users.may("writer", "APPLY", f"{own}?fieldManager=writer", body)


def test_a_gitops_tool_is_an_author_like_any_other(team: Team, users: Users, grant: Grant) -> None:
    flux = grant("system:serviceaccount:flux-system:kustomize-controller", WRITE)
    path = f"{team.path('ExecutionOptions', 'o')}?fieldManager=flux"
    body = options_manifest("o", {"labels": {"a": "1"}})
    assert "kustomize-controller may not create pods" in users.ask(flux, "APPLY", path, body).message
    grant(flux, WRITE, "create pods")
    users.may(flux, "APPLY", path, body)


def test_an_account_is_created_for_those_alone_who_could_create_it(team: Team, users: Users, grant: Grant) -> None:
    grant("author", WRITE, "create pods", "create serviceaccounts")
    path = team.path("ExecutionOptions")
    refused = users.ask("author", "POST", path, options_manifest("o", RUN_AS))
    assert refused.status == 403
    assert "author may not create and patch service accounts in namespace" in refused.message
    team.options("o", RUN_AS)
    own = team.path("ExecutionOptions", "o")
    # Others may edit what an administrator wrote, but for the account.
    users.may("author", "PATCH", own, {"spec": {"labels": {"a": "1"}}})
    role = {"iamRole": "arn:aws:iam::123456789012:role/other"}
    assert users.ask("author", "PATCH", own, {"spec": {"securityContext": {"runAs": role}}}).status == 403
    grant("author", "create,patch serviceaccounts")
    users.may("author", "PATCH", own, {"spec": {"securityContext": {"runAs": role}}})
    users.may(
        "author", "POST", path, options_manifest("requires", {"securityContext": {"runAs": {"k8sServiceAccount": "x"}}})
    )


def test_cluster_options_need_the_same_everywhere(team: Team, users: Users, grant: Grant) -> None:
    grant("local", "create pods")
    grant("local", "create clusterexecutionoptions.execution.dev", everywhere=True)
    path = f"{path_of(GROUP, VERSION, 'clusterexecutionoptions')}?dryRun=All"
    refused = users.ask("local", "POST", path, cluster_options(team, {"labels": {"a": "1"}}))
    assert refused.status == 403
    assert "local may not create pods in every namespace" in refused.message
    grant("local", "create pods", everywhere=True)
    users.may("local", "POST", path, cluster_options(team, {"labels": {"a": "1"}}))
    assert (
        "service accounts in every namespace" in users.ask("local", "POST", path, cluster_options(team, RUN_AS)).message
    )


def test_a_namespace_may_list_what_its_options_can_name(team: Team, users: Users) -> None:
    limits = {
        "execution.dev/allowed-output-prefixes": "s3://team/data/, gs://team",
        "execution.dev/allowed-service-accounts": "trainer, default",
    }
    namespace = path_of("", "v1", "namespaces", name=team.namespace)
    users.may("", "PATCH", namespace, {"metadata": {"annotations": limits}})
    path = f"{team.path('ExecutionOptions')}?dryRun=All"

    def asked(spec: Manifest) -> tuple[int, str]:
        answer = users.ask("", "POST", path, options_manifest("o", spec))
        return answer.status, answer.message

    def stored_below(prefix: str) -> Manifest:
        return {"rawOutputDataConfig": {"outputLocationPrefix": prefix}}

    def run_as(account: str) -> Manifest:
        return {"securityContext": {"runAs": {"k8sServiceAccount": account}}}

    eventually(lambda: asked(run_as("other"))[0] == 403)
    assert "k8sServiceAccount other is not one that namespace" in asked(run_as("other"))[1]
    status, message = asked(stored_below("s3://team/database"))
    assert (status, "allows: s3://team/data/, gs://team" in message) == (403, True)
    decoded = ("gs://team/%2E%2e/other", "gs://team/..%2fother")
    for prefix in ("s3://team", "gs://teams", "gs://team/../other", *decoded, "/data"):
        assert asked(stored_below(prefix))[0] == 403, prefix
    for spec in ({}, run_as("trainer"), run_as(""), stored_below("s3://team/data/x"), stored_below("gs://team")):
        assert asked(spec)[0] == 201, spec
    # An administrator's own words.
    everywhere = f"{path_of(GROUP, VERSION, 'clusterexecutionoptions')}?dryRun=All"
    users.may("", "POST", everywhere, cluster_options(team, run_as("other")))


def channel(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": "NotificationChannel", "metadata": {"name": name}, "spec": spec}


def ref(name: str) -> Manifest:
    return {"name": name, "key": "k"}


CHANNELS: dict[str, Any] = {
    "its password": {
        "email": {
            "host": "mail.example.com",
            "from": "a@b.c",
            "auth": {"usernameSecretRef": ref("open"), "passwordSecretRef": ref("closed")},
        }
    },
    "its access token": {
        "email": {
            "host": "mail.example.com",
            "from": "a@b.c",
            "auth": {"usernameSecretRef": ref("open"), "accessTokenSecretRef": ref("closed")},
        }
    },
    "an authority": {"email": {"host": "mail.example.com", "from": "a@b.c", "ca": {"secretRef": ref("closed")}}},
    "a token": {"slack": {"botTokenSecretRef": ref("closed")}},
    "a URL of Slack": {"slack": {"webhookURLSecretRef": ref("closed")}},
    "a routing key": {"pagerDuty": {"routingKeySecretRef": ref("closed")}},
    "one of its services": {
        "pagerDuty": {
            "services": [
                {"name": "a", "routingKeySecretRef": ref("open")},
                {"name": "b", "routingKeySecretRef": ref("closed")},
            ]
        }
    },
    "a URL": {"webhook": {"urlSecretRef": ref("closed")}},
    "a signature": {"webhook": {"url": "https://example.com", "signingSecretRefs": [ref("open"), ref("closed")]}},
    "headers": {"webhook": {"url": "https://example.com", "headersSecretRef": {"name": "closed"}}},
    "a URL of a service": {"teams": {"urlSecretRef": ref("closed")}},
    "a key of a service": {"opsgenie": {"apiKeySecretRef": ref("closed")}},
    "headers of any service": {
        "http": {
            "url": "https://example.com",
            "headersSecretRef": {"name": "closed"},
            "body": '{"text": "{{ subject }}"}',
        }
    },
}


def test_a_channel_names_secrets_that_its_author_may_read(team: Team, users: Users, grant: Grant) -> None:
    grant("author", "create,get,patch notificationchannels.execution.dev", "get secrets:open")
    path = path_of(GROUP, VERSION, "notificationchannels", team.namespace)
    for title, spec in CHANNELS.items():
        refused = users.ask("author", "POST", path, channel("c", spec))
        assert refused.status == 403, title
        assert "author may not get secret closed in namespace" in refused.message, title
    made = {"slack": {"botTokenSecretRef": ref("open")}}
    users.may("author", "POST", path, channel("c", made))
    # The host decides where the secret goes.
    users.may(
        "",
        "POST",
        path,
        channel("admins", {"webhook": {"url": "https://a.example.com", "headersSecretRef": {"name": "closed"}}}),
    )
    elsewhere = {"spec": {"webhook": {"url": "https://b.example.com"}}}
    assert users.ask("author", "PATCH", f"{path}/admins", elsewhere).status == 403
    users.may("author", "PATCH", f"{path}/admins", {"metadata": {"labels": {"a": "1"}}})
    grant("reader", "create notificationchannels.execution.dev", "get secrets")
    services = [{"name": f"s{n}", "routingKeySecretRef": ref(f"key{n}")} for n in range(32)]
    many = channel("many", {"pagerDuty": {"services": services}})
    users.may("reader", "POST", f"{path}?dryRun=All", many)
    assert "at most 12 references to secrets can be checked" in users.ask("author", "POST", path, many).message
    few = channel("few", {"pagerDuty": {"services": services[:12]}})
    grant("keeper", "create notificationchannels.execution.dev", *(f"get secrets:key{n}" for n in range(12)))
    users.may("keeper", "POST", f"{path}?dryRun=All", few)


def test_a_channel_sends_logs_that_its_author_may_read(team: Team, users: Users, grant: Grant) -> None:
    path = path_of(GROUP, VERSION, "notificationchannels", team.namespace)
    hook = {"webhook": {"url": "https://example.com"}}
    grant("author", "create,get,patch notificationchannels.execution.dev")
    refused = users.ask("author", "POST", path, channel("logs", hook | {"logLines": 20}))
    assert refused.status == 403
    assert "author may not get pods/log in namespace" in refused.message
    users.may("author", "POST", path, channel("none", hook | {"logLines": 0}))
    assert users.ask("author", "PATCH", f"{path}/none", {"spec": {"logLines": 1}}).status == 403
    grant("reader", "create notificationchannels.execution.dev", "get pods/log")
    users.may("reader", "POST", path, channel("logs", hook | {"logLines": 20}))
