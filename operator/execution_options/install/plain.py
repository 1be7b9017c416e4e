"""Plain manifests for those who use no Helm, rendered from the chart, ``deploy/``: what is installed, and apart from it
what has to run before that is deleted, which with Helm is a hook.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

import yaml

from execution_options.install import SYSTEM_NAMESPACE, rbac
from execution_options.install.chart import CHART, GENERATED

if TYPE_CHECKING:
    from pathlib import Path

PLAIN: Final = "deploy/install.yaml"
UNINSTALL: Final = "deploy/uninstall/uninstall.yaml"
# What only Helm reads, or is only true of it.
_OF_HELM: Final = re.compile(
    r"^(?:# Source: .*\n| +helm\.sh/chart: .*\n| +app\.kubernetes\.io/managed-by: .*\n"
    r"| +annotations:\n(?: +helm\.sh/hook.*\n)+)",
    re.MULTILINE,
)


def render(root: Path, helm: Path) -> dict[str, str]:
    """The manifests of the chart with its own values, and their namespace, by path below the root.

    Args:
        root: of the source tree.
        helm: the program.

    Raises:
        subprocess.CalledProcessError: helm cannot render the chart; standard error has the reason.
    """
    (namespace,) = [document for document in rbac() if document["kind"] == "Namespace"]
    installed = yaml.safe_dump(namespace, sort_keys=False) + _rendered(root, helm, "--no-hooks")
    hooks = (f"--show-only=templates/{name}.yaml" for name in ("uninstall-rbac", "uninstall"))
    return {PLAIN: f"# {GENERATED}\n{installed}", UNINSTALL: f"# {GENERATED}\n{_rendered(root, helm, *hooks)}"}


def _rendered(root: Path, helm: Path, *arguments: str) -> str:
    command = [str(helm), "template", "execution-options", str(root / CHART), "--namespace", SYSTEM_NAMESPACE]
    command += ["--set", "crds.keep=false", *arguments]
    plain = _OF_HELM.sub("", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return re.sub(r"\n{2,}(?=---|\Z)", "\n", plain)
