"""``execution-options explain``: which options an execution has, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec import UNSET

from execution_options.admission.accounts import bound, identity
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import (
    ID_LABEL,
    LIVE_ANNOTATION,
    MISSED_ANNOTATION,
    SNAPSHOT_ANNOTATION,
    WAITING_ANNOTATION,
)
from execution_options.cli.connection import asynchronous, cluster_options
from execution_options.cli.kinds import resolve, split
from execution_options.cli.output import carried, table
from execution_options.cli.reading import Reader, engines_in, facts, find_account, options_in_reach
from execution_options.engines.authors import author_layer
from execution_options.engines.carried import not_carried
from execution_options.engines.differences import absent, absent_notes, differences
from execution_options.engines.effects import effect_notes, unfollowed_notes
from execution_options.engines.facts import Role, role, unserved
from execution_options.kube.access import find
from execution_options.kube.client import Kube, path_of
from execution_options.kube.engines import executions_path
from execution_options.options.live import InvalidLiveError, current_layers, decode_live
from execution_options.options.merge import merge
from execution_options.options.reference import InvalidReferenceError
from execution_options.options.rows import rows, shown
from execution_options.options.selection import select
from execution_options.options.snapshot import InvalidSnapshotError, decode

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Layer
    from execution_options.options.merge import Effective
    from execution_options.options.selection import Execution
    from execution_options.options.snapshot import Snapshot

MAX_PODS: Final = 500
"""The most pods that are compared with the options."""


@click.command()
@click.argument("target", nargs=-1, required=True, metavar="KIND/NAME")
@click.option("-n", "--namespace", help="Namespace of the execution.  [default: the context's]")
@cluster_options
@asynchronous
async def explain(target: tuple[str, ...], namespace: str | None, kubeconfig: Path | None, context: str | None) -> None:
    """Show each effective value of an execution with the object it came from, and what did not apply and why.

    KIND/NAME is for example job/train or pod/notebook; KIND NAME, plurals, short names and jobs.batch do as well.
    """
    kind, name = split(target)
    execution = " ".join(target)
    access = await find(kubeconfig, context)
    namespace = namespace or access.namespace
    async with Kube(access) as kube:
        reader = Reader(kube)
        engines = await engines_in(reader)
        found = await resolve(kube, engines, kind)
        if found is not None and found.plan is not None and name:
            raise click.UsageError(
                f"{execution!r} gets no options itself, but each {found.engine.kind} that it starts: ask for one of "
                "these"
            )
        if found is None or not name:
            kinds = ", ".join(f"{engine.kind.lower()}/NAME" for engine in engines.values())
            missing = "".join(f"; {sentence}" for sentence in reader.sentences)
            raise click.UsageError(f"{execution!r} is no execution; write one of: {kinds}{missing}")
        engine = found.engine
        path = executions_path(engine, namespace, name)
        document: dict[str, Any] = msgspec.json.decode(await kube.get(path))
        metadata = msgspec.convert(document["metadata"], ObjectMeta)
        if role(engines, engine, metadata) is Role.PART:
            owner = metadata.controller
            raise click.ClickException(
                f"{engine.kind} {name} is part of {owner and owner.kind} {owner and owner.name}: ask for that"
            )
        try:
            described = await facts(reader, engine, document, namespace)
        except InvalidReferenceError as error:
            raise click.ClickException(str(error)) from error
        candidates, broken = await options_in_reach(reader, namespace)
        account = await _account(reader, metadata)
        pods = [] if engine.is_pod else await _pods(reader, metadata)
    annotations = metadata.annotations or {}
    layers: tuple[Layer, ...] = ()
    click.echo(f"{engine.kind} {namespace}/{name}, created {metadata.creation_timestamp}")
    if SNAPSHOT_ANNOTATION in annotations:
        layers = _applied(engine, metadata, document, account, pods)
    elif (reason := unserved(engine, described)) is not None:
        click.echo("\n".join([f"It has no options: {reason}.", *reader.sentences]))
        return
    else:
        click.echo("It has no options: none applied when it was created, or the webhook was not called.")
    click.echo()
    _others(described, candidates, layers, metadata)
    for sentence in (*broken, *reader.sentences):
        click.echo(sentence)


async def _account(reader: Reader, metadata: ObjectMeta) -> ObjectMeta | None:
    """The service account that an execution has from options, as it is now."""
    try:
        name = decode((metadata.annotations or {}).get(SNAPSHOT_ANNOTATION, "")).account
    except InvalidSnapshotError:
        return None
    return await find_account(reader, metadata.namespace, name) if name else None


async def _pods(reader: Reader, metadata: ObjectMeta) -> list[dict[str, Any]]:
    """Pods of an execution, as many as one answer holds."""
    identifier = (metadata.labels or {}).get(ID_LABEL)
    if identifier is None:
        return []
    request = reader.kube.get(
        path_of("", "v1", "pods", metadata.namespace),
        params={"labelSelector": f"{ID_LABEL}={identifier}", "limit": str(MAX_PODS)},
    )
    answer = await reader.permitted(request, "pods", "what they have otherwise than options say is not shown")
    pods: list[dict[str, Any]] = [] if answer is None else msgspec.json.decode(answer)["items"]
    return pods


def _applied(
    engine: Engine,
    metadata: ObjectMeta,
    document: dict[str, Any],
    account: ObjectMeta | None,
    pods: list[dict[str, Any]],
) -> tuple[Layer, ...]:
    annotations = metadata.annotations or {}
    try:
        snapshot = decode(annotations[SNAPSHOT_ANNOTATION])
        layers = current_layers(snapshot, decode_live(annotations.get(LIVE_ANNOTATION)))
    except (InvalidSnapshotError, InvalidLiveError) as error:
        raise click.ClickException(f"its {SNAPSHOT_ANNOTATION} or {LIVE_ANNOTATION} cannot be read: {error}") from error
    authors = author_layer(snapshot.authored, engine.kind, metadata.name)
    effective = merge(sorted((*layers, authors), key=lambda layer: layer.source.level))
    click.echo(f"Its options were frozen under the id {snapshot.id}.")
    if MISSED_ANNOTATION in annotations:
        click.echo(f"The webhook missed it; it was repaired at {annotations[MISSED_ANNOTATION]}: metadata only.")
    if WAITING_ANNOTATION in annotations:
        click.echo(f"It is {annotations[WAITING_ANNOTATION]}.")
    click.echo()
    missing = absent(engine, document, effective)
    table(("FIELD", "VALUE", "FROM"), carried(rows(effective), missing))
    if snapshot.location and "rawOutputDataConfig.outputLocationPrefix" not in missing:
        click.echo(f"\nIt stores its data below {snapshot.location}")
    _places(engine, document, snapshot, (merge(layers), effective), missed=MISSED_ANNOTATION in annotations)
    _in_pods(effective, pods)
    run_as = effective.run_as
    if account is not None and run_as is not None and run_as.value.iam_role is not UNSET:
        role = run_as.value.iam_role
        if role not in bound(account).values():
            click.echo(
                f"\nnote: service account {account.name!r} is bound to {identity(account)}, not to {role!r}: what runs "
                f"under it has that identity"
            )
    if effective.overridden:
        click.echo("\nOverridden:")
        for item in effective.overridden:
            click.echo(f"  {item.field}: {shown(item.value)!r} of {item.source} lost to {item.by}")
    now = merge(layers)
    for sentence in (
        *effect_notes(now, engine, document),
        *absent_notes(engine, document, now),
        *unfollowed_notes(engine, document, merge(snapshot.layers), now),
    ):
        click.echo(f"\nnote: {sentence}")
    if snapshot.found_by:
        click.echo(f"\nnote: its client finds it by labels that no options replace: {', '.join(snapshot.found_by)}")
    return layers


def _places(
    engine: Engine, document: dict[str, Any], snapshot: Snapshot, merged: tuple[Effective, Effective], *, missed: bool
) -> None:
    """Name the places where a field has another value than the one shown."""
    frozen = merge(snapshot.layers)
    found = list(differences(engine, document, snapshot.authored, frozen, *merged, missed=missed))
    if found:
        click.echo()
        table(
            ("NOT SO AT", "VALUE", "WHY"),
            [(one.at, "(absent)" if one.value is None else one.value, one.why) for one in found],
        )


def _in_pods(effective: Effective, pods: list[dict[str, Any]]) -> None:
    """Say which pods do not have what was shown."""
    found = not_carried(effective, pods)
    if found:
        click.echo()
        table(
            ("NOT SO IN PODS", "VALUE", "PODS"),
            [
                (field, "(absent)" if value is None else value, f"{len(names)} of {len(pods)}: {', '.join(names[:3])}")
                for (field, value), names in found.items()
            ],
        )


def _others(
    execution: Execution, candidates: list[OptionsObject], layers: tuple[Layer, ...], metadata: ObjectMeta
) -> None:
    applied = {(layer.source.kind, layer.source.name) for layer in layers}
    reasons = {(r.options.kind, r.options.name): r.reason for r in select(execution, candidates).rejected}
    found = []
    for options in sorted(candidates, key=lambda o: (o.kind, o.name)):
        key = (options.kind, options.name)
        if key in applied:
            continue
        reason = reasons.get(key)
        if reason is None and options.creation_timestamp > (metadata.creation_timestamp or ""):
            reason = (
                f"created at {options.creation_timestamp}, after the execution: options never apply to earlier ones"
            )
        elif reason is None:
            reason = "it applies to an execution created now, but did not when this one was created"
        found.append((f"{options.kind} {options.name}", reason))
    if found:
        table(("DID NOT APPLY", "WHY"), found)
