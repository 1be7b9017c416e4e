"""Manifests that are applied again, though a Job's pod template is immutable."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from support.team import RefusedError
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from support.team import Team

pytestmark = pytest.mark.e2e

CONTAINER = {"name": "main", "image": "none", "env": [{"name": "A", "value": "author"}, {"name": "B", "value": "b"}]}


def manifest() -> dict[str, Any]:
    """Its author wrote something of everything that options also say."""
    return job(
        labels={"team": "author", "mine": "1"},
        template={"labels": {"team": "author"}},
        options="own",
        containers=[copy.deepcopy(CONTAINER)],
        serviceAccountName="default",
    )


@pytest.fixture
def prepared(team: Team) -> Team:
    """Options below, above and far above the author."""
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    prefix = {"outputLocationPrefix": "s3://b"}
    team.options("low", {"selector": {}, "labels": {"team": "low", "low": "1"}, "rawOutputDataConfig": prefix})
    own = {"labels": {"team": "own"}, "envs": [{"name": "A", "value": "own"}]}
    team.options("own", {**own, "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    team.cluster_options("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    return team


def state(made: dict[str, Any]) -> Any:
    """What applying it again must not change."""
    metadata = made["metadata"]
    annotations = {k: v for k, v in metadata["annotations"].items() if not k.startswith("kubectl.kubernetes.io/")}
    return metadata["labels"], annotations, made["spec"]["template"]


def test_server_side_apply_again_as_gitops_does(prepared: Team) -> None:
    first = state(prepared.apply(manifest()))
    assert first[2]["metadata"]["labels"]["team"] == "own"
    assert first[2]["spec"]["serviceAccountName"] == "trainer"
    prepared.merge("ExecutionOptions", "own", {"spec": {"labels": {"team": "edited"}}})
    for _ in range(2):
        assert state(prepared.apply(manifest())) == first


def test_client_side_apply_again(prepared: Team) -> None:
    prepared.kubectl("apply", "-f", "-", manifests=[manifest()])
    first = state(prepared.get("Job", "train"))
    message = prepared.kubectl("apply", "-f", "-", manifests=[manifest()])
    assert "unchanged" in message or "configured" in message
    assert state(prepared.get("Job", "train")) == first


def test_replace_again(prepared: Team) -> None:
    # Without a selector of its own the API server refuses to replace any Job, with options or without:
    # "spec.selector: Required value", because it generates the selector and the new object has none.
    selected = {"manualSelector": True, "selector": {"matchLabels": {"app": "train"}}}
    document = manifest()
    document["spec"] |= selected
    document["spec"]["template"]["metadata"]["labels"]["app"] = "train"
    prepared.create(document)
    first = state(prepared.get("Job", "train"))
    for _ in range(2):
        prepared.kubectl("replace", "-f", "-", manifests=[document])
        assert state(prepared.get("Job", "train")) == first
    changed = copy.deepcopy(document)
    changed["metadata"]["labels"]["new"] = "1"
    changed["spec"]["suspend"] = True
    after = prepared.replace(changed)
    assert after["metadata"]["labels"]["new"] == "1"
    assert after["spec"]["suspend"] is True
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    with pytest.raises(RefusedError, match="field is immutable"):
        prepared.replace(changed)


def test_replace_without_a_selector_is_refused_by_the_api_server_itself(team: Team) -> None:
    team.create(job())
    with pytest.raises(RefusedError, match=r"spec\.selector: Required value"):
        team.replace(job())


def test_a_read_modify_write_keeps_and_removes_as_it_says(prepared: Team) -> None:
    prepared.create(manifest())

    def change() -> tuple[dict[str, Any], dict[str, Any]]:
        read = prepared.get("Job", "train")
        del read["metadata"]["labels"]["low"]
        read["metadata"]["labels"] |= {"new": "1", "team": "theirs"}
        read["spec"]["suspend"] = True
        return read, prepared.replace(read)

    # The Job's controller writes its status meanwhile.
    read, after = eventually(change, retry_on=(RefusedError,))
    assert "low" not in after["metadata"]["labels"]
    assert (after["metadata"]["labels"]["new"], after["metadata"]["labels"]["team"]) == ("1", "theirs")
    assert after["spec"]["template"] == read["spec"]["template"]
