"""``execution-options controller``: the controller's process."""

from __future__ import annotations

import asyncio
import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

import click
import kopf

from execution_options.api import names
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.process import log_options, with_logs
from execution_options.controller import handlers, kopf_session
from execution_options.controller.runtime import Settings, Timing
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.providers import outbound


_CLUSTER_NAME: Final = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")


class Network(click.ParamType["outbound.Network"]):
    """A network in CIDR notation, or a single address."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> outbound.Network:
        """The network that is meant."""
        try:
            return ip_network(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ClusterName(click.ParamType[str]):
    """A name that can be part of a URL, a subject and a key."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, unless it is invalid."""
        if value and not _CLUSTER_NAME.fullmatch(value):
            self.fail(f"{value!r}: write at most 63 letters, digits, '-', '_' and '.', for example prod-eu", param, ctx)
        return str(value)


@click.command()
@cluster_options
@click.option("--namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@click.option(
    "--cluster-name",
    default="",
    type=ClusterName(),
    help="Name of the cluster in notifications, which keeps incidents of two clusters apart.  [default: none]",
)
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
    default=200.0,
    show_default=True,
    help="Most patches of executions and pods per second; fewer while the API server has too much to do.",
)
@click.option(
    "--send-timeout",
    type=click.FloatRange(min=1),
    default=20.0,
    show_default=True,
    help="Seconds that sending one notification to one recipient may take.",
)
@click.option(
    "--allow-network",
    "allowed_networks",
    multiple=True,
    type=Network(),
    metavar="CIDR",
    help="Network that notifications may be sent to although it is not public: a mail relay's, say. Repeatable.",
)
@click.option(
    "--resync",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    help="Seconds between two lists of options, and of pods that wait for a slot, in case an event got lost.",
)
@log_options
@with_logs
@asynchronous
async def controller(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    cluster_name: str,
    host: str,
    health_port: int,
    lease_duration: float,
    status_interval: float,
    patch_rate: float,
    send_timeout: float,
    allowed_networks: tuple[outbound.Network, ...],
    resync: float,
) -> None:
    """Bring edits of options to living executions, and report the outcome in the status of the options.

    Of any number of replicas one is active; the others are ready to take over.
    """
    settings = Settings(
        namespace=namespace,
        cluster=cluster_name,
        host=host,
        health_port=health_port,
        timing=Timing(lease_duration),
        status_interval=status_interval,
        patch_rate=patch_rate,
        send_timeout=send_timeout,
        allowed_networks=allowed_networks,
        resync=resync,
    )
    kopf_session.quiet()
    stop = asyncio.Event()
    memo = kopf.Memo(kube=await Kube.connect(kubeconfig, context), settings=settings, stop=stop)
    try:
        # No peer sees the identity. Without it, kopf reads its user's name, which a container lacks.
        await kopf.operator(
            registry=handlers.REGISTRY,
            clusterwide=True,
            identity=names.GROUP,  # type: ignore[arg-type]
            memo=memo,
            stop_flag=stop,
        )
    except Exception as error:
        # kopf raises an error of its own from what a handler raised.
        cause = error.__cause__ or error
        raise (click.ClickException(str(cause)) if isinstance(cause, kopf.PermanentError) else cause) from error
