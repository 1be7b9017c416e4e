"""The webhook's process: options in memory, certificates, servers, and their orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from execution_options.certificates.folder import CertificateFolder
from execution_options.certificates.injection import Target
from execution_options.certificates.manager import CertificateManager
from execution_options.fairness import Processor
from execution_options.health import health_app
from execution_options.install import (
    ENGINES_CONFIGURATION,
    SYSTEM_NAMESPACE,
    TLS_SECRET,
    WEBHOOK,
    WEBHOOK_CONFIGURATION,
)
from execution_options.serving import Port
from execution_options.webhook import metrics
from execution_options.webhook.handler import Handler
from execution_options.webhook.index import Index
from execution_options.webhook.objects import Objects
from execution_options.webhook.server import admission_app

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10
"""Longest time for requests under way after a signal to stop: the longest timeout of an entry."""


class Settings(Struct, frozen=True):
    """Settings of the process. Port 0 stands for any free port."""

    host: str = ""
    port: int = 9443
    health_port: int = 8081
    namespace: str = SYSTEM_NAMESPACE
    trusted: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()
    certificate_folder: Path | None = None
    """Folder with the certificate; ``None``: the webhook creates its own."""
    linger_seconds: float = 5.0
    """Time in which new requests are still answered after a signal to stop. API servers notice only after a while that
    the process is no longer ready, and a request whose connection is closed is refused."""
    client_ca: Path | None = None
    """File with the authorities of client certificates; ``None``: clients need no certificate."""


async def serve(kube: Kube, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    index = Index(kube, settings.namespace)
    certificates = _certificates(kube, settings)

    def expires() -> float:
        return 0.0 if certificates.expires is None else certificates.expires.timestamp()

    metrics.CERTIFICATE_EXPIRES.set_function(expires)

    def missing() -> str:
        if stop.is_set():
            return "stopping"
        if not index.synced:
            return "the options are not listed yet"
        return "" if certificates.usable else "the certificate is not in place yet"

    ports: list[Port] = []
    following = [asyncio.create_task(one.run()) for one in (index, certificates, metrics.WATCHDOG)]
    ended: asyncio.Task[object] = asyncio.create_task(stop.wait())
    gc.freeze()  # imported objects stay anyway, and each collection that scans them delays requests
    try:
        ports.append(Port(health_app(metrics.WATCHDOG.late, missing, metrics.REGISTRY)))
        health = await ports[-1].open(settings.host, settings.health_port)
        processor = Processor()
        handler = Handler(index, settings.trusted, settings.controllers, processor)
        admission = admission_app(handler, Objects(kube, index, settings.namespace, processor), stop.is_set, processor)
        # Handshakes fail until there is a certificate.
        if settings.client_ca is not None:
            certificates.ssl_context.load_verify_locations(settings.client_ca)
            certificates.ssl_context.verify_mode = ssl.CERT_REQUIRED
        ports.append(Port(admission, certificates.ssl_context, DRAIN_SECONDS))
        port = await ports[-1].open(settings.host, settings.port)
        logger.info("admission requests on port %d, probes and metrics on port %d", port, health)
        await asyncio.wait([ended, *following], return_when=asyncio.FIRST_COMPLETED)
        for follower in following:
            if follower.done():
                follower.result()  # they end only by an error
        logger.info("stopping")
        await asyncio.sleep(settings.linger_seconds)
    finally:
        for one in reversed(ports):
            await one.close()
        tasks = (*following, ended)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _certificates(kube: Kube, settings: Settings) -> CertificateManager | CertificateFolder:
    if settings.certificate_folder is not None:
        return CertificateFolder(settings.certificate_folder)
    return CertificateManager(
        kube,
        namespace=settings.namespace,
        service=WEBHOOK,
        secret=TLS_SECRET,
        configuration=WEBHOOK_CONFIGURATION,
        others=(
            Target(ENGINES_CONFIGURATION, required=False),
            Target(WEBHOOK_CONFIGURATION, "validatingwebhookconfigurations", required=False),
        ),
    )
