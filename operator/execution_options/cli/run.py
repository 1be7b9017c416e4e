"""``execution-options run``: the whole operator on this machine."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from execution_options.cli.connection import cluster_options
from execution_options.local import LocalOperator, OperatorFailedError
from execution_options.processes import ignore

if TYPE_CHECKING:
    from pathlib import Path


_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_STOPPED = (
    "stopped: webhook entries, policies, the Service and the processes' rights are removed, nothing gets options; "
    "kinds, options and their namespace stay; pods that wait for a parallelism slot do so until it runs again, or "
    "'release-gates' lets them go"
)
_AGAIN = "'run' does when it starts and ends again"


def _stop(*_: object) -> NoReturn:
    # A second Ctrl-C must not leave webhook entries behind without a webhook.
    ignore(_STOPPING)
    sys.exit(0)


@click.command()
@cluster_options
@click.option("--name", help="Embedded cluster to use where no kubeconfig is named, by $KUBECONFIG neither.")
def run(kubeconfig: Path | None, context: str | None, name: str | None) -> None:
    """Install the operator's kinds, rights and webhook entries, and run its processes here until interrupted.

    For trying out and developing: the API server must run on this machine, as that of 'cluster up' does, and reach
    its loopback, which that of kind, k3d or minikube does not. The processes run under the operator's own service
    accounts, never with the rights of whoever starts them.
    """
    as_kubectl = kubeconfig is not None or context is not None or (name is None and "KUBECONFIG" in os.environ)
    if not as_kubectl:
        # Imported here: with a kubeconfig, `run` works without the embedded control plane, too.
        from execution_options.cluster import ClusterError, ControlPlane

        try:
            kubeconfig = ControlPlane.attach(name or "default").kubeconfig
        except ClusterError as error:
            raise click.ClickException(str(error)) from error
    elif name is not None:
        raise click.UsageError("--name is for embedded clusters, it excludes --kubeconfig and --context")
    for number in _STOPPING:
        signal.signal(number, _stop)
    if sys.stderr.isatty():
        click.echo(
            "installing the operator's kinds, rights and webhook entries, and starting its processes …", err=True
        )
    operator = LocalOperator(kubeconfig, context)
    started = False
    try:
        with operator:
            started = True
            click.echo(f"the operator is ready; logs: {operator.logs}; interrupt to stop it")
            operator.wait()
    except OperatorFailedError as error:
        raise click.ClickException(str(error)) from error
    finally:
        if operator.left:
            click.echo(f"stopped, but not all of it could be taken away: {operator.left}; {_AGAIN}", err=True)
        elif started:
            click.echo(_STOPPED)
