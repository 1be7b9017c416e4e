"""``execution-options preview``: what would happen to a manifest, without creating it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec
import yaml
from msgspec import structs

from execution_options.admission.creation import Decision, decide
from execution_options.admission.refusal import RefusedError
from execution_options.api import names
from execution_options.api.meta import ObjectMeta
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import load
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.output import carried, table
from execution_options.cli.reading import (
    Reader,
    account_is_unread,
    engines_in,
    facts,
    find_account,
    options_in_reach,
    whole,
)
from execution_options.engines.differences import absent
from execution_options.engines.facts import Role, role, unserved
from execution_options.engines.launched import launched
from execution_options.engines.specification import reference
from execution_options.kube.access import find
from execution_options.kube.client import Kube
from execution_options.kube.engines import specification_path
from execution_options.options.reference import InvalidReferenceError
from execution_options.options.rows import rows
from execution_options.options.selection import select
from execution_options.options.snapshot import SnapshotTooLargeError

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines

PREVIEW_ID = "0000000000000000"
"""Stands for the identifier that a real execution gets."""


@click.command()
@click.option(
    "-f",
    "--filename",
    "files",
    type=click.File(),
    multiple=True,
    required=True,
    help="Manifests; - for standard input; repeatable.",
)
@click.option("-n", "--namespace", help="Namespace where a manifest names none.  [default: the context's]")
@cluster_options
@asynchronous
async def preview(
    files: tuple[TextIO, ...], namespace: str | None, kubeconfig: Path | None, context: str | None
) -> None:
    """Show what options would make of the executions in files, as a diff, without creating anything.

    Of a launch plan (CronJob) it is what options would make of each execution that it starts. Options in the same
    files count as if they were applied.
    """
    documents = [document for file in files for document in _read(file)]
    access = await find(kubeconfig, context)
    async with Kube(access) as kube:
        refused = await show(kube, documents, namespace or access.namespace, " ".join(file.name for file in files))
    if refused:
        raise click.exceptions.Exit(1)


async def show(kube: Kube, documents: list[dict[str, Any]], namespace: str, source: str) -> bool:
    """Print what options would make of executions.

    Args:
        kube: the connection.
        documents: executions, and options that count as if they were applied.
        namespace: of documents that name none.
        source: where they come from, for messages.

    Returns:
        Whether one of them would be refused.
    """
    given = _options(documents, namespace)
    accounts = {_place(document, namespace) for document in documents if document.get("kind") == "ServiceAccount"}
    refused = False
    reader = Reader(kube)
    engines = await engines_in(reader)
    executions: list[tuple[Engine, dict[str, Any], dict[str, Any] | None]] = []
    for document in documents:
        if (engine := _engine(engines, document)) is not None:
            executions.append((engine, document, None))
        elif (plan := _plan(engines, document)) is not None:
            engine, kind = plan
            if (execution := launched(engine, kind, document)) is not None:
                executions.append((engine, execution, document))
                continue
            where, name = _place(document, namespace)
            click.echo(
                f"{document['kind']} {where}/{name} gets no options itself, but each {engine.kind} that it "
                f"starts; its annotation {names.OPTIONS_ANNOTATION} reaches all of them: preview one of these"
            )
    if not executions:
        kinds = ", ".join(engine.kind for engine in engines.values())
        missing = "".join(f"; {sentence}" for sentence in reader.sentences)
        raise click.ClickException(f"{source} holds no execution (one of: {kinds}){missing}")
    for engine, document, starter in executions:
        where, name = _place(document, namespace)
        title = f"{engine.kind} {where}/{name}"
        if starter is not None:
            click.echo(
                f"{starter['kind']} {where}/{_place(starter, namespace)[1]} gets no options itself, but each "
                f"{engine.kind} that it starts:"
            )
        before = _yaml(document)
        try:
            result = await _decide(reader, engines, (engine, document, starter), where, given, accounts)
        except (RefusedError, InvalidReferenceError, SnapshotTooLargeError, msgspec.ValidationError) as error:
            refused = True
            click.echo(f"{title} would be refused: {error}")
            continue
        if isinstance(result, str):
            click.echo(f"{title}: {result}")
            continue
        _abridge(document)
        diff = difflib.unified_diff(before, _yaml(document), title, f"{title} with options", lineterm="")
        click.echo("\n".join(diff) or f"{title}: no options apply, it stays as it is")
        values = carried(rows(result.effective), absent(engine, document, result.effective))
        if values:
            click.echo()
            table(("OPTIONS SAY", "VALUE", "FROM"), values)
            click.echo()
        for note in result.notes:
            click.echo(f"note: {note}")
    for sentence in reader.sentences:
        click.echo(f"note: {sentence}")
    return refused


async def _decide(
    reader: Reader,
    engines: Engines,
    of: tuple[Engine, dict[str, Any], dict[str, Any] | None],
    namespace: str,
    given: list[OptionsObject],
    accounts: set[tuple[str, str]],
) -> Decision | str:
    """What the webhook would decide, or why that cannot be predicted or no webhook would be called.

    Args:
        reader: for what is in the cluster.
        engines: all.
        of: an engine, an execution of it, and the launch plan, where one starts it.
        namespace: of the execution.
        given: options of the files.
        accounts: service accounts of the files, by namespace and name.
    """
    engine, document, starter = of
    metadata = msgspec.convert(document.get("metadata", {}), ObjectMeta)
    if role(engines, engine, metadata) is Role.PART:
        return f"part of {metadata.controller and metadata.controller.kind}, it stays as it is"
    annotations = None if starter is None else starter.get("metadata", {}).get("annotations") or {}
    execution = await facts(reader, engine, document, namespace, annotations)
    reason = unserved(engine, execution)
    if reason is not None:
        return reason
    stored, _ = await options_in_reach(reader, namespace)
    candidates = {(o.kind, o.name): o for o in stored}
    for options in given:
        if options.namespace in (None, namespace):
            known = candidates.get((options.kind, options.name))
            # Applied, it would be an edit of the same object, which keeps its accounts.
            candidates[options.kind, options.name] = structs.replace(options, uid="" if known is None else known.uid)
    missing = select(execution, candidates.values()).missing
    unknown = [str(target) for target in missing if target.kind in reader.unread_options]
    if unknown:
        return f"it refers to {', '.join(unknown)}, which you may not read: what it would get is not known"
    wanted = reference(engine, document)
    specification = None if wanted is None else await whole(reader, specification_path(wanted, namespace))
    decision = decide(engine, document, execution, candidates.values(), PREVIEW_ID, specification)
    account = decision.account
    if account and (namespace, account) not in accounts:
        found = await find_account(reader, namespace, account)
        if found is not None or not account_is_unread(reader, account):
            decision.check_account(engine, namespace, found)
    return decision


def _abridge(document: dict[str, Any]) -> None:
    """Shorten the snapshot, which repeats for the operator what the table shows."""
    annotations = document.get("metadata", {}).get("annotations") or {}
    if names.SNAPSHOT_ANNOTATION in annotations:
        annotations[names.SNAPSHOT_ANNOTATION] = f"({len(annotations[names.SNAPSHOT_ANNOTATION])} bytes: all of this)"


def _read(file: TextIO) -> list[dict[str, Any]]:
    try:
        # By way of JSON, as the API server gets them: what YAML shares by an alias is not shared there.
        documents = msgspec.json.decode(msgspec.json.encode(list(yaml.safe_load_all(file))))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise click.ClickException(f"{file.name} cannot be read: {error}") from error
    found: list[dict[str, Any]] = []
    for document in documents:
        found += (
            document.get("items") or [] if isinstance(document, dict) and document.get("kind") == "List" else [document]
        )
    found = [document for document in found if document]
    if not all(isinstance(document, dict) and isinstance(document.get("metadata", {}), dict) for document in found):
        raise click.ClickException(f"{file.name} holds something that is no manifest")
    return found


def _place(document: dict[str, Any], namespace: str) -> tuple[str, str]:
    """Namespace and name, or the name's beginning where the API server makes it."""
    metadata = document.get("metadata", {})
    return metadata.get("namespace") or namespace, metadata.get("name") or metadata.get("generateName", "")


def _options(documents: list[dict[str, Any]], namespace: str) -> list[OptionsObject]:
    given: list[OptionsObject] = []
    for document in documents:
        if document.get("kind") not in (names.OPTIONS_KIND, names.CLUSTER_OPTIONS_KIND):
            continue
        if document["kind"] == names.OPTIONS_KIND:
            document.setdefault("metadata", {}).setdefault("namespace", namespace)
        try:
            given.append(load(document))
        except InvalidOptionsError as error:
            raise click.ClickException(f"{document['kind']} would be refused: {error}") from error
    return given


def _engine(engines: Engines, document: dict[str, Any]) -> Engine | None:
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    return engines.of(group, str(document.get("kind")))


def _plan(engines: Engines, document: dict[str, Any]) -> tuple[Engine, LaunchPlanKind] | None:
    """A launch plan's kind, and the engine of what it starts."""
    group, kind = str(document.get("apiVersion", "")).rpartition("/")[0], str(document.get("kind"))
    plans = ((engine, engine.launch_plan(group, kind)) for engine in engines.values())
    return next(((engine, plan) for engine, plan in plans if plan is not None), None)


def _yaml(document: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(document, sort_keys=False).splitlines()
