"""Webhook entries follow the engines that can be used, and no others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.controller.engines import departed
from execution_options.controller.engines.reconciler import EngineReconciler
from execution_options.controller.runtime.settings import Settings
from execution_options.engines.profile import Engine, builtin, compiled
from execution_options.install import (
    ENGINES_CONFIGURATION,
    WEBHOOK_CONFIGURATION,
    validating_configuration,
    webhook_configuration,
)
from execution_options.install.remembered import ANNOTATION, Collection
from execution_options.kube.client import ApiError, path_of
from support import descriptions
from support.fakes import Clock

SETTINGS = Settings(namespace="x")
PATH = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Api:
    """Webhook configurations, which a writer changes."""

    def __init__(self) -> None:
        installed, self.checks = (
            msgspec.json.decode(msgspec.json.encode(made))
            for made in (webhook_configuration(), validating_configuration())
        )
        for entry in (*installed["webhooks"], *self.checks["webhooks"]):
            entry["clientConfig"]["caBundle"] = "Q0E="
        own: dict[str, Any] = {"metadata": {"resourceVersion": "7"}}
        self.found: dict[str, Any] = {WEBHOOK_CONFIGURATION: installed, ENGINES_CONFIGURATION: own}
        self.writes = 0
        self.listed: list[str] = []
        self.forbidden: set[str] = set()

    async def get(self, path: str, **_: Any) -> bytes:
        if path.endswith(f"/validatingwebhookconfigurations/{WEBHOOK_CONFIGURATION}"):
            return msgspec.json.encode(self.checks)
        if "/mutatingwebhookconfigurations/" not in path:
            self.listed.append(path)
            if path in self.forbidden:
                raise ApiError(403, "Forbidden", path)
            return msgspec.json.encode({"metadata": {}, "items": []})
        found = self.found.get(path.rpartition("/")[2])
        if found is None:
            raise ApiError(404, "NotFound", path)
        return msgspec.json.encode(found)

    async def merge(self, path: str, body: Any) -> bytes:
        own = self.found[ENGINES_CONFIGURATION]
        assert path == f"{PATH}/{ENGINES_CONFIGURATION}"
        seen = body["metadata"]["resourceVersion"]
        assert seen == own["metadata"]["resourceVersion"], "nothing is written over what somebody else wrote"
        own["metadata"]["annotations"] = {k: v for k, v in body["metadata"]["annotations"].items() if v is not None}
        own["webhooks"] = body["webhooks"]
        self.writes += 1
        return b""

    def check(self) -> None:
        """The lease holds."""

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
    return EngineReconciler(either, nothing, nothing, either, SETTINGS)


def engine(name: str, **changes: Any) -> Engine:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionEngine", "metadata": {"name": name}}
    return compiled({**manifest, "spec": descriptions.spec(**changes)})


def described(*engines: Engine) -> set[Collection]:
    return {Collection.of(one) for one in (*builtin(), *engines)}


BACKUP = engine("backup")
RESTORE = engine("restore", kind="Restore", plural="restores")


async def test_entries_are_written_once_and_taken_away(api: Api, reconciler: EngineReconciler) -> None:
    assert await reconciler._bring([BACKUP, RESTORE], [], described(BACKUP, RESTORE)) == ""
    assert api.plurals == {"backups", "restores"}
    assert await reconciler._bring([BACKUP, RESTORE], [], described(BACKUP, RESTORE)) == ""
    assert api.writes == 1
    assert await reconciler._bring([], [], described()) == ""
    assert api.plurals == set()


async def test_launch_plans_are_checked_but_held_by_nobody(api: Api, reconciler: EngineReconciler) -> None:
    plan = {"group": "example.com", "version": "v1", "kind": "Schedule", "plural": "schedules"}
    planned = engine("backup", launchPlans=[plan])
    assert await reconciler._bring([planned], [], described(planned)) == ""
    assert api.plurals == {"backups", "schedules"}
    assert noted(api) == NOTE
    assert await reconciler._bring([planned], [], described(planned)) == ""
    assert api.writes == 1


async def test_until_the_checks_are_trusted_there_are_none(api: Api, reconciler: EngineReconciler) -> None:
    plan = {"group": "example.com", "version": "v1", "kind": "Schedule", "plural": "schedules"}
    planned = engine("backup", launchPlans=[plan])
    del api.checks["webhooks"][0]["clientConfig"]["caBundle"]
    assert await reconciler._bring([planned], [], described(planned)) == ""
    assert api.plurals == {"backups"}


async def test_an_engine_that_is_listed_anew_stays_admitted(api: Api, reconciler: EngineReconciler) -> None:
    await reconciler._bring([BACKUP], [], described(BACKUP))
    # Executions that refer to options would slip through otherwise, while an edit of the engine takes effect.
    assert await reconciler._bring([], [BACKUP, RESTORE], described(BACKUP, RESTORE)) == ""
    assert api.plurals == {"backups"}
    assert api.writes == 1


async def test_without_a_trusted_webhook_nobody_is_made_to_wait_for_it(api: Api, reconciler: EngineReconciler) -> None:
    del api.found[WEBHOOK_CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"]
    assert "does not trust the webhook yet" in await reconciler._bring([BACKUP], [], described(BACKUP))
    assert api.plurals == set()


@pytest.mark.parametrize("name", [WEBHOOK_CONFIGURATION, ENGINES_CONFIGURATION])
async def test_a_configuration_that_is_gone_is_named(api: Api, reconciler: EngineReconciler, name: str) -> None:
    del api.found[name]
    assert f"{name} does not exist" in await reconciler._bring([BACKUP], [], described(BACKUP))
    assert api.writes == 0


BACKUPS = path_of(BACKUP.group, BACKUP.version, BACKUP.plural)
NOTE = "backups.v1.example.com"


def noted(api: Api) -> str | None:
    found: str | None = api.found[ENGINES_CONFIGURATION]["metadata"].get("annotations", {}).get(ANNOTATION)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("execution_options.controller.engines.departed.time.monotonic", made)
    return made


async def test_a_kind_is_remembered_until_nothing_can_be_held_of_it(
    api: Api, reconciler: EngineReconciler, clock: Clock
) -> None:
    await reconciler._bring([BACKUP], [], described(BACKUP))
    assert noted(api) == NOTE
    # Another controller finds out that it is described no more.
    other = EngineReconciler(reconciler._kube, reconciler._index, reconciler._world, reconciler._writer, SETTINGS)
    await other._bring([], [], described())
    assert (api.plurals, noted(api), api.listed) == (set(), NOTE, [BACKUPS])
    assert other._departed.pending
    clock.now += departed.ADMISSION_SECONDS
    await other._bring([], [], described())
    await other._bring([], [], described())
    assert (noted(api), api.listed) == (None, [BACKUPS] * 2)
    assert not other._departed.pending


async def test_entries_of_an_earlier_version_are_remembered(api: Api, reconciler: EngineReconciler) -> None:
    await reconciler._bring([BACKUP], [], described(BACKUP))
    del api.found[ENGINES_CONFIGURATION]["metadata"]["annotations"]
    await reconciler._bring([], [], described())
    assert (api.plurals, noted(api), api.listed) == (set(), NOTE, [BACKUPS])


async def test_while_a_description_is_broken_nothing_is_let_go(api: Api, reconciler: EngineReconciler) -> None:
    await reconciler._bring([BACKUP], [], described(BACKUP))
    await reconciler._bring([], [], None)
    assert (api.plurals, noted(api), api.listed) == (set(), NOTE, [])


async def test_without_the_right_it_is_said_and_tried_again(
    api: Api, reconciler: EngineReconciler, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await reconciler._bring([BACKUP], [], described(BACKUP))
    api.forbidden = {BACKUPS}
    for _ in range(2):
        await reconciler._bring([], [], described())
        clock.now += departed.ADMISSION_SECONDS
    assert caplog.text.count("cannot be let go") == 1
    assert noted(api) == NOTE
    api.forbidden = set()
    for _ in range(2):
        await reconciler._bring([], [], described())
    assert noted(api) is None
