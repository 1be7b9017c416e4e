"""Which requests for executions are changed, and which pass as they are."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from execution_options.webhook.handler import Handler
from execution_options.webhook.review import GroupVersionKind, Request, UserInfo
from support import descriptions
from support.webhookindex import DESCRIPTIONS, PATH, Answers, index_with, options
from support.workloads import controlled_by, job, pod

JOBSET = "system:serviceaccount:jobset-system:jobset-controller-manager"


def request(manifest: dict[str, Any], kind: str = "Job", user: UserInfo | None = None, group: str = "batch") -> Request:
    body: Any = json.dumps(manifest).encode()
    what = GroupVersionKind(group, "v1", kind)
    return Request("u", what, "CREATE", namespace="team", user_info=user or UserInfo(JOBSET), object=body)


async def test_a_part_of_an_execution_stays_as_that_made_it() -> None:
    kube = Answers()
    handler = Handler(index_with(kube, options("o", "1", "x")), (), (JOBSET, "system:serviceaccounts:kube-system"))
    part = controlled_by(job(), "jobset.x-k8s.io/v1alpha2", "JobSet", "set")
    assert (await handler.answer(request(part))).result == "unchanged"
    given = controlled_by(job(labels={"execution.dev/id": "x"}), "jobset.x-k8s.io/v1alpha2", "JobSet", "set")
    assert (await handler.answer(request(given))).result == "unchanged"
    cluster = UserInfo("system:serviceaccount:kube-system:any", ("system:serviceaccounts:kube-system",))
    assert (await handler.answer(request(given, user=cluster))).result == "unchanged"
    driver = UserInfo("system:serviceaccount:team:spark", extra={"authentication.kubernetes.io/pod-uid": ("7",)})
    executor = controlled_by(pod(labels={"execution.dev/id": "x"}), "v1", "Pod", "driver", "7")
    assert (await handler.answer(request(executor, "Pod", driver, ""))).result == "unchanged"
    assert kube.asked == []


@pytest.mark.parametrize("user", ["ann", "system:serviceaccount:team:default", "system:serviceaccount:team:spark"])
async def test_an_owner_that_anybody_else_claims_changes_nothing(user: str) -> None:
    kube = Answers(**{PATH: [options("o", "1", "x")]})
    kube.answers["/api/v1/namespaces/team"] = {"metadata": {"name": "team"}}
    handler = Handler(index_with(kube, options("o", "1", "x")), (), (JOBSET,))
    claim = controlled_by(job(), "jobset.x-k8s.io/v1alpha2", "JobSet", "set", "1")
    other = UserInfo(user, extra={"authentication.kubernetes.io/pod-uid": ("2",)})
    assert (await handler.answer(request(claim, user=other))).result == "changed"


async def test_a_kind_that_is_no_engine_passes() -> None:
    assert (await Handler(index_with(Answers()), (), ()).answer(request(job(), "Deployment"))).result == "unchanged"


def described(version: str = "v1") -> dict[str, Any]:
    return {"metadata": {"name": "backup"}, "spec": descriptions.spec(version=version)}


async def test_an_engine_that_was_described_just_before_is_known() -> None:
    kube = Answers(
        **{DESCRIPTIONS: [described()], PATH: [options("o", "2", "good")], f"{PATH}/o": options("o", "2", "good")}
    )
    kube.answers["/api/v1/namespaces/team"] = {"metadata": {"name": "team"}}
    manifest = {"apiVersion": "example.com/v1", "kind": "Backup", "metadata": {"name": "b"}}
    create = Request("u", GroupVersionKind("example.com", "v1", "Backup"), "CREATE", namespace="team")
    create = msgspec.structs.replace(create, object=msgspec.Raw(json.dumps(manifest).encode()))
    assert (await Handler(index_with(kube), (), ()).answer(create)).result == "changed"
    # Its paths are those of one version.
    kube.answers[DESCRIPTIONS] = [described("v2")]
    assert (await Handler(index_with(kube), (), ()).answer(create)).result == "unchanged"
