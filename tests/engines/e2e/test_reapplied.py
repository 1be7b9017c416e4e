"""Manifests that are applied again, of every engine, as kubectl applies them: on either side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.executions import read, variants
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.executions import Variant

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SIDES = {"client": (), "server": ("--server-side",)}
BUSY = ("Job", "Pod")
"""Whose controllers write to them meanwhile."""


@pytest.fixture
def team(engines_cluster: Cluster, namespace: str) -> Iterator[Team]:
    with working(engines_cluster, namespace) as team:
        yield team


def essence(document: dict[str, Any]) -> dict[str, Any]:
    """What applying it again must not change: nothing at all, where nobody else writes to it."""
    if document["kind"] not in BUSY:
        return document
    passing = ("managedFields", "resourceVersion")
    metadata = {name: value for name, value in document["metadata"].items() if name not in passing}
    return {name: value for name, value in document.items() if name != "status"} | {"metadata": metadata}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("variant", variants(), ids=str)
def test_an_unchanged_manifest_changes_nothing_and_shows_no_difference(team: Team, variant: Variant, side: str) -> None:
    variant.prepare(team)
    apply = ("apply", *SIDES[side], "-f", "-")
    team.kubectl(*apply, manifests=[variant.manifest])
    first = read(team, variant.manifest)
    assert first["metadata"]["labels"]["cost"] == "vision"
    assert team.kubectl("diff", *SIDES[side], "-f", "-", manifests=[variant.manifest]) == ""
    team.kubectl(*apply, manifests=[variant.manifest])
    assert essence(read(team, variant.manifest)) == essence(first)

    if variant.engine.immutable_templates or variant.engine.is_pod:
        return
    # The author's changes are kept, and the rest comes back.
    changed = json.loads(json.dumps(variant.manifest).replace('"info"', '"debug"'))
    changed["metadata"]["labels"] = {**changed["metadata"].get("labels", {}), "new": "1"}
    team.kubectl(*apply, manifests=[changed])
    wanted = json.loads(json.dumps(first.get("spec", {})).replace('"info"', '"debug"'))
    after = read(team, variant.manifest)
    assert after.get("spec", {}) == wanted
    assert after["metadata"]["labels"] == {**first["metadata"]["labels"], "new": "1"}
