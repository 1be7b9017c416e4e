"""``execution-options status``: the operator on one screen, and what is wrong."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click
import msgspec

from execution_options.api import names
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.health import Check, judge_deliveries, judge_engines, judge_lease, judge_objects
from execution_options.cli.output import table
from execution_options.cli.reading import Reader
from execution_options.install import SYSTEM_NAMESPACE, WEBHOOK_CONFIGURATION
from execution_options.install.local import not_asked
from execution_options.kube.access import find
from execution_options.kube.client import ApiError, Kube, path_of
from execution_options.kube.listing import LARGE_PAGE, get_if_exists, listed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

Document = dict[str, Any]


@click.command()
@click.option("--namespace", default=SYSTEM_NAMESPACE, show_default=True, help="Namespace of the operator.")
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table", help="Form of the output.")
@cluster_options
@asynchronous
async def status(namespace: str, output: str, kubeconfig: Path | None, context: str | None) -> None:
    """Show how the operator is: its processes, and everything that has a problem, in all namespaces.

    Exit code 1 if anything is wrong.
    """
    access = await find(kubeconfig, context)
    async with Kube(access) as kube:
        version = msgspec.json.decode(await kube.get("/version"))["gitVersion"]
        reader = Reader(kube)
        objects = {
            "channels": names.CHANNEL_PLURAL,
            "options": names.OPTIONS_PLURAL,
            "cluster options": names.CLUSTER_OPTIONS_PLURAL,
        }
        checks = [
            Check("cluster", f"{kube.server}, Kubernetes {version}"),
            await _judged(reader, "controller", _lease(kube, namespace), judge_lease),
            await _webhook(kube, access.namespace),
            await _judged(reader, "engines", _all(kube, names.ENGINE_PLURAL), judge_engines),
            *[
                await _judged(reader, what, _all(kube, plural), functools.partial(judge_objects, what))
                for what, plural in objects.items()
            ],
            await _judged(reader, "notifications", _all(kube, names.DELIVERY_PLURAL), judge_deliveries),
        ]
    _show(checks, output)
    if any(check.problems for check in checks):
        raise click.exceptions.Exit(1)


def _show(checks: Sequence[Check], output: str) -> None:
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(checks), indent=2))
        return
    table(("WHAT", "STATE", "DETAILS"), [(check.what, check.mark, check.text) for check in checks])
    for check in checks:
        for problem in check.problems:
            click.echo(f"\n{check.what}: {problem}")


async def _judged(
    reader: Reader, what: str, request: Awaitable[list[Document]], judge: Callable[[list[Document]], Check]
) -> Check:
    try:
        found = await reader.permitted(request, what, "")
    except ApiError as error:
        if error.status != 404:
            raise
        return Check(what, "not installed", ("their kind is not installed: install the operator (docs/operations.md)",))
    return Check(what, "you may not read them", unknown=True) if found is None else judge(found)


async def _lease(kube: Kube, namespace: str) -> list[Document]:
    path = path_of("coordination.k8s.io", "v1", "leases", namespace, "execution-options-controller")
    answer = await get_if_exists(kube, path)
    return [] if answer is None else [msgspec.json.decode(answer)]


async def _all(kube: Kube, plural: str) -> list[Document]:
    path = path_of(names.GROUP, names.VERSION, plural)
    return [one async for one in listed(kube, path, Document, page=LARGE_PAGE)]


async def _webhook(kube: Kube, namespace: str) -> Check:
    """Whether the API server asks the webhook, seen by a dry run."""
    reason = await not_asked(kube, namespace)
    if reason is None:
        return Check("webhook", "the API server asks it (seen by a dry run)")
    if "is forbidden" in reason and "cannot create" in reason:
        return Check("webhook", f"you may not create Jobs in {namespace}, even as a dry run", unknown=True)
    remedy = f"see its log, and the caBundle of MutatingWebhookConfiguration {WEBHOOK_CONFIGURATION}"
    return Check("webhook", "the API server does not ask it", (f"{reason}; {remedy}",))
