"""A cloud role becomes the annotation of its cloud, and nothing else is taken for a role."""

from __future__ import annotations

import pytest

from execution_options.admission.accounts import InvalidRoleError, binding


@pytest.mark.parametrize(
    ("role", "key"),
    [
        ("arn:aws:iam::123456789012:role/path/trainer", "eks.amazonaws.com/role-arn"),
        ("arn:aws-us-gov:iam::123456789012:role/trainer", "eks.amazonaws.com/role-arn"),
        ("trainer@project.iam.gserviceaccount.com", "iam.gke.io/gcp-service-account"),
        ("3F9A4C1E-7d52-4b8e-9a30-5b1c6d7e8f90", "azure.workload.identity/client-id"),
    ],
)
def test_a_role_becomes_its_clouds_annotation(role: str, key: str) -> None:
    assert binding(role) == {key: role}


@pytest.mark.parametrize("role", ["", "root", "arn:aws:iam::123456789012:user/a", "a@example.com", "3f9a4c1e"])
def test_a_role_of_no_cloud_is_refused(role: str) -> None:
    with pytest.raises(InvalidRoleError, match="iamRole"):
        binding(role)


def test_no_role_needs_no_annotation() -> None:
    assert binding(None) == {}
