"""A control plane with the operator, and the few calls that the benchmarks need of both."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import platform
import ssl
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml
from msgspec import Struct

from benchmarks.load import Connection, Endpoint
from benchmarks.peers import Peer
from benchmarks.pod_operator import PodOperator
from execution_options.api import names
from execution_options.cluster import ControlPlane
from execution_options.engines.profile import builtin
from execution_options.kube.client import APPLY_PATCH, ApiError, Kube, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.manifests import Manifest

WEBHOOKS = path_of("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")


class Setting(Struct, frozen=True):
    """What a benchmark works with."""

    cluster: ControlPlane
    operator: PodOperator
    folder: Path

    @property
    def webhook(self) -> Endpoint:
        """Our webhook, for requests past the API server."""
        return direct(self.operator.webhook_port)

    @property
    def api(self) -> Endpoint:
        """The API server, as the user of the kubeconfig."""
        document = yaml.safe_load(self.cluster.kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        pair = self.folder / "user.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        tls.load_cert_chain(pair)
        host, _, port = cluster["server"].removeprefix("https://").partition(":")
        return Endpoint(host, int(port), tls)

    async def kube(self) -> Kube:
        """A connection to the API server."""
        return await Kube.connect(self.cluster.kubeconfig)

    def admissions(self) -> dict[str, float]:
        """How many requests our webhook has answered so far: a count for each engine that ships with it, and others."""
        with urllib.request.urlopen(self.operator.url("webhook", "/metrics"), timeout=10) as page:
            lines = page.read().decode().splitlines()
        counts = dict.fromkeys((engine.name for engine in builtin()), 0.0)
        for line in lines:
            if line.startswith("execution_options_admission_requests_total{"):
                engine = line.partition('engine="')[2].partition('"')[0]
                counts[engine] = counts.get(engine, 0.0) + float(line.rpartition(" ")[2])
        return counts


@contextlib.contextmanager
def setting(name: str, *processes: str, controller: tuple[str, ...] = ()) -> Iterator[Setting]:
    """A fresh control plane with the operator.

    Args:
        name: of the benchmark.
        processes: those of the operator besides the webhook.
        controller: arguments for the controller besides those it needs.
    """
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        root = Path(folder)
        with (
            ControlPlane.start(f"bench-{name}", root=root / "clusters") as cluster,
            PodOperator(cluster.kubeconfig, processes=("webhook", *processes), controller=controller) as operator,
        ):
            cores, python = os.cpu_count(), platform.python_version()
            load = os.getloadavg()[0]
            print(f"\n{cores} cores, load average {load:.1f}; Python {python}; Kubernetes {cluster.version()}")
            yield Setting(cluster, operator, root)


def direct(port: int) -> Endpoint:
    """A webhook on loopback; whose certificate it has does not matter here."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return Endpoint("127.0.0.1", port, tls)


async def apply(kube: Kube, path: str, manifests: list[Manifest]) -> None:
    """Server-side apply all, some at a time, into the collection ``path``."""
    slots = asyncio.Semaphore(16)

    async def one(manifest: Manifest) -> None:
        async with slots:
            target = f"{path}/{manifest['metadata']['name']}"
            await kube.patch(target, manifest, APPLY_PATCH, params={"fieldManager": "benchmarks"})

    await asyncio.gather(*map(one, manifests))


async def apply_options(kube: Kube, manifests: list[Manifest]) -> None:
    """Apply options of one namespace."""
    namespace = manifests[0]["metadata"]["namespace"]
    await apply(kube, path_of(names.GROUP, names.VERSION, names.OPTIONS_PLURAL, namespace), manifests)


async def remove_all(kube: Kube, path: str, seconds: float = 60) -> None:
    """Delete all objects of a collection and wait until they are gone."""
    params = {"propagationPolicy": "Background", "gracePeriodSeconds": "0"}
    await kube.delete(path, params=params, seconds=seconds)
    async with asyncio.timeout(seconds):
        while msgspec.json.decode(await kube.get(path, params={"limit": "1"}))["items"]:  # noqa: ASYNC110 - not told
            await asyncio.sleep(0.1)


async def service_account(kube: Kube, namespace: str) -> None:
    """Wait until a new namespace has the account that its pods need."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ApiError):
                await kube.get(path_of("", "v1", "serviceaccounts", namespace, "default"))
                return
            await asyncio.sleep(0.1)


async def review_of(setting: Setting, kube: Kube, collection: str, manifest: Manifest) -> bytes:
    """The AdmissionReview that the API server sends when ``manifest`` is created.

    It is recorded by a webhook that runs after ours and changes nothing, while ours is out of the way.
    """
    group, plural = ("", "pods") if manifest["kind"] == "Pod" else ("batch", "jobs")
    namespace = collection.split("/")[-2]
    empty, record = setting.folder / "empty", setting.folder / f"{plural}-{namespace}.json"
    empty.touch()
    peer = Peer(setting.folder, "constant_webhook", "/")
    with peer.running(str(empty), str(record)):
        async with only(kube, peer.configuration(plural, group, namespace)):
            async with asyncio.timeout(30):
                while not record.exists():
                    await kube.create(collection, manifest, params={"dryRun": "All"})
    return record.read_bytes()


async def answer_of(endpoint: Endpoint, review: bytes) -> dict[str, Any]:
    """The response of our webhook to a review."""
    async with Connection(endpoint) as connection:
        body = await connection.exchange(endpoint.request("/executions", review))
    response: dict[str, Any] = msgspec.json.decode(body)["response"]
    return response


@contextlib.asynccontextmanager
async def only(kube: Kube, configuration: Manifest | None) -> AsyncIterator[None]:
    """No other mutating webhooks than these (or none) for a while; those from before are put back."""
    before = msgspec.json.decode(await kube.get(WEBHOOKS))["items"]
    await _exchange(kube, before, [] if configuration is None else [configuration])
    try:
        yield
    finally:
        await _exchange(kube, [] if configuration is None else [configuration], before)


async def _exchange(kube: Kube, old: list[Manifest], new: list[Manifest]) -> None:
    for document in old:
        with contextlib.suppress(ApiError):
            await kube.delete(f"{WEBHOOKS}/{document['metadata']['name']}")
    for document in new:
        kept = {key: document["metadata"][key] for key in ("name", "labels") if key in document["metadata"]}
        header = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
        await kube.create(WEBHOOKS, {**header, "metadata": kept, "webhooks": document.get("webhooks", [])})


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
