"""An error of a read is not taken for an object that does not exist."""

from __future__ import annotations

import msgspec
import pytest

from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError, error_of
from execution_options.kube.engines import StoredEngine
from execution_options.webhook.review import GroupVersionKind
from support import descriptions
from support.webhookindex import DESCRIPTIONS, Answers, index_with
from support.workloads import JOB


async def test_a_proxy_that_knows_nothing_has_no_execution_of_a_described_engine_pass() -> None:
    index = index_with(Answers(**{DESCRIPTIONS: error_of(404, b"404 page not found")}))
    kind = GroupVersionKind("example.com", "v1", "Other")
    assert (await index.engines_with(kind)).keys() == builtin_engines().keys(), "the kind may not be installed"
    backup = {"metadata": {"name": "backup", "uid": "1", "resourceVersion": "1"}, "spec": descriptions.spec()}
    stored = msgspec.json.decode(msgspec.json.encode(backup), type=StoredEngine)
    index._engines._store._replace({("", "backup"): stored})
    with pytest.raises(ApiError, match="page not found"):
        await index.engines_with(kind)


async def test_errors_about_launch_plans_and_accounts_are_not_taken_for_their_absence() -> None:
    (plan,) = JOB.launch_plans
    index = index_with(Answers())
    assert await index.plan_annotations(plan, "team", "gone") == {}
    assert await index.account("team", "gone") is None
    failing = ApiError(500, "InternalError", "etcd")
    kube = Answers(**{"/apis/batch/v1/namespaces/team/cronjobs/x": failing})
    kube.answers["/api/v1/namespaces/team/serviceaccounts/x"] = failing
    with pytest.raises(ApiError):
        await index_with(kube).plan_annotations(plan, "team", "x")
    with pytest.raises(ApiError):
        await index_with(kube).account("team", "x")
