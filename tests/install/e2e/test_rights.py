"""Least privilege: what the operator may do is what it did while every other test ran, and nothing was missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.rights import granted, roles, used

if TYPE_CHECKING:
    from execution_options.cluster import ControlPlane

BY_CHANCE = {
    f"execution-options-webhook: get {what}"
    for what in ("execution.dev/executionoptions", "execution.dev/clusterexecutionoptions", "namespaces")
}
"""Used where a watch is behind what a list says already, which no test can bring about; tests/webhook/test_index.py
has them without a cluster."""

pytestmark = [pytest.mark.e2e, pytest.mark.looks_back]


def test_no_right_was_missing(embedded: ControlPlane) -> None:
    allowed, forbidden = used(embedded.audit_log)
    # An API server that has just started forbids for a moment what it allows afterwards.
    assert forbidden - allowed.keys() == set()
    assert {use: role for use, role in allowed.items() if role not in roles()} == {}


def test_every_right_was_used(embedded: ControlPlane, whole_suite: bool) -> None:
    if not whole_suite:
        pytest.skip("only some of the end-to-end tests ran")
    allowed = used(embedded.audit_log).allowed
    unused = {str(right) for right in granted() if not any(right.covers(use) for use in allowed)}
    assert unused <= BY_CHANCE, "\n".join(sorted(unused))
