"""Finished deliveries are deleted after a while, with the controller's own rights; held executions can be released."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.api.names import (
    API_VERSION,
    DELIVERY_KIND,
    DELIVERY_PLURAL,
    GROUP,
    NOTIFICATIONS_FINALIZER,
    VERSION,
)
from execution_options.controller.outbox.cleaning import Cleaning
from execution_options.controller.outbox.delivery import COLLECTION
from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import Kube, path_of
from execution_options.kube.listing import listed
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.api.keys import ExecutionKey
    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator
    from support.services import WebhookReceiver

    from .conftest import Controllers, Office

pytestmark = pytest.mark.e2e


async def cleaned(kubeconfig: Path, unmarked: dict[str, str], now: datetime) -> int:
    """Clean up as the controller does, with executions (name → UID) that have no note that they were notified."""

    def execution(key: ExecutionKey) -> PartialObject | None:
        uid = unmarked.get(key.name)
        return None if uid is None else PartialObject(ObjectMeta(name=key.name, uid=uid))

    world: Any = SimpleNamespace(engines={"job"}, execution=execution)
    trials: Any = SimpleNamespace(is_requested=lambda key, text: text == "asked")
    async with await Kube.connect(kubeconfig) as kube:
        return await Cleaning(kube, Writer(kube, lambda: True, 10.0), world, trials).clean(now)


def test_deliveries_are_deleted_after_a_day_unless_that_would_notify_again(
    controllers: Controllers, operator: LocalOperator, office: Office, receiver: WebhookReceiver
) -> None:
    office.channel("hook", webhook={"url": receiver.url})
    office.options({"phases": ["FAILED"], "webhook": {}})
    office.jobs("noted", "forgotten")
    controllers.start_in_place()
    for name in ("noted", "forgotten"):
        office.end(name)
        office.delivery(name)
        eventually(lambda name=name: office.note(name))
    uid = office.team.get("Job", "forgotten")["metadata"]["uid"]
    kubeconfig = operator.logs / "controller.kubeconfig"
    now = datetime.now(UTC)
    asyncio.run(cleaned(kubeconfig, {}, now))
    assert len(office.deliveries()) == 2
    assert asyncio.run(cleaned(kubeconfig, {"forgotten": uid}, now + timedelta(hours=25))) >= 1
    assert [one["spec"]["execution"]["name"] for one in office.deliveries()] == ["forgotten"]


def test_deliveries_are_listed_namespace_by_namespace(control_plane: Cluster, office: Office) -> None:
    # Cleaning relies on this to hold only one namespace's deliveries at a time.
    places = [office.namespace, f"{office.namespace}-b", f"{office.namespace}0"]
    spec = {
        "phase": "FAILED",
        "episode": "2026-11-23T12:00:00Z",
        "channel": {"namespace": "", "name": "", "type": "email"},
        "recipients": ["a@example.com"],
        "unsent": {"state": "Suppressed", "reason": "Disabled", "message": "by options"},
        "message": {"type": "email", "subject": "s", "text": "t"},
    }
    for place in places[1:]:
        office.team.request("POST", path_of("", "v1", "namespaces"), {"metadata": {"name": place}})
    for number, place in enumerate(places * 3):
        made = {"apiVersion": API_VERSION, "kind": DELIVERY_KIND, "metadata": {"name": f"d-{number}"}, "spec": spec}
        office.team.request("POST", path_of(GROUP, VERSION, DELIVERY_PLURAL, place), made)

    async def found() -> list[str]:
        async with await Kube.connect(control_plane.kubeconfig) as kube:
            return [one.metadata.namespace async for one in listed(kube, COLLECTION, PartialObject, page=2)]

    runs = [namespace for namespace, _ in itertools.groupby(asyncio.run(found()))]
    for place in places[1:]:
        office.team.request("DELETE", path_of("", "v1", "namespaces", name=place))
    assert len(runs) == len({*runs}) >= 3


def test_held_executions_are_released_when_the_operator_is_removed(control_plane: Cluster, office: Office) -> None:
    office.options({"phases": ["FAILED"], "webhook": {}}, notificationGuarantee="Held")
    office.jobs("held")
    office.team.request("DELETE", office.team.path("Job", "held") + "?propagationPolicy=Background")
    assert NOTIFICATIONS_FINALIZER in office.team.get("Job", "held")["metadata"]["finalizers"]
    where = ["--kubeconfig", str(control_plane.kubeconfig), "--context", control_plane.context]
    line = [sys.executable, "-m", "execution_options", "notify", "release", "--all", "--yes", *where]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "not held any more" in result.stdout
    eventually(lambda: office.team.listed("Job") == [])
