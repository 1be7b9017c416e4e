"""``execution-options release-gates``: it releases all pods that wait for a parallelism slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from execution_options.cli.confirming import confirm, confirming, counted
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.install.uninstall import gated_pods, release_pods
from execution_options.kube.access import find
from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@cluster_options
@click.option("-n", "--namespace", help="Namespace of the pods.  [default: the context's]")
@click.option("-A", "--all-namespaces", is_flag=True, help="Pods of all namespaces.")
@confirming
@asynchronous
async def release_gates(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    all_namespaces: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    """Let all pods of a namespace go that wait for a parallelism slot, whatever limit their executions have.

    For an emergency: pods that are created afterwards wait again, as long as the webhook gates them.
    """
    if all_namespaces and namespace is not None:
        raise click.UsageError("--all-namespaces and --namespace exclude each other")
    access = await find(kubeconfig, context)
    within = "" if all_namespaces else namespace or access.namespace
    where = f"namespace {within}" if within else "all namespaces"
    async with Kube(access) as kube:
        if not yes or dry_run:
            waiting = [f"pod/{pod.name} of namespace {pod.namespace}" async for pod in gated_pods(kube, within)]
            if not waiting:
                click.echo(f"no pod waits in {where}")
                return
            what = f"release {counted(len(waiting), 'pod')} in {where}, whatever limits their executions have"
            if not confirm(what, waiting, yes=yes, dry_run=dry_run):
                return
        released = await release_pods(kube, within)
    click.echo(f"{counted(released, 'pod')} released in {where}")
