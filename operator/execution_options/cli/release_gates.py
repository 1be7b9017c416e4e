"""``execution-options release-gates``: nobody waits for a parallelism slot any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.install.uninstall import release_pods
from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@cluster_options
@click.option("-n", "--namespace", default="", help="Only pods of this namespace.  [default: all]")
@asynchronous
async def release_gates(kubeconfig: Path | None, context: str | None, namespace: str) -> None:
    """Let all pods go that wait for a parallelism slot, whatever limit their executions have.

    For an emergency: pods that are created afterwards wait again, as long as the webhook gates them.
    """
    async with await Kube.connect(kubeconfig, context) as kube:
        released = await release_pods(kube, namespace)
    # kubectl would have meant the context's namespace.
    where = f"namespace {namespace}" if namespace else "all namespaces"
    click.echo(f"{released} pods released in {where}")
