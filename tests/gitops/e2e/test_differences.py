"""What Argo CD and Flux, by their own code, make of manifests whose executions got options."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import yaml

from execution_options.api.names import SNAPSHOT_ANNOTATION
from execution_options.cluster.progress import Progress
from support import argocd, flux
from support.executions import read, variants
from support.programs import build_wanted
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.executions import Variant

pytestmark = [pytest.mark.e2e, pytest.mark.engines, pytest.mark.long]

PAGE = Path(__file__).parents[3] / "docs" / "gitops.md"
IGNORED: list[dict[str, Any]] = next(
    found["ignoreDifferences"]
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if "ray.io" in block
    for found in [yaml.safe_load(block)]
)
"""As the documentation has it."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the selected tests need."""
    build_wanted(session, {"argo": argocd.build, "kustomize_controller": flux.build})


@pytest.fixture(scope="module")
def argo() -> Path:
    """The program that compares."""
    return argocd.build(Progress())


@pytest.fixture(scope="module")
def kustomize_controller() -> Path:
    """The part of Flux that applies and compares."""
    return flux.build(Progress())


@pytest.fixture
def team(engines_cluster: Cluster, namespace: str) -> Iterator[Team]:
    with working(engines_cluster, namespace) as team:
        yield team


# Flyte's admin writes its workflows, and null where it says nothing, which no API server keeps.
@pytest.mark.parametrize("variant", [one for one in variants() if one.engine.name != "flyte-workflow"], ids=str)
def test_argo_cd_says_synced_of_an_unchanged_manifest(team: Team, argo: Path, variant: Variant) -> None:
    variant.prepare(team)
    target = copy.deepcopy(variant.manifest)
    target["metadata"]["namespace"] = team.namespace
    team.kubectl("apply", "--field-manager=argocd-controller", "-f", "-", manifests=[target])
    live = read(team, target, "--show-managed-fields")
    assert argocd.compare(argo, team.cluster, live, target, "server").synced
    if variant.fills:
        assert argocd.compare(argo, team.cluster, live, target, "client", IGNORED).synced
    # What its author changes is seen.
    target["metadata"]["labels"]["new"] = "1"
    for mode in ("server", "client"):
        assert not argocd.compare(argo, team.cluster, live, target, mode, IGNORED).synced


@pytest.mark.parametrize("variant", variants(), ids=str)
def test_flux_says_unchanged_of_an_unchanged_manifest(team: Team, kustomize_controller: Path, variant: Variant) -> None:
    variant.prepare(team)
    target = copy.deepcopy(variant.manifest)
    target["metadata"]["namespace"] = team.namespace

    def does(verb: Literal["apply", "diff"]) -> str:
        return flux.run(kustomize_controller, team.cluster, verb, target)

    assert does("diff") == "created"
    assert does("apply") == "created"
    live = read(team, target)
    assert SNAPSHOT_ANNOTATION in live["metadata"]["annotations"]
    assert does("diff") == "unchanged"
    assert does("apply") == "unchanged"
    assert read(team, target)["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    # What its author changes is seen.
    target["metadata"]["labels"]["new"] = "1"
    assert does("diff") == "configured"
    assert does("apply") == "configured"
    assert does("diff") == "unchanged"


@pytest.mark.parametrize("variant", variants(), ids=str)
def test_flux_takes_over_what_kubectl_applied_and_takes_nothing_away(
    team: Team, kustomize_controller: Path, variant: Variant
) -> None:
    variant.prepare(team)
    target = copy.deepcopy(variant.manifest)
    target["metadata"]["namespace"] = team.namespace
    team.kubectl("apply", "-f", "-", manifests=[target])
    before = read(team, target)
    assert flux.run(kustomize_controller, team.cluster, "apply", target) == "configured", "kubectl's annotation goes"
    after = read(team, target)
    assert after.get("spec") == before.get("spec")
    assert before["metadata"]["labels"].items() <= after["metadata"]["labels"].items()
    assert flux.run(kustomize_controller, team.cluster, "diff", target) == "unchanged"
