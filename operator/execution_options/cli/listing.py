"""``execution-options list``: executions with options, pods that wait, and notifications."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from execution_options.api import names
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import CAPPED, GATE, ID_LABEL, SNAPSHOT_ANNOTATION, WAITING_ANNOTATION
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.reading import Reader, engines_in
from execution_options.cli.records import FORMATS, age, show
from execution_options.engines.facts import Role, role
from execution_options.kube.access import find
from execution_options.kube.client import ApiError, Kube, path_of
from execution_options.kube.engines import executions_path
from execution_options.kube.listing import LARGE_PAGE, listed
from execution_options.options.levels import ANNOTATION
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.options.levels import Source

Document = dict[str, Any]
AT_ONCE: Final = 4
"""Kinds that are listed at the same time."""


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("-o", "--output", type=click.Choice(FORMATS), default="table", help="Form of the output.")(
        command
    )
    command = click.option("-A", "--all-namespaces", is_flag=True, help="In all namespaces.")(command)
    return click.option("-n", "--namespace", help="Namespace.  [default: the context's]")(command)


@click.group("list")
def list_() -> None:
    """List executions with options, pods that wait for a slot, or notifications."""


@list_.command()
@click.option("--engine", "engine_names", multiple=True, help="Only executions of this engine; repeatable.")
@click.option("--phase", "phases", multiple=True, help="Only executions in this phase, such as FAILED; repeatable.")
@click.option("--options", "options_names", multiple=True, help="Only executions that got these options; repeatable.")
@_common
@cluster_options
@asynchronous
async def executions(
    engine_names: tuple[str, ...],
    phases: tuple[str, ...],
    options_names: tuple[str, ...],
    namespace: str | None,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
    *,
    all_namespaces: bool,
) -> None:
    """List executions that got options: which, their phase, and the options."""
    access = await find(kubeconfig, context)
    where = "" if all_namespaces else namespace or access.namespace
    async with Kube(access) as kube:
        reader = Reader(kube)
        engines = await engines_in(reader)
        if unknown := [name for name in engine_names if name not in engines]:
            raise click.UsageError(f"there is no engine {unknown[0]!r}; known are {', '.join(sorted(engines))}")
        wanted = [engines[name] for name in engine_names or engines]
        limit = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(_of_engine(reader, engines, engine, where, limit) for engine in wanted))
    records = [
        record
        for records in found
        for record in records
        if (not phases or record["phase"] in {phase.upper() for phase in phases})
        and (not options_names or set(options_names) & set(record["options"]))
    ]
    records.sort(key=lambda one: (one["namespace"], one["created"], one["name"]))
    columns = ["name", "engine", "phase", "options", "account", "age"]
    shown = ["namespace", *columns] if all_namespaces else columns
    show(records, shown, ("created", "id", "waiting"), output, "no execution has options here")
    _say_unread(reader)


async def _of_engine(
    reader: Reader, engines: Engines, engine: Engine, namespace: str, limit: asyncio.Semaphore
) -> list[Document]:
    async def read() -> list[Document]:
        path, selector = executions_path(engine, namespace), {"labelSelector": ID_LABEL}
        return [one async for one in listed(reader.kube, path, Document, params=selector, page=LARGE_PAGE)]

    async with limit:
        try:
            documents = await reader.permitted(
                read(), f"{engine.plural}.{engine.group}".rstrip("."), "they are left out"
            )
        except ApiError as error:
            if error.status != 404:
                raise
            return []  # its kind is not installed
    return [record for document in documents or () if (record := _execution(engines, engine, document)) is not None]


def _execution(engines: Engines, engine: Engine, document: Document) -> Document | None:
    metadata = msgspec.convert(document["metadata"], ObjectMeta)
    annotations = metadata.annotations or {}
    try:
        snapshot = decode(annotations.get(SNAPSHOT_ANNOTATION, ""))
    except InvalidSnapshotError:
        return None  # part of one
    if role(engines, engine, metadata) is Role.PART:
        return None
    run_as = merge(snapshot.layers).run_as
    return {
        "namespace": metadata.namespace,
        "name": f"{'.'.join(filter(None, (engine.kind.lower(), engine.group)))}/{metadata.name}",
        "engine": engine.name,
        "phase": engine.status.outcome(document).phase,
        "options": list(dict.fromkeys(_name(layer.source) for layer in snapshot.layers)),
        "account": snapshot.account if run_as is not None else "",
        "age": age(metadata.creation_timestamp),
        "created": metadata.creation_timestamp or "",
        "id": snapshot.id,
        "waiting": annotations.get(WAITING_ANNOTATION, ""),
    }


def _name(source: Source) -> str:
    if source.kind == ANNOTATION:
        return "inline"
    return f"cluster/{source.name}" if source.kind == names.CLUSTER_OPTIONS_KIND else source.name


@list_.command()
@_common
@cluster_options
@asynchronous
async def queue(
    namespace: str | None, output: str, kubeconfig: Path | None, context: str | None, *, all_namespaces: bool
) -> None:
    """List pods that wait for a parallelism slot, and for what."""
    access = await find(kubeconfig, context)
    where = "" if all_namespaces else namespace or access.namespace
    async with Kube(access) as kube:
        path, params = path_of("", "v1", "pods", where), {"labelSelector": f"{GATE}={CAPPED}"}
        pods = [one async for one in listed(kube, path, Document, params=params, page=LARGE_PAGE)]
    records = [_waiting(pod) for pod in pods if any(gate["name"] == GATE for gate in _gates(pod))]
    records.sort(key=lambda one: (one["namespace"], one["execution"], one["created"], one["name"]))
    columns = ["name", "execution", "waiting", "age"]
    show(
        records, ["namespace", *columns] if all_namespaces else columns, ("id",), output, "no pod waits for a slot here"
    )


def _gates(pod: Document) -> Sequence[Document]:
    return pod["spec"].get("schedulingGates") or ()


def _waiting(pod: Document) -> Document:
    metadata = pod["metadata"]
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    return {
        "namespace": metadata["namespace"],
        "name": f"pod/{metadata['name']}",
        "execution": f"{owner['kind'].lower()}/{owner['name']}" if owner else f"pod/{metadata['name']}",
        "waiting": (metadata.get("annotations") or {}).get(WAITING_ANNOTATION, "not looked at yet"),
        "age": age(metadata.get("creationTimestamp")),
        "created": metadata.get("creationTimestamp") or "",
        "id": (metadata.get("labels") or {}).get(ID_LABEL, ""),
    }


@list_.command()
@click.option("--state", "states", multiple=True, help="Only those in this state, such as Failed; repeatable.")
@click.option("--execution", help="Only those of executions of this name.")
@_common
@cluster_options
@asynchronous
async def deliveries(
    states: tuple[str, ...],
    execution: str | None,
    namespace: str | None,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
    *,
    all_namespaces: bool,
) -> None:
    """List notifications: of what, to whom, and what became of them."""
    access = await find(kubeconfig, context)
    where = "" if all_namespaces else namespace or access.namespace
    async with Kube(access) as kube:
        path = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, where)
        found = [one async for one in listed(kube, path, Document, page=LARGE_PAGE)]
    records = [
        record
        for record in map(_delivery, found)
        if (not states or record["state"].lower() in {state.lower() for state in states})
        and (not execution or record["execution"] == execution)
    ]
    records.sort(key=lambda one: (one["namespace"], one["created"], one["name"]))
    columns = ["name", "execution", "phase", "by", "to", "state", "attempts", "reason", "age"]
    shown = ["namespace", *columns] if all_namespaces else columns
    show(records, shown, ("channel", "message"), output, "there are no notifications here")


def _delivery(document: Document) -> Document:
    metadata, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    subject = spec.get("execution") or spec.get("tested") or {}
    return {
        "namespace": metadata["namespace"],
        "name": f"{names.DELIVERY_KIND.lower()}.{names.GROUP}/{metadata['name']}",
        "execution": subject.get("name", ""),
        "phase": spec["phase"],
        "by": spec["channel"]["type"],
        "to": spec.get("to", ""),
        "state": status.get("state", "Pending"),
        "attempts": status.get("attempts", 0),
        "reason": status.get("reason", ""),
        "age": age(metadata.get("creationTimestamp")),
        "created": metadata.get("creationTimestamp") or "",
        "channel": spec["channel"].get("name", ""),
        "message": status.get("message", ""),
    }


def _say_unread(reader: Reader) -> None:
    for sentence in reader.sentences:
        click.echo(sentence, err=True)
