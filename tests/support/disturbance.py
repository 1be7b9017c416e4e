"""What disturbs the operator, and what it says of that in numbers."""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator
    from support.team import Team

_ROLES = ("rbac.authorization.k8s.io", "v1", "clusterroles")


@contextmanager
def revoked(team: Team, role: str) -> Iterator[None]:
    """Nobody has the role meanwhile."""
    path = path_of(*_ROLES, name=role)
    before = team.request("GET", path)["rules"]
    team.request("PATCH", path, {"rules": []}, "application/merge-patch+json")
    try:
        yield
    finally:
        team.request("PATCH", path, {"rules": before}, "application/merge-patch+json")


def metrics(url: str) -> list[str]:
    """Lines of a page of metrics."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        page: str = answer.read().decode()
    return page.splitlines()


def metric(operator: LocalOperator, process: str, name: str) -> float:
    """The sum of what begins with a name, perhaps with some labels."""
    lines = metrics(operator.url(process, "/metrics"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
