"""The API server refuses and accepts the manifests of the table, with its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.crd import crd
from execution_options.api.names import API_VERSION
from support import channels
from support.apiserver import ApiServer
from support.manifests import Case, accepted, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(control_plane: Cluster, crds: None) -> Iterator[ApiServer]:
    server = ApiServer(control_plane)
    yield server
    server.close()


def create(server: ApiServer, case: Case) -> dict[str, Any]:
    """What kubectl create --dry-run=server would ask, with its strict validation of fields."""
    spec = crd(case.kind)["spec"]
    namespace = "/namespaces/default" if spec["scope"] == "Namespaced" else ""
    path = f"/apis/{API_VERSION}{namespace}/{spec['names']['plural']}?dryRun=All&fieldValidation=Strict"
    return server.post(path, case.manifest)


@pytest.mark.parametrize("case", [*refused(), *channels.refused()], ids=lambda case: case.title)
def test_a_wrong_manifest_is_refused_with_a_message(server: ApiServer, case: Case) -> None:
    answer = create(server, case)

    assert answer["kind"] == "Status", "it was accepted"
    causes = answer["details"]["causes"] if answer["reason"] == "Invalid" else []
    # Without a place there are only repetitions, and a note that rules wait for types and bounds to be right.
    mistakes = [cause for cause in causes if cause["field"] != "<nil>"]
    if mistakes:
        assert len(mistakes) == 1, "one mistake, one message"
        assert mistakes[0]["field"].startswith(case.path)
        assert case.message in mistakes[0]["message"]
    else:  # unknown fields are found before validation
        assert answer["reason"] == "BadRequest"
        assert case.message in answer["message"]


@pytest.mark.parametrize("case", [*accepted(), *channels.accepted()], ids=lambda case: case.title)
def test_a_corner_case_is_accepted(server: ApiServer, case: Case) -> None:
    answer = create(server, case)

    assert answer["kind"] == case.kind, answer
    assert answer["spec"] == case.spec, "it is stored as it was written"
