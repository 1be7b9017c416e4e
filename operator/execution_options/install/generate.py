"""Writes what is generated: ``python -m execution_options.install.generate [--check] [folder]``.

The folder, by default the current one, is the root of the source tree. Kinds and reference come from the model,
the chart's rights and webhook entries and SECURITY.md's table of rights from this package, the chart's version from
pyproject.toml, its page from its values, and plain manifests from the chart. For the last, helm is needed: the control
plane's is used, or built.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from execution_options.api.reference import reference
from execution_options.cluster.binaries import locate_helm
from execution_options.cluster.progress import Progress
from execution_options.install.chart import CHART, CRDS, DASHBOARD, definitions, templates, values_table
from execution_options.install.dashboard import dashboard
from execution_options.install.plain import render
from execution_options.install.rights import rights_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUES: Final = f"{CHART}/values.yaml"
_PAGE: Final = f"{CHART}/README.md"
_PROJECT: Final = "pyproject.toml"
_VERSIONED: Final = (
    f"{CHART}/Chart.yaml",
    _PAGE,
    "deploy/kustomization.yaml",
    "deploy/uninstall/kustomization.yaml",
    "docs/operations.md",
)
"""Files that name the version which the project's file gives: as the chart's, and as the image's tag."""
_VERSION: Final = re.compile(r"(^(?:appV|v)ersion: |newTag: |/execution-options:)\d+\.\d+\.\d+", re.MULTILINE)
_TABLE: Final = re.compile(r"(?<=<!-- (?:values|rights): begin -->\n).*(?=<!-- (?:values|rights): end -->)", re.DOTALL)
_SECURITY: Final = "SECURITY.md"


def generated(root: Path) -> dict[str, str]:
    """Every generated file: path below the root of the source tree, and content."""
    files = {"docs/reference.md": reference()}
    for name, content in definitions().items():
        files[f"crds/{name}"] = content
        files[f"{CHART}/{CRDS}/{name}"] = content
    files |= {f"{CHART}/{path}": content for path, content in templates().items()}
    files[f"{CHART}/{DASHBOARD}"] = dashboard()
    if (root / _VALUES).is_file():
        table = values_table((root / _VALUES).read_text(encoding="utf-8"))
        files[_PAGE] = _TABLE.sub(lambda _: table, (root / _PAGE).read_text(encoding="utf-8"))
    if (root / _SECURITY).is_file():
        files[_SECURITY] = _TABLE.sub(lambda _: rights_table(), (root / _SECURITY).read_text(encoding="utf-8"))
    if (root / _PROJECT).is_file():
        version = tomllib.loads((root / _PROJECT).read_text(encoding="utf-8"))["project"]["version"]
        for path in _VERSIONED:
            content = files.get(path) or (root / path).read_text(encoding="utf-8")
            files[path] = _VERSION.sub(lambda found: f"{found[1]}{version}", content)
    return files


def differing(root: Path) -> list[str]:
    """The generated files below the root that are missing or not what they should be."""
    return [
        path
        for path, content in generated(root).items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != content
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` only name those that differ; exit code 1 if any does."""
    parser = argparse.ArgumentParser(prog="execution_options.install.generate", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="root of the source tree")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    options = parser.parse_args(arguments)
    stale = differing(options.folder)
    if options.check:
        for path in stale:
            print(f"{path} is not what its source gives; run `make manifests`", file=sys.stderr)
        return 1 if stale else 0
    files = generated(options.folder)
    for path in stale:
        target = options.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(files[path], encoding="utf-8")
        print(f"wrote {path}")
    if (options.folder / CHART / "Chart.yaml").is_file():
        plain = render(options.folder, locate_helm(Progress()))
        for path, content in plain.items():
            (options.folder / path).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
