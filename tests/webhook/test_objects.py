"""Objects of our own kinds are refused where a template in them is not possible, and say which."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.webhook import objects, review

MAIL = {"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}


async def refusal(kind: str, spec: Any) -> str:
    """What is said of an object; empty where it passes."""
    request = review.Request(
        uid="u",
        kind=review.GroupVersionKind("execution.dev", "v1beta1", kind),
        operation="CREATE",
        object=msgspec.Raw(msgspec.json.encode({"spec": spec})),
    )
    response = msgspec.json.decode(await objects.answer(request))["response"]
    assert response["allowed"] == ("status" not in response)
    return str(response.get("status", {}).get("message", ""))


async def test_every_template_that_is_not_possible_is_named() -> None:
    spec = {
        "notifications": [
            MAIL | {"template": {"subject": "{{ phase }}", "body": "{{ phas }}"}},
            MAIL,
            MAIL | {"template": {"subject": "{{ 1 + 1 }}"}},
        ]
    }
    said = await refusal("ExecutionOptions", spec)
    assert said.startswith(
        "spec.notifications[0].template.body: is not a template that can be used: line 1: there is no variable phas; "
    )
    assert "spec.notifications[2].template.subject: is not a template that can be used: line 1: arithmetic" in said
    assert "notifications[1]" not in said


async def test_the_link_of_a_channel_is_a_template() -> None:
    assert "executionURL" in await refusal("NotificationChannel", {"executionURL": "https://a.b/{{ nam }}"})
    assert await refusal("NotificationChannel", {"executionURL": "https://a.b/{{ name }}"}) == ""


@pytest.mark.parametrize("spec", [{}, {"notifications": []}, {"notifications": [MAIL]}, None])
async def test_what_has_no_template_passes(spec: Any) -> None:
    assert await refusal("ClusterExecutionOptions", spec) == ""
