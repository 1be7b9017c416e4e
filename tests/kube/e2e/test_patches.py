"""JSON patches hold for the API server's own idea of what is there."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_options.kube.client import ApiError, Kube, path_of
from execution_options.kube.encoding import JSON_PATCH

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = pytest.mark.e2e

TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('<>&\u2028\u2029\\"/\x00\x08\x0c\x1f\x7f\ufffd')
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def run(cluster: Cluster, texts: dict[str, str]) -> None:
    """Each value is tested and replaced, in annotations of a new object."""

    async def patched() -> None:
        async with await Kube.connect(cluster.kubeconfig, cluster.context) as kube:
            name = f"patched-{uuid.uuid4().hex[:10]}"
            maps = path_of("", "v1", "configmaps", "default")
            body = {"metadata": {"name": name, "annotations": texts}}
            created: dict[str, Any] = msgspec.json.decode(await kube.create(maps, body))
            assert created["metadata"]["annotations"] == texts
            at = "/metadata/annotations"
            tests = [{"op": "test", "path": f"{at}/{key}", "value": text} for key, text in texts.items()]
            change = [*tests, {"op": "test", "path": at, "value": texts}, {"op": "remove", "path": at}]
            await kube.patch(f"{maps}/{name}", change, JSON_PATCH)
            with pytest.raises(ApiError):
                await kube.patch(f"{maps}/{name}", change, JSON_PATCH)
            await kube.delete(f"{maps}/{name}")

    asyncio.run(patched())


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT, min_size=20, max_size=20))
def test_any_text_that_the_api_server_stores_can_be_tested(control_plane: Cluster, texts: list[str]) -> None:
    run(control_plane, {f"text-{number}": text for number, text in enumerate(texts)})


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_any_json_within_a_text_can_be_tested(control_plane: Cluster, value: Any) -> None:
    """Snapshots and what was applied are JSON in an annotation."""
    run(control_plane, {"json": msgspec.json.encode(value).decode()})
