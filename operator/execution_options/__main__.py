"""``python -m execution_options`` is ``execution-options``."""

from execution_options.cli import main

main(prog_name="execution-options")
