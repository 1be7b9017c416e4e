"""`execution-options cluster`: the embedded control plane from the command line."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import click

from execution_options.cluster import Cluster, ClusterError, ControlPlane, NamedCluster
from execution_options.cluster.lifecycle import running
from execution_options.cluster.progress import Progress
from execution_options.cluster.state import DEFAULT_NAME, ClusterState, Phase, all_names

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")

_name_option = click.option("--name", default=DEFAULT_NAME, show_default=True, help="Name of the embedded cluster.")


def _named_options(command: Callable[_P, _R]) -> Callable[_P, _R]:
    command = click.option("--context", help="Context of the kubeconfig; by default its current one.")(command)
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Use the cluster of this kubeconfig instead of the embedded one.",
    )(command)


def _one_line_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Report errors of the cluster in one line, with exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except ClusterError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


@click.group()
def cluster() -> None:
    """Start, stop and use a Kubernetes control plane of your own.

    It is a real API server with etcd, controllers and scheduler on loopback; kwok runs the pods, without containers.
    With --kubeconfig or --context a cluster of yours is used instead: nothing is started, it is checked.
    """


@cluster.command()
@_name_option
@_named_options
@click.option("--emulated-version", metavar="1.N", help="Pretend to be this Kubernetes version, such as 1.34.")
@_one_line_errors
def up(name: str, kubeconfig: Path | None, context: str | None, emulated_version: str | None) -> None:
    """Start the control plane and print how to use it.

    The first start builds it (minutes); later ones take seconds. It runs until 'cluster down'.
    """
    if kubeconfig is not None or context is not None:
        if emulated_version is not None:
            raise click.UsageError("--emulated-version is for the embedded cluster only")
        _report_named(NamedCluster(kubeconfig, context))
        return
    if running(ClusterState(name)) is not None:
        control_plane = ControlPlane.attach(name)
        click.echo(f"cluster {name!r} runs already")
    else:
        control_plane = ControlPlane.start(name, emulated_version=emulated_version, detached=True, progress=Progress())
        click.echo(f"cluster {name!r} is ready: Kubernetes {control_plane.version()}")
    suffix = "" if name == DEFAULT_NAME else f" --name {name}"
    click.echo(f"\n  export KUBECONFIG={control_plane.kubeconfig}")
    click.echo(f"  execution-options cluster kubectl{suffix} -- get nodes")
    click.echo(f"  execution-options cluster down{suffix}")


@cluster.command()
@click.option("--name", help=f"Name of the embedded cluster.  [default: {DEFAULT_NAME}]")
@click.option("--all", "every", is_flag=True, help="Stop every embedded cluster.")
@_one_line_errors
def down(name: str | None, every: bool) -> None:
    """Stop the control plane and delete all its data."""
    if every and name is not None:
        raise click.UsageError("--all and --name exclude each other")
    for one in all_names() if every else [name or DEFAULT_NAME]:
        state = ClusterState(one)
        existed = state.folder.exists()
        ControlPlane.remove(one)
        click.echo(f"cluster {one!r} is stopped" if existed else f"cluster {one!r} does not run")


@cluster.command()
@_name_option
@_named_options
@_one_line_errors
def status(name: str, kubeconfig: Path | None, context: str | None) -> None:
    """Show what runs and whether it is healthy. Exit code 1 if something is down or unhealthy."""
    if kubeconfig is not None or context is not None:
        _report_named(NamedCluster(kubeconfig, context))
        return
    state = ClusterState(name)
    record = running(state)
    if record is None:
        last = state.read()
        failure = f": {last.message}" if last is not None and last.phase is Phase.FAILED else ""
        raise ClusterError(f"cluster {name!r} does not run{failure}")
    control_plane = ControlPlane.attach(name)
    components = control_plane.components()
    healthy = all(component.healthy for component in components)
    click.echo(f"cluster     {name}")
    click.echo(f"version     {control_plane.version() if healthy else 'unknown'}")
    if record.emulated_version is not None:
        click.echo(f"emulates    {record.emulated_version}")
    click.echo(f"kubeconfig  {control_plane.kubeconfig}")
    click.echo(f"logs        {control_plane.logs_dir}")
    click.echo(f"\n{'COMPONENT':<26}{'PID':<9}{'PORT':<7}{'RESTARTS':<10}HEALTHY")
    click.echo(f"{'supervisor':<26}{record.supervisor.pid:<9}{'-':<7}{'-':<10}yes")
    for component in components:
        pid, answer = component.pid or "-", "yes" if component.healthy else "no"
        click.echo(f"{component.name:<26}{pid:<9}{component.port:<7}{component.restarts:<10}{answer}")
    if not healthy:
        sys.exit(1)


def _pass_through(program: str, arguments_of: Callable[[Cluster, tuple[str, ...]], list[str]]) -> click.Command:
    @cluster.command(
        program,
        help=f"Run {program} against the cluster: cluster {program} -- ARGUMENTS.",
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @_name_option
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    @_one_line_errors
    def command(name: str, arguments: tuple[str, ...]) -> NoReturn:
        control_plane = ControlPlane.attach(name)
        line = arguments_of(control_plane, arguments)
        os.execve(line[0], line, control_plane.environment())  # noqa: S606

    return command


_pass_through("kubectl", Cluster.kubectl_command)
_pass_through("helm", Cluster.helm_command)


def _report_named(named: NamedCluster) -> None:
    click.echo(f"cluster     {named.server}")
    click.echo(f"version     {named.version}")
    click.echo(f"kubeconfig  {named.kubeconfig}")
    click.echo(f"context     {named.context}")
