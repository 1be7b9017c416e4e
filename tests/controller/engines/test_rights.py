"""The API server is asked for each right, in the name of the service account that needs it."""

from __future__ import annotations

from typing import Any

import msgspec

from execution_options.controller.engines.rights import missing
from execution_options.install import CONTROLLER, WEBHOOK
from execution_options.install.enginerights import Right

READ = Right(CONTROLLER, "example.com", "backups", "get")
WRITE = Right(CONTROLLER, "example.com", "backups", "patch")
OF_WEBHOOK = Right(WEBHOOK, "example.com", "backups", "get")


class Reviews:
    """Grants only what is allowed."""

    def __init__(self, *allowed: tuple[str, str]) -> None:
        self.allowed = allowed

    async def create(self, path: str, body: dict[str, Any]) -> bytes:
        assert path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        user, asked = body["spec"]["user"], body["spec"]["resourceAttributes"]
        assert (asked["group"], asked["resource"]) == ("example.com", "backups")
        return msgspec.json.encode({"status": {"allowed": (user, asked["verb"]) in self.allowed}})


async def test_the_rights_that_are_not_granted_are_missing() -> None:
    kube: Any = Reviews((f"system:serviceaccount:operator:{CONTROLLER}", "get"))
    assert await missing(kube, [READ, WRITE, OF_WEBHOOK], "operator") == [WRITE, OF_WEBHOOK]
    assert await missing(kube, [READ], "elsewhere") == [READ]
