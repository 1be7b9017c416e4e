"""What the benchmarks print: tables, and aims that are met or not."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    widths = [max(len(row[at]) for row in (columns, *rows)) for at in range(len(columns))]
    print(f"\n{title}")
    for row in (columns, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  " + "  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())


def aim(what: str, measured: float, limit: float, *, at_most: bool, digits: int = 2) -> None:
    """Print whether an aim is met; missing one is a finding, not an error."""
    met = measured <= limit if at_most else measured >= limit
    bound = "at most" if at_most else "at least"
    print(f"  aim: {what} {bound} {limit:.{digits}f}: {measured:.{digits}f}, {'met' if met else 'NOT MET'}")


def median_ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios of each round: what slows the machine for a while slows both alike."""
    return statistics.median(value / reference for value, reference in zip(values, base, strict=True))


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{seconds * 1000:.1f}"
