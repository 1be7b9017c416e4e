"""Least privilege: what the operator may do is what it did while every other test ran, and nothing was missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.install import CONTROLLER, WEBHOOK
from support.rights import Use, granted, roles, used

if TYPE_CHECKING:
    from pathlib import Path

NOT_BROUGHT_ABOUT = {
    # Where a watch is behind what a list says already: tests/webhook/test_index.py.
    "execution-options-webhook: get execution.dev/executionoptions",
    "execution-options-webhook: get execution.dev/clusterexecutionoptions",
    "execution-options-webhook: get namespaces",
    # Where what kopf handed over is not the newest: tests/controller/cache/test_optionsindex.py.
    "execution-options-controller: get execution.dev/executionoptions",
    "execution-options-controller: get execution.dev/clusterexecutionoptions",
    # Deliveries go when they are a day old.
    "execution-options-controller: delete execution.dev/notificationdeliveries",
}
"""Rights whose use depends on chance, or takes too long."""
GRANTED_BY_OTHERS = {
    # By a RoleBinding of a namespace, where it opts in.
    Use(CONTROLLER, "get", "", "secrets"),
    Use(CONTROLLER, "get", "", "pods/log"),
    # By system:basic-user: everybody may ask who he is.
    *(Use(account, "create", "authentication.k8s.io", "selfsubjectreviews") for account in (CONTROLLER, WEBHOOK)),
}

pytestmark = [pytest.mark.e2e, pytest.mark.looks_back, pytest.mark.timeout(900)]


def test_no_right_was_missing(audit_logs: list[Path]) -> None:
    allowed, forbidden = used(audit_logs)
    # An API server that has just started forbids for a moment what it allows afterwards.
    assert forbidden - allowed.keys() == set()
    assert {use: role for use, role in allowed.items() if role not in roles() and use not in GRANTED_BY_OTHERS} == {}


def test_every_right_was_used(audit_logs: list[Path], whole_suite: bool) -> None:
    if not whole_suite:
        pytest.skip("only some of the end-to-end tests ran")
    allowed = used(audit_logs).allowed
    unused = {str(right) for right in granted() if not any(right.covers(use) for use in allowed)}
    assert unused <= NOT_BROUGHT_ABOUT, "\n".join(sorted(unused))
