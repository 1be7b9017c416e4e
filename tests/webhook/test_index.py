"""Options are as fresh as the API server lets them be, and never older than the store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import msgspec
import pytest

from execution_options.api.names import OPTIONS_KIND
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError, error_of
from execution_options.kube.engines import StoredEngine
from execution_options.webhook import index as module
from execution_options.webhook.handler import Handler
from execution_options.webhook.index import Index, Stored
from execution_options.webhook.review import GroupVersionKind, Request, UserInfo
from support import descriptions
from support.workloads import JOB, controlled_by, job, pod

PATH = "/apis/execution.dev/v1beta1/namespaces/team/executionoptions"
CLUSTER = "/apis/execution.dev/v1beta1/clusterexecutionoptions"
DESCRIPTIONS = "/apis/execution.dev/v1beta1/executionengines"


class Answers:
    """An API server whose answers are given by path; an exception is raised, ``None`` never comes."""

    server = "http://nowhere"

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {PATH: [], CLUSTER: [], **answers}
        self.asked: list[str] = []

    async def get(self, path: str, **_: Any) -> bytes:
        self.asked.append(path)
        answer = self.answers.get(path, ApiError(404, "NotFound", "nothing"))
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.sleep(60)
        return json.dumps({"items": answer} if isinstance(answer, list) else answer).encode()


def options(name: str, version: str, label: str, generation: int | None = None) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": name,
        "resourceVersion": version,
        "generation": int(version) if generation is None else generation,
    }
    return {"metadata": metadata, "spec": {"selector": {}, "labels": {"a": label}}}


def index_with(kube: Any, *stored: dict[str, Any]) -> Index:
    index = Index(kube, "system")
    for one in stored:
        listed = msgspec.json.decode(json.dumps(one), type=Stored)
        index._stores[OPTIONS_KIND].items["team", listed.metadata.name] = index._parsed(OPTIONS_KIND, listed)
    return index


async def labels(index: Index) -> dict[str, str]:
    return {o.name: o.spec.labels["a"] for o in await index.candidates("team")}  # type: ignore[index]


async def test_only_what_differs_from_the_store_is_fetched() -> None:
    old, new = options("same", "1", "stored"), options("edited", "2", "new")
    kube = Answers(**{PATH: [old, new], f"{PATH}/edited": new})
    index = index_with(kube, old, options("edited", "1", "old"), options("deleted", "1", "gone"))
    assert await labels(index) == {"same": "stored", "edited": "new"}
    assert sorted(kube.asked) == sorted([PATH, CLUSTER, f"{PATH}/edited"])


async def test_a_written_status_has_nothing_fetched_or_read_again() -> None:
    kube = Answers(**{PATH: [options("o", "7", "stored", generation=1)]})
    index = index_with(kube, options("o", "1", "stored"))
    assert await labels(index) == {"o": "stored"}
    assert sorted(kube.asked) == sorted([PATH, CLUSTER])
    (known,) = index._stores[OPTIONS_KIND].items.values()
    for document, same in (
        (options("o", "7", "stored", generation=1), True),
        (options("o", "8", "new", generation=2), False),
        (options("o", "7", "stored", generation=1) | {"metadata": {"uid": "another", "generation": 1}}, False),
    ):
        fresh = index._parsed(OPTIONS_KIND, msgspec.json.decode(json.dumps(document), type=Stored), known)
        assert (fresh.options is known.options) == same
        assert fresh.metadata.resource_version == document["metadata"].get("resourceVersion", "")


PAGE = error_of(404, b"404 page not found")


async def test_a_proxy_that_knows_nothing_takes_no_options_away() -> None:
    kube = Answers(**{PATH: [options("edited", "2", "new")], f"{PATH}/edited": PAGE})
    assert await labels(index_with(kube, options("edited", "1", "old"))) == {"edited": "old"}


async def test_a_proxy_that_knows_nothing_has_no_execution_of_a_described_engine_pass() -> None:
    index = index_with(Answers(**{DESCRIPTIONS: PAGE}))
    kind = GroupVersionKind("example.com", "v1", "Other")
    assert (await index.engines_with(kind)).keys() == builtin_engines().keys(), "the kind may not be installed"
    backup = {"metadata": {"name": "backup", "uid": "1", "resourceVersion": "1"}, "spec": descriptions.spec()}
    stored = msgspec.json.decode(json.dumps(backup), type=StoredEngine)
    index._engines._store._replace({("", "backup"): stored})
    with pytest.raises(ApiError, match="page not found"):
        await index.engines_with(kind)


async def test_what_is_deleted_between_list_and_fetch_is_gone() -> None:
    kube = Answers(**{PATH: [options("brief", "2", "x")]})
    assert await labels(index_with(kube)) == {}


@pytest.mark.parametrize("trouble", [None, ApiError(500, "InternalError", "etcd"), aiohttp.ServerDisconnectedError()])
async def test_without_a_timely_answer_the_store_must_do(
    trouble: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.01)
    index = index_with(Answers(**{PATH: trouble}), options("o", "1", "stored"))
    assert await labels(index) == {"o": "stored"}
    assert "answered from memory" in caplog.text


async def test_options_that_cannot_be_understood_are_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = {**options("newer", "2", "x"), "spec": {"mode": "Sometimes"}}
    kube = Answers(**{PATH: [broken, options("o", "2", "good")], f"{PATH}/newer": broken})
    kube.answers[f"{PATH}/o"] = options("o", "2", "good")
    index = index_with(kube)
    for _ in range(3):
        assert await labels(index) == {"o": "good"}
    assert len([record for record in caplog.records if "is ignored" in record.message]) == 1


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
