"""``execution-options uninstall``: what has to be done before the operator is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.process import log_options, with_logs
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.install.uninstall import uninstall as take_away
from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@cluster_options
@click.option("--namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@log_options
@with_logs
@asynchronous
async def uninstall(kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Let go of everything that waits for the operator, before it is taken away.

    Removes the webhook entries, stops the controller, releases pods that wait for their turn and executions that are
    held until their notifications are recorded. Helm does this by itself.
    """
    async with await Kube.connect(kubeconfig, context) as kube:
        removed = await take_away(kube, namespace)
    click.echo(f"webhook entries removed; {removed.executions} executions and {removed.pods} pods released")
