"""Writes what is generated from the model: ``python -m execution_options.api.generate [--check] [folder]``.

The folder, by default the current one, is the root of the source tree.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from execution_options.api.crd import KINDS, crd
from execution_options.api.reference import reference

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = "# Generated from the model by `make manifests`; do not edit.\n"


def generated() -> dict[str, str]:
    """Every generated file: path below the root of the source tree, and content."""
    files = {"docs/reference.md": reference()}
    for kind in KINDS:
        manifest = crd(kind)
        content = yaml.safe_dump(manifest, sort_keys=False, width=110, allow_unicode=True)
        files[f"crds/{manifest['spec']['names']['plural']}.yaml"] = _HEADER + content
    return files


def differing(root: Path) -> list[str]:
    """The generated files below the root that are missing or not what the model gives."""
    return [
        path
        for path, content in generated().items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != content
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` only say which differ; exit code 1 if any does."""
    parser = argparse.ArgumentParser(prog="execution_options.api.generate", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="root of the source tree")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    options = parser.parse_args(arguments)
    stale = differing(options.folder)
    if options.check:
        for path in stale:
            print(f"{path} is not what the model gives; run `make manifests`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        target = options.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(generated()[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
