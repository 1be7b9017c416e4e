"""``execution-options webhook``: the admission webhook's process."""

from __future__ import annotations

from pathlib import Path

import click

from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.process import log_options, with_logs
from execution_options.install import SYSTEM_NAMESPACE, controller_user
from execution_options.install.controllers import CLUSTER_CONTROLLERS, ENGINE_CONTROLLERS
from execution_options.kube.client import Kube
from execution_options.webhook.process import Settings, serve


@click.command()
@cluster_options
@click.option("--namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@click.option("--host", default="", help="Address to listen on.  [default: all]")
@click.option("--port", default=9443, show_default=True, help="Port for admission requests (HTTPS).")
@click.option("--health-port", default=8081, show_default=True, help="Port for /healthz, /readyz and /metrics.")
@click.option(
    "--trusted-user",
    multiple=True,
    default=[controller_user()],
    show_default=True,
    help="User name that may change the operator's own metadata on executions; repeatable.",
)
@click.option(
    "--engine-controller",
    multiple=True,
    default=ENGINE_CONTROLLERS,
    help="User or group of an engine's controller, whose owner references are believed; repeatable.  [default: as the "
    "engines' own installations name them]",
)
@click.option(
    "--certificate-folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with tls.crt and tls.key, made and made trusted by somebody else.  [default: the webhook does both]",
)
@click.option(
    "--client-ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the authorities (PEM) of client certificates: who shows none is not answered.  [default: all are]",
)
@click.option(
    "--linger-seconds",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="How long requests are still answered after SIGTERM, until no API server sends any.",
)
@log_options
@with_logs
@asynchronous
async def webhook(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    host: str,
    port: int,
    health_port: int,
    trusted_user: tuple[str, ...],
    engine_controller: tuple[str, ...],
    certificate_folder: Path | None,
    client_ca: Path | None,
    linger_seconds: float,
) -> None:
    """Give executions their options when they are created.

    Any number of replicas; each is ready once it has listed all options and its certificate is in place.
    """
    controllers = (*CLUSTER_CONTROLLERS, *engine_controller)
    settings = Settings(
        host,
        port,
        health_port,
        namespace,
        trusted_user,
        controllers,
        certificate_folder,
        linger_seconds,
        client_ca,
    )
    async with await Kube.connect(kubeconfig, context) as kube:
        await serve(kube, settings)
