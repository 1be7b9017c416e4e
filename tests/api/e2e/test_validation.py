"""The API server refuses and accepts what the table says, with the messages that the table says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.manifests import Case, accepted, refused

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("crds")]

CREATE = ["create", "--dry-run=server", "-f", "-"]


@pytest.mark.parametrize("case", refused(), ids=lambda case: case.title)
def test_a_wrong_manifest_is_refused_with_a_message(control_plane: Cluster, case: Case) -> None:
    answer = control_plane.run_kubectl(CREATE, input=case.text, check=False)

    assert answer.returncode != 0, "it was accepted"
    assert case.message in answer.stderr
    # kubectl's path of an unknown field is part of the message.
    assert case.path in answer.stderr
    # One mistake gives one message; kubectl lists several as bullets.
    mistakes = [line for line in answer.stderr.splitlines() if line.startswith("* ") and not line.startswith("* <nil>")]
    assert len(mistakes) <= 1, answer.stderr


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case.title)
def test_a_corner_case_is_accepted(control_plane: Cluster, case: Case) -> None:
    control_plane.run_kubectl(CREATE, input=case.text)
