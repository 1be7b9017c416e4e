"""Rows of ``execution-options list``, in every form of ``-o``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
import yaml

from execution_options.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Record = Mapping[str, Any]

FORMATS: Final = ("table", "wide", "json", "yaml", "name")


def show(records: Sequence[Record], columns: Sequence[str], wide: Sequence[str], output: str, nothing: str) -> None:
    """Print records.

    Args:
        records: each with ``name`` (as kubectl takes it) and the fields that are columns.
        columns: fields of a table.
        wide: fields that ``-o wide`` adds.
        output: one of :data:`FORMATS`.
        nothing: what to say, on standard error, where there are none.
    """
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(list(records)), indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump([dict(one) for one in records], sort_keys=False, allow_unicode=True), nl=False)
    elif output == "name":
        for one in records:
            click.echo(one["name"])
    elif records:
        fields = [*columns, *(wide if output == "wide" else ())]
        table([field.upper() for field in fields], [[_cell(one.get(field)) for field in fields] for one in records])
    else:
        click.echo(nothing, err=True)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)


def age(created: str | None, now: datetime | None = None) -> str:
    """How long ago something was, as kubectl writes it: ``42s``, ``5m``, ``3h``, ``2d``.

    Args:
        created: the time (RFC 3339); ``None`` or empty: not known.
        now: the current time.
    """
    if not created:
        return ""
    seconds = int(((now or datetime.now(UTC)) - datetime.fromisoformat(created)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"
