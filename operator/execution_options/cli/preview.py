"""``execution-options preview``: what would happen to a manifest, without creating it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TextIO

import click
import yaml

from execution_options.admission.decision import RefusedError, decide
from execution_options.api import names
from execution_options.api.resources import load
from execution_options.api.validation import InvalidOptionsError
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.reading import facts, options_in_reach
from execution_options.engines import profile
from execution_options.kube.client import Kube
from execution_options.options.reference import InvalidReferenceError
from execution_options.options.snapshot import SnapshotTooLargeError

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine

PREVIEW_ID = "0000000000000000"
"""Stands for the identifier that a real execution gets."""


@click.command()
@click.option("-f", "--filename", type=click.File(), required=True, help="Manifests; - for standard input.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace where a manifest names none.")
@cluster_options
@asynchronous
async def preview(filename: TextIO, namespace: str, kubeconfig: Path | None, context: str | None) -> None:
    """Show what options would make of the executions in a file, as a diff, without creating anything.

    Options in the same file count as if they were applied.
    """
    try:
        documents = [document for document in yaml.safe_load_all(filename) if document]
    except yaml.YAMLError as error:
        raise click.ClickException(f"{filename.name} is no YAML: {error}") from error
    if not all(isinstance(document, dict) for document in documents):
        raise click.ClickException(f"{filename.name} holds something that is no manifest")
    given = _options(documents, namespace)
    executions = [(engine, document) for document in documents if (engine := _engine(document)) is not None]
    if not executions:
        kinds = ", ".join(engine.kind for engine in profile.builtin())
        raise click.ClickException(f"{filename.name} holds no execution (one of: {kinds})")
    refused = False
    async with await Kube.connect(kubeconfig, context) as kube:
        for engine, document in executions:
            where = document.get("metadata", {}).get("namespace", namespace)
            stored, _ = await options_in_reach(kube, where)
            mine = [o for o in given if o.namespace in (None, where)]
            replaced = {(o.kind, o.name) for o in mine}
            candidates = [*mine, *(o for o in stored if (o.kind, o.name) not in replaced)]
            before = _yaml(document)
            metadata = document.get("metadata", {})
            title = f"{engine.kind} {where}/{metadata.get('name') or metadata.get('generateName', '')}"
            try:
                decision = decide(engine, document, await facts(kube, engine, document, where), candidates, PREVIEW_ID)
            except (RefusedError, InvalidReferenceError, SnapshotTooLargeError) as error:
                refused = True
                click.echo(f"{title} would be refused: {error}")
                continue
            diff = difflib.unified_diff(before, _yaml(document), title, f"{title} with options", lineterm="")
            click.echo("\n".join(diff) or f"{title}: no options apply, it stays as it is")
            for note in decision.notes:
                click.echo(f"note: {note}")
    if refused:
        raise click.exceptions.Exit(1)


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


def _engine(document: dict[str, Any]) -> Engine | None:
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    return profile.engine_of(group, str(document.get("kind")))


def _yaml(document: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(document, sort_keys=False).splitlines()
