"""Artifact repositories for storage prefixes: rendered where a namespace has its own, for every bucket, in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

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
