"""Objects of our own kinds are refused where a template in them is not possible; what has no effect is warned of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError
from execution_options.webhook import review
from execution_options.webhook.objects import Objects

MAIL = {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}


class Cluster:
    """An index of options and engines, and an API server behind it that has nothing, or refuses."""

    def __init__(self, refusal: int = 404) -> None:
        self.refusal = refusal
        self.options = self

    async def fresh_engines(self) -> Any:
        return builtin_engines()

    async def namespace_labels(self, _: str) -> dict[str, str]:
        return {}

    async def account(self, *_: str) -> None:
        return None

    async def candidates(self, _: str) -> list[Any]:
        return []

    async def get(self, path: str) -> bytes:
        if path.endswith("/notificationchannels") and self.refusal == 404:
            return b'{"items": []}'
        raise ApiError(self.refusal, "NotFound" if self.refusal == 404 else "", path)


async def answered(kind: str, document: Any, group: str = "execution.dev", **request: Any) -> dict[str, Any]:
    cluster: Any = request.pop("cluster", Cluster())
    asked = review.Request(
        uid="u",
        kind=review.GroupVersionKind(group, "v1beta1", kind),
        operation="UPDATE" if "old_object" in request else "CREATE",
        namespace="team",
        object=msgspec.Raw(msgspec.json.encode(document)),
        **request,
    )
    answer = await Objects(cluster, cluster, "system").answer(asked)
    response: dict[str, Any] = msgspec.json.decode(answer.body)["response"]
    return response


async def refusal(kind: str, spec: Any) -> str:
    """Why an object is refused; empty if it is not."""
    response = await answered(kind, {"metadata": {"name": "o"}, "spec": spec})
    assert response["allowed"] == ("status" not in response)
    return str(response.get("status", {}).get("message", ""))


async def warnings(kind: str, document: Any, group: str = "execution.dev", **request: Any) -> list[str]:
    """What is warned of."""
    response = await answered(kind, document, group, **request)
    assert response["allowed"]
    found: list[str] = response.get("warnings", [])
    return found


async def test_every_template_that_is_not_possible_is_named() -> None:
    spec = {
        "notifications": [
            MAIL | {"template": {"subject": "{{ phase }}", "body": "{{ phas }}"}},
            MAIL,
            MAIL | {"template": {"subject": "{{ 1 + 1 }}"}},
        ]
    }
    message = await refusal("ExecutionOptions", spec)
    assert message.startswith(
        "spec.notifications[0].template.body: is not a valid template: line 1: there is no variable phas; "
    )
    assert "spec.notifications[2].template.subject: is not a valid template: line 1: arithmetic" in message
    assert "notifications[1]" not in message


async def test_the_link_of_a_channel_is_a_template() -> None:
    assert "executionURL" in await refusal("NotificationChannel", {"executionURL": "https://a.b/{{ nam }}"})
    assert await refusal("NotificationChannel", {"executionURL": "https://a.b/{{ name }}"}) == ""


@pytest.mark.parametrize("spec", [{}, {"notifications": []}, {"notifications": [MAIL]}, None])
async def test_what_has_no_template_passes(spec: Any) -> None:
    assert await refusal("ClusterExecutionOptions", spec) == ""


async def test_what_was_stored_unchecked_can_be_labelled() -> None:
    spec = {"executionURL": "https://a.b/{{ nam }}"}
    old = msgspec.Raw(msgspec.json.encode({"metadata": {}, "spec": spec}))
    assert await warnings("NotificationChannel", {"metadata": {}, "spec": spec}, old_object=old) == []


@pytest.mark.parametrize("kind", ["ExecutionOptions", "ClusterExecutionOptions"])
async def test_a_first_limit_is_warned_of_while_executions_run(kind: str) -> None:
    async def edited(before: dict[str, Any], after: dict[str, Any], active: int | None) -> list[str]:
        metadata = {"name": "o"} | ({"namespace": "team"} if kind == "ExecutionOptions" else {})
        status = {} if active is None else {"executions": {"active": active, "finished": 3}}
        old = msgspec.Raw(msgspec.json.encode({"metadata": metadata, "spec": before, "status": status}))
        return await warnings(kind, {"metadata": metadata, "spec": after}, old_object=old)

    message = (
        "spec.maxParallelism: executions that were created without a limit keep none, and {} active; it holds for "
        "later ones"
    )
    limit = {"maxParallelism": 2}
    assert await edited({}, limit, 1) == [message.format("1 execution is")]
    assert await edited({"maxParallelism": 0}, limit, 5) == [message.format("5 executions are")]
    for before, after, active in (
        ({}, limit, 0),
        ({}, limit, None),
        ({"maxParallelism": 1}, limit, 5),
        (limit, {}, 5),
        ({}, {"maxParallelism": 0}, 5),
        ({}, {"labels": {"a": "1"}}, 5),
    ):
        assert await edited(before, after, active) == []
    assert await warnings(kind, {"metadata": {"name": "o"}, "spec": limit}) == []


async def test_where_the_cluster_does_not_say_an_object_passes_without_a_warning() -> None:
    spec = {"selector": {"engines": ["job"]}, "notifications": [MAIL | {"channelRef": {"name": "gone"}}]}
    document = {"metadata": {"name": "o", "namespace": "team"}, "spec": spec}
    assert await warnings("ExecutionOptions", document, cluster=Cluster(500)) == []
    assert "there is no NotificationChannel gone" in (await warnings("ExecutionOptions", document))[0]


async def test_a_misspelled_request_for_a_redelivery_is_warned_of() -> None:
    async def warned(**metadata: dict[str, str]) -> list[str]:
        return await warnings("NotificationDelivery", {"metadata": metadata, "spec": {}})

    ours = {"execution.dev/lineage": "d", "execution.dev/test": "t", "execution.dev/redeliver": "1"}
    assert await warned(labels=ours) == []
    assert await warned(labels={"execution.dev/redelivr": "1"}) == [
        "label execution.dev/redelivr has no effect on a delivery: did you mean execution.dev/redeliver?"
    ]
    assert "the label execution.dev/redeliver" in (await warned(annotations={"execution.dev/redeliver": "1"}))[0]


async def test_many_warnings_are_cut() -> None:
    labels = {f"execution.dev/x{number}": "y" for number in range(20)}
    assert len(await warnings("Namespace", {"metadata": {"labels": labels}}, group="")) == 8
