"""A webhook that the API server of the embedded control plane calls, and load on it."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from execution_options.certificates import CertificateManager, Policy
from execution_options.certificates.injection import Target
from execution_options.kube.client import ApiError, Kube, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from execution_options.cluster import ControlPlane

SERVICE = "webhook"
SECRET = "webhook-certificates"
LABEL = "called"
_PATCH = base64.b64encode(
    json.dumps([{"op": "add", "path": f"/metadata/labels/{LABEL}", "value": "yes"}]).encode()
).decode()


async def eventually(check: Callable[[], Awaitable[object]]) -> None:
    """Wait until what ``check`` answers is true."""
    async with asyncio.timeout(60):
        while not await check():  # noqa: ASYNC110 - the cluster sets no events
            await asyncio.sleep(0.02)


class Site:
    """Everything of one test: a namespace, a webhook configuration that names a Service, replicas that serve it."""

    def __init__(self, kube: Kube, namespace: str, stack: AsyncExitStack) -> None:
        self.kube = kube
        self.namespace = namespace
        self.target = Target(f"certificates-{namespace}")
        self.calls = 0
        self.port = 0
        self._stack = stack

    def manager(self, kube: Kube | None = None, **options: Any) -> CertificateManager:
        """One replica's certificates, not running yet. It reads rarely, so only its watches make it quick."""
        options = {"propagation": timedelta(seconds=1), "resync": timedelta(hours=1)} | options
        return CertificateManager(
            kube or self.kube,
            namespace=self.namespace,
            service=SERVICE,
            secret=SECRET,
            configuration=self.target.name,
            **options,
        )

    async def run(self, manager: CertificateManager) -> asyncio.Task[None]:
        """Run it until the test ends."""
        task = asyncio.create_task(manager.run())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)
        return task

    async def serve(self, manager: CertificateManager) -> None:
        """Serve the webhook with its certificates; several replicas share one port, as behind a Service."""
        app = web.Application()
        app.router.add_post("/", self._review)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=manager.ssl_context, reuse_port=True)
        await site.start()
        self.port = runner.addresses[0][1]

    async def _review(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.calls += 1
        answer = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": _PATCH}
        response = web.json_response(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        )
        response.force_close()  # every call makes a handshake
        return response

    async def configure(self) -> None:
        """Create the webhook configuration: failurePolicy Fail on config maps of the namespace."""
        service = {"name": SERVICE, "namespace": self.namespace, "port": self.port or 443, "path": "/"}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
        webhooks = [
            {
                "name": f"{name}.certificates.example.com",
                "clientConfig": {"service": service},
                "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                # kube-controller-manager writes one into each namespace.
                "objectSelector": {"matchLabels": {"load": "yes"}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
            for name in ("first", "second")
        ]
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.target.name},
            "webhooks": webhooks,
        }
        await self.kube.create(self.target.collection, body)
        self._stack.push_async_callback(self.kube.delete, self.target.path)

    async def request(self) -> None:
        """One request that the webhook has to admit.

        Raises:
            ApiError: It was refused.
        """
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "load-", "labels": {"load": "yes"}},
        }
        path = path_of("", "v1", "configmaps", self.namespace)
        answer = json.loads(await self.kube.create(path, body, params={"dryRun": "All"}))
        assert answer["metadata"]["labels"].get(LABEL) == "yes"

    async def works(self) -> bool:
        """Whether the webhook can be called."""
        try:
            await self.request()
        except (ApiError, aiohttp.ClientError):
            return False
        return True

    async def load(self, until: Callable[[], bool], workers: int = 3) -> tuple[int, list[str]]:
        """Send requests until a condition holds; how many were admitted, and the errors of the others."""
        refused: list[str] = []
        admitted = 0

        async def work() -> None:
            nonlocal admitted
            while not until():
                try:
                    await self.request()
                    admitted += 1
                except ApiError as error:
                    refused.append(str(error))

        async with asyncio.timeout(120):
            await asyncio.gather(*(work() for _ in range(workers)))
        return admitted, refused

    async def secret(self) -> dict[str, Any]:
        """The Secret."""
        secret: dict[str, Any] = json.loads(await self.kube.get(path_of("", "v1", "secrets", self.namespace, SECRET)))
        return secret

    async def bundles(self) -> set[bytes]:
        """The CA bundles of the webhook configuration."""
        configuration = json.loads(await self.kube.get(self.target.path))
        return {base64.b64decode(w["clientConfig"].get("caBundle", "")) for w in configuration["webhooks"]}


FAST = Policy(
    authority_lifetime=timedelta(seconds=20),
    authority_overlap=timedelta(seconds=13),
    serving_lifetime=timedelta(seconds=8),
    serving_renewal=0.4,
    skew=timedelta(seconds=3),
)
"""A new serving certificate every 3 s, a new authority every 8 s."""


@pytest.fixture
async def site(embedded: ControlPlane, namespace: str) -> AsyncIterator[Site]:
    """A namespace whose Service leads to loopback, where the tests serve."""
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(await Kube.connect(embedded.kubeconfig, embedded.context))
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        await kube.create(path_of("", "v1", "services", namespace), service)
        yield Site(kube, namespace, stack)
