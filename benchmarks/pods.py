"""Bare pods through the API server: without any webhook, with ours, and with others.

In each round every peer is measured in turn, with no other webhook configuration in the cluster. Pods are
really created (their scheduler does not exist, so nothing but their creation is measured) and are deleted
before the next one's turn.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from benchmarks import manifests, table
from benchmarks.load import CLIENTS, Sample, measure
from benchmarks.peers import Peer
from benchmarks.setting import (
    WEBHOOKS,
    Setting,
    answer_of,
    apply,
    apply_options,
    only,
    remove_all,
    review_of,
    service_account,
    setting,
)
from execution_options.api import names
from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

ROUNDS = 7
SECONDS = 2.0
OURS, FOREIGN = "opted-in", "foreign"
BARE, UNRELATED, FLOOR, WITH_US, KOPF = "no webhook", "ours, pods not ours", "constant answer", "ours", "kopf's server"


class _Peer(Struct, frozen=True):
    name: str
    configuration: dict[str, Any] | None
    namespace: str = OURS
    """Where its pods are created."""


def run() -> None:
    """Run the benchmark."""
    with setting("pods") as here:
        asyncio.run(_prepared(here))


async def _prepared(here: Setting) -> None:
    async with await here.kube() as kube:
        await apply(
            kube,
            "/api/v1/namespaces",
            [manifests.namespace(OURS, pods="enabled"), manifests.namespace(FOREIGN)],
        )
        await apply_options(kube, [manifests.options("nightly", OURS, {"engines": ["pod"]})])
        for namespace in (OURS, FOREIGN):
            await service_account(kube, namespace)
        review = await review_of(here, kube, _pods(OURS), manifests.pod())
        response = await answer_of(here.webhook, review)
        patch, metadata = here.folder / "patch.json", here.folder / "metadata.json"
        patch.write_bytes(base64.b64decode(response["patch"]))
        given = await kube.create(_pods(OURS), manifests.pod(), params={"dryRun": "All"})
        metadata.write_bytes(msgspec.json.encode(_given(msgspec.json.decode(given)["metadata"])))
        # That of engines which are added at run time has no entries.
        (ours,) = (one for one in msgspec.json.decode(await kube.get(WEBHOOKS))["items"] if one.get("webhooks"))
        floor, kopf = Peer(here.folder, "constant_webhook", "/"), Peer(here.folder, "kopf_webhook", "/mutate")
        with floor.running(str(patch)), kopf.running(str(metadata), environment=here.cluster.environment()):
            peers = [
                _Peer(BARE, None),
                _Peer(UNRELATED, ours, FOREIGN),
                _Peer(FLOOR, floor.configuration("pods", "", OURS)),
                _Peer(WITH_US, ours),
                _Peer(KOPF, kopf.configuration("pods", "", OURS)),
            ]
            samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
            for _ in range(ROUNDS):
                for peer in peers:
                    samples[peer.name].append(await _round(here, kube, peer))
    _report(samples)


async def _round(here: Setting, kube: Kube, peer: _Peer) -> Sample:
    async with only(kube, peer.configuration):
        await _effective(kube, changed=peer.configuration is not None)
        request = here.api.request(_pods(peer.namespace), msgspec.json.encode(manifests.pod()))
        sample = await measure(here.api, request, seconds=SECONDS)
        await remove_all(kube, _pods(peer.namespace))
    return sample


async def _effective(kube: Kube, *, changed: bool) -> None:
    """Wait until the API server goes by the webhook configuration that was just written."""
    async with asyncio.timeout(30):
        while True:
            answer = await kube.create(_pods(OURS), manifests.pod(), params={"dryRun": "All"})
            if (names.ID_LABEL in msgspec.json.decode(answer)["metadata"].get("labels", {})) is changed:
                return
            await asyncio.sleep(0.05)


def _given(metadata: dict[str, Any]) -> dict[str, dict[str, str]]:
    labels = {key: value for key, value in metadata["labels"].items() if key != "app"}
    return {"labels": labels, "annotations": metadata["annotations"]}


def _pods(namespace: str) -> str:
    return path_of("", "v1", "pods", namespace)


def _report(samples: dict[str, list[Sample]]) -> None:
    rates = {name: [sample.rate for sample in rounds] for name, rounds in samples.items()}
    rows = []
    for name, rounds in samples.items():
        together = Sample(sum(s.seconds for s in rounds), [one for s in rounds for one in s.latencies])
        rows.append([
            name,
            f"{together.rate:.0f}",
            table.ms(together.percentile(50)),
            table.ms(together.percentile(99)),
            f"{table.median_ratio(rates[name], rates[BARE]):.2f}",
            f"{table.median_ratio(rates[name], rates[FLOOR]):.2f}",
        ])  # fmt: skip
    table.show(
        f"Creation of bare pods, {CLIENTS} clients, {ROUNDS} rounds of {SECONDS:.0f} s",
        ["", "pods/s", "p50 ms", "p99 ms", "of bare", "of constant"],
        rows,
    )
    table.aim(
        "ours, of a constant answer's rate", table.median_ratio(rates[WITH_US], rates[FLOOR]), 0.95, at_most=False
    )
    table.aim("ours, of kopf's rate", table.median_ratio(rates[WITH_US], rates[KOPF]), 1.2, at_most=False)
    unrelated = table.median_ratio(rates[UNRELATED], rates[BARE])
    table.aim("pods that are not ours, of the bare rate", unrelated, 0.95, at_most=False)
