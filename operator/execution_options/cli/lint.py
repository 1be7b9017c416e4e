"""``execution-options lint``: what an API server with the operator would refuse or warn of, without a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
import yaml

from execution_options.admission import typos
from execution_options.admission.findings import ineffective
from execution_options.api import names
from execution_options.api.kinds import KINDS
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import load
from execution_options.api.validation import manifest_problems
from execution_options.engines.profile import builtin, compiled
from execution_options.engines.registry import Engines
from execution_options.notifications.checks import template_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from execution_options.engines.profile import Engine

Document = dict[str, Any]
SUFFIXES: Final = (".yaml", ".yml", ".json")


@click.command()
@click.option(
    "-f",
    "--filename",
    "paths",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    multiple=True,
    required=True,
    help="File or folder with manifests; - for standard input; repeatable.",
)
@click.option("--strict", is_flag=True, help="Warnings are errors.")
def lint(paths: tuple[Path, ...], *, strict: bool) -> None:
    """Check manifests without a cluster: options, channels, engines, and the annotations of what is executed.

    Helm charts and kustomizations are rendered first: helm template . | execution-options lint -f -. Exit code 1 if
    anything would be refused.
    """
    found = [(where, document) for path in paths for where, document in _documents(path)]
    engines = _engines([document for _, document in found])
    refused = warned = 0
    for where, document in found:
        metadata = document.get("metadata") or {}
        name = f"{document.get('kind')} {metadata.get('name') or metadata.get('generateName') or ''}".strip()
        problems, warnings = findings(document, engines)
        for word, texts in (("refused", problems), ("warning", warnings)):
            for text in texts:
                click.echo(f"{where}: {name}: {word}: {text}")
        refused, warned = refused + len(problems), warned + len(warnings)
    click.echo(f"{len(found)} manifests, {refused} problems, {warned} warnings", err=True)
    if refused or (strict and warned):
        raise click.exceptions.Exit(1)


def findings(document: Document, engines: Engines) -> tuple[list[str], list[str]]:
    """What would be refused of a manifest, and what would be warned of.

    Args:
        document: the manifest.
        engines: the built-in engines, and those that are linted with it.
    """
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if group == names.GROUP:
        return _of_ours(document, metadata, engines)
    problems = [
        *typos.inline_problems(document),
        *(f"{at}: {problem}" for at, _, problem in typos.references(document) if problem),
    ]
    kind = document.get("kind")
    if (group, kind) == ("", "Namespace"):
        return problems, list(typos.of_namespace(metadata))
    return problems, [] if (group, kind) == ("", "Pod") else list(typos.of_launch_plan(document))


def _of_ours(document: Document, metadata: Document, engines: Engines) -> tuple[list[str], list[str]]:
    kind, spec = str(document.get("kind")), document.get("spec")
    problems = [str(one) for one in manifest_problems(document, tuple(KINDS))]
    if not problems and isinstance(spec, dict):
        problems = [str(one) for one in template_problems(kind, spec)]
    warnings = list(typos.of_our_kind(metadata))
    try:
        if kind == names.ENGINE_KIND and not problems:
            compiled(document)
        elif kind in names.PLURALS and not problems:
            warnings += [f"without effect: {text}" for text in ineffective(load(document), engines, {}).wholly]
    except InvalidOptionsError as error:
        problems = [str(one) for one in error.problems]
    return problems, warnings


def _engines(documents: Sequence[Document]) -> Engines:
    known: dict[str, Engine] = {engine.name: engine for engine in builtin()}
    for document in documents:
        if document.get("kind") == names.ENGINE_KIND:
            try:
                engine = compiled(document)
            except (InvalidOptionsError, KeyError, TypeError):
                continue  # it is reported where it is linted
            known[engine.name] = engine
    return Engines(known.values())


def _documents(path: Path) -> Iterator[tuple[str, Document]]:
    """Every manifest of a file or folder, with where it is.

    Raises:
        click.ClickException: a file cannot be read.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in SUFFIXES and file.is_file():
                yield from _documents(file)
        return
    shown = "-" if str(path) == "-" else str(path)
    text = sys.stdin.read() if shown == "-" else path.read_text(encoding="utf-8")
    try:
        # By way of JSON, as the API server gets it.
        every = [msgspec.json.decode(msgspec.json.encode(one)) for one in yaml.safe_load_all(text) if one is not None]
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise click.ClickException(f"{shown}: no YAML or JSON: {' '.join(str(error).split())}") from error
    for one in every:
        listed = one.get("items") if isinstance(one, dict) and one.get("kind") == "List" else [one]
        for document in listed if isinstance(listed, list) else ():
            if isinstance(document, dict) and document.get("kind"):
                yield shown, document
