"""Who is refused because others of the same execution wait: only as long as the controller goes on saying so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import convert

from execution_options.api.meta import ObjectMeta
from execution_options.kube.quotas import Quota
from execution_options.parallelism import backlog as terms
from execution_options.webhook import backlog as module
from execution_options.webhook.backlog import Backlog, ConfigMap
from execution_options.webhook.handler import Handler
from execution_options.webhook.index import Index
from execution_options.webhook.review import GroupVersionKind, Request, UserInfo
from support.workloads import controlled_by, pod

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

TEKTON = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def config_map(**data: str) -> ConfigMap:
    return ConfigMap(ObjectMeta(), data)


def following(clock: Callable[[], float]) -> Backlog:
    kube: Any = None
    return Backlog(kube, "system", clock)


def test_who_is_named_is_known_by_namespace() -> None:
    backlog = following(Clock())
    assert not backlog.names("team", "a")
    first, second = config_map(team="a b", other="c"), config_map(team="b")
    backlog.changed(None, first)
    assert [backlog.names("team", one) for one in "abc"] == [True, True, False]
    backlog.changed(first, second)
    assert [backlog.names("team", one) for one in "abc"] == [False, True, False]
    backlog.changed(second, None)
    assert not backlog.names("team", "b")


def test_what_is_not_renewed_counts_no_more() -> None:
    clock = Clock()
    backlog, written = following(clock), config_map(team="a")
    backlog.changed(None, written)
    clock.now += terms.VALID_SECONDS
    assert backlog.names("team", "a")
    clock.now += 1
    assert not backlog.names("team", "a")
    backlog.changed(written, written)
    assert backlog.names("team", "a")
    # A missed one or two matter to nobody.
    assert terms.VALID_SECONDS >= 3 * terms.RENEW_SECONDS


def test_a_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backlog, read = following(Clock()), []
    monkeypatch.setattr(module, "read", lambda text: read.append(text) or terms.read(text))  # type: ignore[func-returns-value]
    backlog.changed(None, config_map(team="a b", other="c"))
    assert [backlog.names("team", one) for one in "abab"] == [True] * 4
    assert read == ["a b"]


def index(hard: dict[str, str], used: dict[str, str], waiting: str) -> Index:
    kube: Any = None
    made = Index(kube, "system")
    metadata = {"name": "quota", "namespace": "team", "uid": "q", "resourceVersion": "1"}
    quota = convert({"metadata": metadata, "status": {"hard": hard, "used": used}}, Quota)
    made._quotas.changed(None, quota)
    made._backlog.changed(None, config_map(team=waiting))
    return made


async def answer(made: Index, identifier: str, **requests: str) -> dict[str, Any]:
    """What the webhook says of a pod of a TaskRun."""
    labels = {"execution.dev/max-parallelism": "capped", "execution.dev/id": identifier}
    containers = [{"name": "main", "image": "none", "resources": {"requests": requests}}]
    document = controlled_by(pod(labels=labels, containers=containers), "tekton.dev/v1", "TaskRun", "t")
    body: Any = json.dumps(document).encode()
    request = Request(
        "u", GroupVersionKind("", "v1", "Pod"), "CREATE", namespace="team", user_info=UserInfo(TEKTON), object=body
    )
    found: dict[str, Any] = json.loads((await Handler(made, (), (TEKTON,)).answer(request)).body)["response"]
    return found


async def test_a_pod_that_would_wait_is_refused_where_it_counts_against_what_is_nearly_used() -> None:
    made = index({"requests.cpu": "4", "pods": "100"}, {"requests.cpu": "4", "pods": "1"}, "full")
    refused = await answer(made, "full", cpu="1")
    assert refused["allowed"] is False
    assert refused["status"]["message"].startswith("exceeded quota: quota, used: requests.cpu 4 of 4: ")
    # Who needs none of that, and whose execution has nobody who waits, takes nothing from anybody.
    assert (await answer(made, "full", memory="1Gi"))["allowed"] is True
    assert (await answer(made, "free", cpu="1"))["allowed"] is True


async def test_a_quota_that_forbids_something_altogether_refuses_nobody() -> None:
    made = index({"requests.nvidia.com/gpu": "0"}, {"requests.nvidia.com/gpu": "0"}, "full")
    assert (await answer(made, "full", cpu="1"))["allowed"] is True
