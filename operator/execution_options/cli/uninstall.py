"""``execution-options uninstall``: what has to be done before the operator is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from execution_options.cli.confirming import confirm, confirming, counted
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.process import log_options, with_logs
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.install.uninstall import plan
from execution_options.install.uninstall import uninstall as take_away
from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@cluster_options
@click.option("--namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@confirming
@log_options
@with_logs
@asynchronous
async def uninstall(kubeconfig: Path | None, context: str | None, namespace: str, yes: bool, dry_run: bool) -> None:
    """Let go of everything that waits for the operator, before it is taken away.

    Removes the webhook entries, stops the controller, releases pods that wait for their turn and executions that are
    held until their notifications are recorded, in all namespaces. Helm does this by itself.
    """
    async with await Kube.connect(kubeconfig, context) as kube:
        if not yes or dry_run:
            found = await plan(kube, namespace)
            what = (
                f"remove {counted(len(found.configurations), 'webhook configuration')} of {kube.server}, so that "
                f"nothing gets options any more, {'stop its controller, ' if found.controller else ''}and release "
                f"{counted(len(found.executions), 'held execution')} and {counted(len(found.pods), 'waiting pod')} in "
                "all namespaces"
            )
            if not confirm(what, found.lines, yes=yes, dry_run=dry_run):
                return
        removed = await take_away(kube, namespace)
    executions, pods = counted(removed.executions, "execution"), counted(removed.pods, "pod")
    click.echo(f"webhook entries removed; {executions} and {pods} released")
