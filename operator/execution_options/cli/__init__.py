"""The command line: `execution-options`, and `kubectl execution-options`."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

from execution_options.cli.stopping import SERVING, end_at_once

if sys.argv[1:2] and sys.argv[1] in SERVING:
    end_at_once()  # before anything else, since imports take a second

import click

_COMMANDS = {
    "cluster": ("execution_options.cli.cluster:cluster", "Start, stop and use a Kubernetes control plane of your own."),
    "completion": ("execution_options.cli.completion:completion", "Print a script for completion by the shell."),
    "controller": ("execution_options.cli.controller:controller", "Run the controller."),
    "explain": ("execution_options.cli.explain:explain", "Show which options an execution has, and why."),
    "launch": ("execution_options.cli.launch:launch", "Launch an execution with options."),
    "lint": ("execution_options.cli.lint:lint", "Check manifests without a cluster."),
    "list": ("execution_options.cli.listing:list_", "List executions, pods that wait, or notifications."),
    "notify": ("execution_options.cli.notify:notify", "Deliver notifications again, and try channels out."),
    "preview": ("execution_options.cli.preview:preview", "Show what options would make of a manifest."),
    "release-gates": (
        "execution_options.cli.release_gates:release_gates",
        "Let all pods go that wait for a parallelism slot.",
    ),
    "run": ("execution_options.cli.run:run", "Run the whole operator on this machine, to try it out."),
    "status": ("execution_options.cli.status:status", "Show how the operator is, and what is wrong."),
    "uninstall": ("execution_options.cli.uninstall:uninstall", "Let go of all that waits for the operator."),
    "webhook": ("execution_options.cli.webhook:webhook", "Run the admission webhook."),
}
"""Name of a command: where it is defined, and its line of help, so that `--help` imports none of them."""


_CONTROL_PLANE: Final = "execution_options.cluster"
_NO_CONTROL_PLANE: Final = (
    f"the embedded control plane ({_CONTROL_PLANE}) is not part of this installation; container images leave it out. "
    "'pip install .' in the source tree installs it. 'run' does without it if --kubeconfig, --context or $KUBECONFIG "
    "names a cluster"
)


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name != _CONTROL_PLANE:
                raise
            raise click.ClickException(_NO_CONTROL_PLANE) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 (for the type checker)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="execution-options", prog_name="execution-options")
def main() -> None:
    """Give any workflow engine's executions what flytekit's Options give a Flyte execution.

    Exit codes: 0 success, 1 failure (the reason is on standard error), 2 wrong usage.
    """
