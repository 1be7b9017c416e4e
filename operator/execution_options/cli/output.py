"""Tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from execution_options.options.rows import Row


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell, the last one as it comes."""
    every = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(header) - 1)]
    for row in every:
        click.echo("   ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))


def carried(rows: Iterable[Row], absent: Container[str]) -> list[tuple[str, str, str]]:
    """Rows of effective options as cells; a value that the execution does not have is marked."""
    return [
        (row.field, f"(not there) {row.value}" if row.field in absent else row.value, str(row.source)) for row in rows
    ]
