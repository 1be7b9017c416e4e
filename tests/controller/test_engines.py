"""Webhook entries follow the engines that can be used, and no others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.controller.engines import EngineReconciler
from execution_options.controller.settings import Settings
from execution_options.engines.profile import Engine, compiled
from execution_options.install import ENGINES_CONFIGURATION, WEBHOOK_CONFIGURATION, webhook_configuration
from execution_options.kube.client import ApiError
from support import descriptions

PATH = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Api:
    """Webhook configurations, which a writer changes."""

    def __init__(self) -> None:
        installed = msgspec.json.decode(msgspec.json.encode(webhook_configuration()))
        for entry in installed["webhooks"]:
            entry["clientConfig"]["caBundle"] = "Q0E="
        own: dict[str, Any] = {"metadata": {"resourceVersion": "7"}}
        self.found: dict[str, Any] = {WEBHOOK_CONFIGURATION: installed, ENGINES_CONFIGURATION: own}
        self.writes = 0

    async def get(self, path: str) -> bytes:
        found = self.found.get(path.rpartition("/")[2])
        if found is None:
            raise ApiError(404, "NotFound", path)
        return msgspec.json.encode(found)

    async def merge(self, path: str, body: Any) -> bytes:
        own = self.found[ENGINES_CONFIGURATION]
        assert path == f"{PATH}/{ENGINES_CONFIGURATION}"
        assert body["metadata"] == own["metadata"], "nothing is written over what somebody else wrote"
        own["webhooks"] = body["webhooks"]
        self.writes += 1
        return b""

    @property
    def plurals(self) -> set[str]:
        entries = self.found[ENGINES_CONFIGURATION].get("webhooks", [])
        return {plural for entry in entries for rule in entry["rules"] for plural in rule["resources"]}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def reconciler(api: Api) -> EngineReconciler:
    either: Any = api
    nothing: Any = None
    return EngineReconciler(either, nothing, nothing, either, Settings(namespace="x"))


def engine(name: str, **changes: Any) -> Engine:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionEngine", "metadata": {"name": name}}
    return compiled({**manifest, "spec": descriptions.spec(**changes)})


BACKUP = engine("backup")
RESTORE = engine("restore", kind="Restore", plural="restores")


async def test_entries_are_written_once_and_taken_away(api: Api, reconciler: EngineReconciler) -> None:
    assert await reconciler._bring([BACKUP, RESTORE], []) == ""
    assert api.plurals == {"backups", "restores"}
    assert await reconciler._bring([BACKUP, RESTORE], []) == ""
    assert api.writes == 1
    assert await reconciler._bring([], []) == ""
    assert api.plurals == set()


async def test_an_engine_that_is_listed_anew_stays_admitted(api: Api, reconciler: EngineReconciler) -> None:
    await reconciler._bring([BACKUP], [])
    # Executions that refer to options would slip through otherwise, while an edit of the engine takes effect.
    assert await reconciler._bring([], [BACKUP, RESTORE]) == ""
    assert api.plurals == {"backups"}
    assert api.writes == 1


async def test_without_a_trusted_webhook_nobody_is_made_to_wait_for_it(api: Api, reconciler: EngineReconciler) -> None:
    del api.found[WEBHOOK_CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"]
    assert "does not trust the webhook yet" in await reconciler._bring([BACKUP], [])
    assert api.plurals == set()


@pytest.mark.parametrize("name", [WEBHOOK_CONFIGURATION, ENGINES_CONFIGURATION])
async def test_a_configuration_that_is_gone_is_named(api: Api, reconciler: EngineReconciler, name: str) -> None:
    del api.found[name]
    assert f"{name} does not exist" in await reconciler._bring([BACKUP], [])
    assert api.writes == 0
