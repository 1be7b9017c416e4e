"""``execution-options completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM = "execution-options"
_VARIABLE = "_EXECUTION_OPTIONS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print a script that completes commands and options.

    For bash: source <(execution-options completion bash); bash must be 4.4 or newer. For zsh the same after compinit.
    For fish: execution-options completion fish | source.
    """
    # Of the program, whose commands are imported when they are completed.
    from execution_options.cli import main

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"there is no completion for {shell}")
    click.echo(found(main, {}, PROGRAM, _VARIABLE).source())
