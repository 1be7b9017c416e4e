"""The API server accepts right descriptions of engines and refuses wrong ones."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.api.names import API_VERSION, ENGINE_PLURAL
from support.descriptions import refused

if TYPE_CHECKING:
    from support.apiserver import ApiServer
    from support.manifests import Case

pytestmark = pytest.mark.e2e

BUILTIN = [
    yaml.safe_load(file.read_bytes())
    for file in (resources.files("execution_options.engines") / "builtin").iterdir()
    if file.name.endswith(".yaml")
]


@pytest.fixture(scope="module")
def server(api_server: ApiServer, crds: None) -> ApiServer:
    return api_server


def create(server: ApiServer, manifest: dict[str, Any]) -> dict[str, Any]:
    return server.post(f"/apis/{API_VERSION}/{ENGINE_PLURAL}?dryRun=All&fieldValidation=Strict", manifest)


@pytest.mark.parametrize("case", refused(), ids=lambda case: case.title)
def test_a_wrong_description_is_refused_with_a_message_at_the_field(server: ApiServer, case: Case) -> None:
    answer = create(server, case.manifest)
    assert answer["kind"] == "Status", "it was accepted"
    if answer["reason"] == "BadRequest":  # unknown fields are found before validation
        assert case.message in answer["message"]
        return
    causes = [cause for cause in answer["details"]["causes"] if cause["field"] != "<nil>"]
    assert len(causes) == 1, "one mistake, one message"
    assert causes[0]["field"].startswith(case.path)
    assert case.message in causes[0]["message"]


@pytest.mark.parametrize("manifest", BUILTIN, ids=lambda manifest: manifest["metadata"]["name"])
def test_built_in_engines_are_what_a_user_could_apply(server: ApiServer, manifest: dict[str, Any]) -> None:
    answer = create(server, manifest)
    assert answer["kind"] == "ExecutionEngine", answer
    assert answer["spec"] == manifest["spec"]
