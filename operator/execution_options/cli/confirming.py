"""Commands that affect other people: they print what they would do, and ask before they do it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
T = TypeVar("T")


def confirming(command: Callable[P, T]) -> Callable[P, T]:
    """Add --yes and --dry-run."""
    command = click.option("--dry-run", is_flag=True, help="Only show what would be done.")(command)
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def confirm(what: str, items: Iterable[str], *, yes: bool, dry_run: bool) -> bool:
    """Whether to go on with something that touches ``items``; shows them where nothing is to be done.

    Raises:
        click.Abort: the answer was no.
        click.UsageError: standard input is not a terminal, so that nobody can answer.
    """
    if dry_run:
        for item in items:
            click.echo(item)
        click.echo(f"dry run: would {what}")
        return False
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"this would {what}, and nobody can be asked, since standard input is no terminal: pass --yes, or "
                "--dry-run to see it first"
            )
        click.confirm(f"This will {what}. Go on?", abort=True, err=True)
    return True


def counted(number: int, one: str) -> str:
    """A number of things; the plural is regular."""
    return f"{number} {one}{'' if number == 1 else 's'}"
