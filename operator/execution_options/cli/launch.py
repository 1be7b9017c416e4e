"""``execution-options launch``: one execution, with options for it alone."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec
import yaml

from execution_options.api import decoding
from execution_options.api.channel import CHANNEL_TYPES
from execution_options.api.decoding import UnreadableError
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.preview import show
from execution_options.cli.progress import follow
from execution_options.kube.access import find
from execution_options.kube.client import Kube
from execution_options.launching import LaunchError, alaunch
from execution_options.launching.manifest import spec_of, with_options

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TRANSPORTS = {"email": "email", "slack": "slack", "pagerduty": "pagerDuty"}
_DESTINATIONS = tuple(name for name in CHANNEL_TYPES.values() if name not in _TRANSPORTS.values())


@click.command()
@click.option("-f", "--filename", "file", type=click.File(), required=True, help="Its manifest; - for standard input.")
@click.option("-n", "--namespace", help="Namespace where the manifest names none.  [default: the context's]")
@click.option("--name", help="Name of the execution, instead of the manifest's.")
@click.option("--generate-name", help="What a unique name begins with, instead of the manifest's name.")
@click.option("--options", "references", multiple=True, metavar="NAME", help="Options to refer to; repeatable.")
@click.option("--service-account", help="Service account of its pods.")
@click.option("--labels", multiple=True, metavar="KEY=VALUE", help="A label, or a JSON map of them; repeatable.")
@click.option("--annotations", multiple=True, metavar="KEY=VALUE", help="The same for annotations.")
@click.option("--raw-output-data-prefix", help="Where it stores offloaded data, for example s3://bucket/prefix.")
@click.option("--max-parallelism", type=int, help="How many of its pods may run at once; 0: unlimited.")
@click.option("--overwrite-cache", is_flag=True, default=None, help="Run again what a cache could answer.")
@click.option("--disable-notifications", is_flag=True, default=None, help="Send no notification.")
@click.option(
    "--env", "--envvars", "envs", multiple=True, metavar="KEY=VALUE", help="A variable of every container; repeatable."
)
@click.option(
    "--notify",
    "notifications",
    multiple=True,
    metavar="PHASES=WAY",
    help="Whom to notify, for example FAILED,TIMED_OUT=email:on-call@example.com. Ways are email, slack and pagerduty "
    f"with recipients, {', '.join(_DESTINATIONS)}; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only show what options would make of it.")
@click.option("-o", "--output", type=click.Choice(("name", "yaml", "json")), help="What to print of it.")
@click.option("--wait", is_flag=True, help="Follow it to its end, and exit with 0, 1, 3 or 4.")
@cluster_options
@asynchronous
async def launch(
    file: TextIO,
    namespace: str | None,
    name: str | None,
    generate_name: str | None,
    references: tuple[str, ...],
    output: str | None,
    kubeconfig: Path | None,
    context: str | None,
    *,
    dry_run: bool,
    wait: bool,
    **given: Any,
) -> None:
    """Launch an execution with options for it alone, on whichever engine its kind belongs to.

    With --wait the exit code is that of its phase: 0 SUCCEEDED, 1 FAILED, 3 ABORTED, 4 TIMED_OUT. Interrupted (130), it
    goes on.
    """
    try:
        spec = spec_of(_spec(given))
        document = with_options(file.read(), spec, references, name=name, generate_name=generate_name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if dry_run:
        access = await find(kubeconfig, context)
        async with Kube(access) as kube:
            if await show(kube, [document], namespace or access.namespace, file.name):
                raise click.exceptions.Exit(1)
        return
    try:
        execution = await alaunch(document, namespace=namespace, kubeconfig=kubeconfig, context=context)
        if output in ("yaml", "json"):
            _print(await execution.read(), output)
        else:
            click.echo(execution.reference if output == "name" else f"{execution.reference} launched")
        if wait:
            try:
                code = await follow(execution, live=sys.stderr.isatty())
            except asyncio.CancelledError:
                click.echo(f"{execution.reference} goes on", err=True)
                raise
            raise click.exceptions.Exit(code)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except LaunchError as error:
        raise click.ClickException(str(error)) from error


def _print(document: dict[str, Any], output: str) -> None:
    if output == "yaml":
        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def _spec(given: dict[str, Any]) -> dict[str, Any]:
    """The spec that the flags state.

    Raises:
        ValueError: one of them cannot be read.
    """
    spec: dict[str, Any] = {}
    for flag in ("labels", "annotations"):
        if given[flag]:
            spec[flag] = _map(f"--{flag}", given[flag])
    if given["envs"]:
        spec["envs"] = [{"name": key, "value": value} for key, value in _map("--env", given["envs"]).items()]
    if given["service_account"] is not None:
        spec["securityContext"] = {"runAs": {"k8sServiceAccount": given["service_account"]}}
    if given["raw_output_data_prefix"] is not None:
        spec["rawOutputDataConfig"] = {"outputLocationPrefix": given["raw_output_data_prefix"]}
    for flag, field in (
        ("max_parallelism", "maxParallelism"),
        ("overwrite_cache", "overwriteCache"),
        ("disable_notifications", "disableNotifications"),
    ):
        if given[flag] is not None:
            spec[field] = given[flag]
    if given["notifications"]:
        spec["notifications"] = [_notification(text) for text in given["notifications"]]
    return spec


def _map(flag: str, texts: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        if text.startswith("{"):
            try:
                found |= decoding.read(text, dict[str, str])
            except UnreadableError as error:
                raise ValueError(f"{flag}: {text!r} is no JSON map of strings: {error}") from None
            continue
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ValueError(f"{flag}: {text!r} is not KEY=VALUE")
        found[key] = value
    return found


def _notification(text: str) -> dict[str, Any]:
    phases, _, way = text.partition("=")
    transport, _, recipients = way.partition(":")
    whom = [recipient.strip() for recipient in recipients.split(",") if recipient.strip()]
    made: dict[str, Any] = {"phases": [phase.strip().upper() for phase in phases.split(",") if phase.strip()]}
    if transport in _DESTINATIONS and not whom:
        return made | {transport: {}}
    if transport not in _TRANSPORTS or not whom:
        raise ValueError(
            f"--notify: {text!r} is not PHASES=WAY, for example FAILED,TIMED_OUT=email:on-call@example.com; ways are "
            f"email:, slack: and pagerduty: with recipients, {', '.join(_DESTINATIONS)}"
        )
    return made | {_TRANSPORTS[transport]: {"recipients": whom}}
