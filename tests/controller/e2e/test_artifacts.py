"""Artifact repositories for storage prefixes: rendered where a namespace has its own, for every bucket, in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.engines.artifacts import MOST_BYTES
from execution_options.kube.client import path_of
from support.waiting import eventually

if TYPE_CHECKING:
    from .conftest import Process, Team

pytestmark = pytest.mark.e2e

DEFAULT = {"workflows.argoproj.io/default-artifact-repository": "main"}


def prefix(bucket: str) -> dict[str, Any]:
    return {"rawOutputDataConfig": {"outputLocationPrefix": f"s3://{bucket}/runs"}}


def rendered(team: Team) -> dict[str, Any]:
    found = team.api.find(team.path("configmaps", "execution-options-artifacts"))
    return {} if found is None else found["data"]


def test_every_bucket_has_an_entry_made_of_the_namespaces_own(controller: Process, team: Team) -> None:
    team.options("one", prefix("first"))
    repository = {"s3": {"bucket": "theirs", "accessKeySecret": {"name": "minio", "key": "accesskey"}}}
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "artifact-repositories", "annotations": DEFAULT},
        "data": {"main": yaml.safe_dump(repository)},
    }
    team.api.create(path_of("", "v1", "configmaps", team.namespace), document)
    first = yaml.safe_load(eventually(lambda: rendered(team))["s3.first"])
    assert (first["s3"]["bucket"], first["s3"]["accessKeySecret"]) == ("first", repository["s3"]["accessKeySecret"])
    team.options("two", prefix("second"))
    eventually(lambda: sorted(rendered(team)) == ["s3.first", "s3.second"])
    # What was rendered stays: a workflow that was just admitted may ask for it.
    team.edit("one", prefix("third"))
    eventually(lambda: sorted(rendered(team)) == ["s3.first", "s3.second", "s3.third"])


def test_a_repository_that_is_too_large_to_be_parsed_is_said_and_harms_nothing_else(
    controller: Process, team: Team
) -> None:
    team.options("stored", prefix("first"))
    team.options("other", {"selector": {}, "labels": {"a": "1"}})
    repositories = team.path("configmaps", "artifact-repositories")
    # Twice the bound, of a comment: nothing that would take a parser long.
    large = f"s3: {{bucket: theirs}}\n# {'x' * 2 * MOST_BYTES}"
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "artifact-repositories", "annotations": DEFAULT},
        "data": {"main": large},
    }
    team.api.create(path_of("", "v1", "configmaps", team.namespace), document)
    eventually(lambda: team.condition("stored", "FullyEffective")["status"] == "False")
    message = team.condition("stored", "FullyEffective")["message"]
    assert f"entry main of ConfigMap artifact-repositories is larger than {MOST_BYTES} bytes" in message
    assert rendered(team) == {"s3.first": ""}
    assert team.condition("other", "FullyEffective")["status"] == "True"
    team.job("j")
    team.edit("other", {"labels": {"a": "2"}})
    eventually(lambda: team.labels("jobs", "j") == {"a": "2"})
    team.api.merge(repositories, {"data": {"main": "s3: {bucket: theirs}"}})
    eventually(lambda: team.condition("stored", "FullyEffective")["status"] == "True")
    assert yaml.safe_load(rendered(team)["s3.first"])["s3"]["bucket"] == "first"
