"""``execution-options notify``: have notifications delivered again, tested, or no longer waited for."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from execution_options.api import kinds
from execution_options.api.meta import PartialObject
from execution_options.api.names import (
    CHANNEL_KIND,
    DELIVERY_KIND,
    DELIVERY_PLURAL,
    GROUP,
    PLURALS,
    REDELIVER_LABEL,
    TEST_ANNOTATION,
    TEST_LABEL,
    VERSION,
)
from execution_options.cli.confirming import confirm, confirming, counted
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.kinds import means_ours, split
from execution_options.cli.output import table
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.install.release import all_held, collections, release_all
from execution_options.kube.access import find
from execution_options.kube.client import MERGE_PATCH, METADATA, Kube, path_of
from execution_options.outbox.state import FINISHED
from execution_options.outbox.trial import WORDS, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS: Final = {WORDS[kind]: kinds.KINDS[kind] for kind in (*PLURALS, CHANNEL_KIND)}
SECONDS: Final = 60.0
"""How long a command waits for the operator."""


@click.group()
def notify() -> None:
    """Deliver notifications again, and try channels out.

    `kubectl get notificationdeliveries` shows the outcome of every notification.
    """


@notify.command()
@click.argument("deliveries", nargs=-1, required=True, metavar="NAME...")
@click.option("-n", "--namespace", help="Namespace of the deliveries.  [default: the context's]")
@cluster_options
@asynchronous
async def redeliver(
    deliveries: tuple[str, ...], namespace: str | None, kubeconfig: Path | None, context: str | None
) -> None:
    """Deliver NotificationDeliveries again, and show the outcome.

    Recipients who did not get the notification are tried again; if all of them got it, all are. A NAME may also be what
    `kubectl get nd -o name` prints.
    """
    found = [_delivery(text) for text in deliveries]
    access = await find(kubeconfig, context)
    request = _request()
    async with Kube(access) as kube:
        paths = [path_of(GROUP, VERSION, DELIVERY_PLURAL, namespace or access.namespace, name) for name in found]
        for path in paths:
            await kube.patch(path, {"metadata": {"labels": {REDELIVER_LABEL: request}}}, MERGE_PATCH, accept=METADATA)

        async def fetch() -> list[dict[str, Any]]:
            every: list[dict[str, Any]] = [msgspec.json.decode(await kube.get(path)) for path in paths]
            seen = all((one.get("status") or {}).get("redelivery") == request for one in every)
            return every if seen else []

        _show(await _outcome(fetch))


def _delivery(text: str) -> str:
    """The name of a delivery.

    Raises:
        click.UsageError: it is of another kind.
    """
    kind, slash, name = text.rpartition("/")
    if (slash and not means_ours(kind, kinds.KINDS[DELIVERY_KIND])) or not name:
        raise click.UsageError(f"{text!r} is no NotificationDelivery; write NAME, or nd/NAME")
    return name


@notify.command("test")
@click.argument("target", nargs=-1, required=True, metavar="KIND/NAME")
@click.option("-n", "--namespace", help="Namespace of the object.  [default: the context's]")
@click.option("--to", "recipients", multiple=True, help="Recipient of the test of a channel. Repeatable.")
@click.option("--operator-namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@cluster_options
@asynchronous
async def trial(
    target: tuple[str, ...],
    namespace: str | None,
    recipients: tuple[str, ...],
    operator_namespace: str,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """Send a test by a channel, or to everybody whom options would notify, and show what the services answer.

    KIND/NAME is channel/NAME, options/NAME or cluster-options/NAME.
    """
    word, name = split(target)
    kind = next((key for key, of in KINDS.items() if word == key or means_ours(word, of)), None)
    if kind is None or not name:
        raise click.UsageError(f"{' '.join(target)!r} is none of {', '.join(f'{kind}/NAME' for kind in KINDS)}")
    access = await find(kubeconfig, context)
    of_cluster = kind == "cluster-options"
    home = operator_namespace if of_cluster else namespace or access.namespace
    text = " ".join((_request(), *recipients))
    async with Kube(access) as kube:
        path = path_of(GROUP, VERSION, KINDS[kind].plural, "" if of_cluster else home, name)
        change = {"metadata": {"annotations": {TEST_ANNOTATION: text}}}
        written = await kube.patch(path, change, MERGE_PATCH, accept=METADATA)
        request = Request(msgspec.json.decode(written, type=PartialObject).metadata.uid, text)
        collection = path_of(GROUP, VERSION, DELIVERY_PLURAL, home)

        async def fetch() -> list[dict[str, Any]]:
            params = {"labelSelector": f"{TEST_LABEL}={request.id}"}
            items: list[dict[str, Any]] = msgspec.json.decode(await kube.get(collection, params=params))["items"]
            return items

        _show(await _outcome(fetch))


@notify.command()
@click.option("--all", "everything", is_flag=True, required=True, help="In all namespaces: before the operator goes.")
@cluster_options
@confirming
@asynchronous
async def release(everything: bool, kubeconfig: Path | None, context: str | None, yes: bool, dry_run: bool) -> None:
    """Let executions go that are held until their notifications are recorded.

    Run it before or after the operator is removed: nothing else releases them.
    """
    async with Kube(await find(kubeconfig, context)) as kube:
        where = await collections(kube)
        if not yes or dry_run:
            found = await all_held(kube, where)
            what = f"release {counted(len(found), 'execution')} in all namespaces, whose notifications may be lost"
            if not confirm(what, found, yes=yes, dry_run=dry_run):
                return
        released = await release_all(kube, where)
    click.echo(f"{counted(released, 'execution')} not held any more")


def _request() -> str:
    """A new identifier of a request."""
    return f"{int(time.time())}-{secrets.token_hex(4)}"


async def _outcome(fetch: Callable[[], Any]) -> list[dict[str, Any]]:
    """Wait until each delivery has finished or has been tried.

    Args:
        fetch: reads the deliveries; an empty list means that the operator has not begun.

    Returns:
        The deliveries, as they are after at most ``SECONDS``.

    Raises:
        click.ClickException: the operator has not begun by then.
    """
    found: list[dict[str, Any]] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while True:
                found = await fetch()
                states = [one.get("status") or {} for one in found]
                if found and all(one.get("state") in FINISHED or one.get("nextAttempt") for one in states):
                    return found
                await asyncio.sleep(0.3)
    if not found:
        raise click.ClickException(f"nothing happened within {SECONDS:.0f} s: is the controller running?")
    return found


def _show(deliveries: list[dict[str, Any]]) -> None:
    rows: list[tuple[str, ...]] = []
    for delivery in deliveries:
        spec, status = delivery["spec"], delivery.get("status") or {}
        channel = f"{spec['channel']['type']} {spec['channel']['name']}".strip()
        for one in status.get("recipients") or ():
            reason, answer = (
                one.get("reason") or status.get("reason", ""),
                one.get("answer") or status.get("message", ""),
            )
            rows.append((channel, one["name"] or "-", one.get("state", "Pending"), reason, answer))
    table(("CHANNEL", "TO", "STATE", "REASON", "ANSWER"), rows)
    if any((delivery.get("status") or {}).get("state") != "Delivered" for delivery in deliveries):
        raise click.exceptions.Exit(1)
