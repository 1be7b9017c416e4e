"""``execution-options controller``: the controller's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.process import log_options, with_logs
from execution_options.controller.app import serve
from execution_options.controller.lease import LeaseLostError, Timing
from execution_options.controller.settings import Settings
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@cluster_options
@click.option("--namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@click.option("--host", default="", help="Address to listen on.  [default: all]")
@click.option("--health-port", default=8082, show_default=True, help="Port for /healthz, /readyz and /metrics.")
@click.option(
    "--lease-duration",
    type=click.FloatRange(min=2),
    default=15.0,
    show_default=True,
    help="Seconds after which another controller takes over from one that died.",
)
@click.option(
    "--status-interval",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds between two writes of a status in which only numbers changed.",
)
@click.option(
    "--patch-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=50.0,
    show_default=True,
    help="Most patches of executions and pods per second.",
)
@log_options
@with_logs
@asynchronous
async def controller(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    host: str,
    health_port: int,
    lease_duration: float,
    status_interval: float,
    patch_rate: float,
) -> None:
    """Bring edits of options to living executions, and say in the status of options what became of them.

    Of any number of replicas one is active; the others are ready to take over.
    """
    settings = Settings(
        namespace=namespace,
        host=host,
        health_port=health_port,
        timing=Timing(lease_duration),
        status_interval=status_interval,
        patch_rate=patch_rate,
    )
    async with await Kube.connect(kubeconfig, context) as kube:
        try:
            await serve(kube, settings, kubeconfig, context)
        except LeaseLostError as lost:
            raise click.ClickException(str(lost)) from lost
