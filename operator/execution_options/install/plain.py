"""Plain manifests for those who use no Helm, rendered from the chart: ``deploy/install.yaml``."""

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
# What only Helm reads, or is only true of it.
_OF_HELM: Final = re.compile(
    r"^(# Source: .*| +helm\.sh/chart: .*| +app\.kubernetes\.io/managed-by: .*)\n", re.MULTILINE
)


def render(root: Path, helm: Path) -> str:
    """The manifests of the chart with its own values, and their namespace.

    Args:
        root: of the source tree.
        helm: the program.

    Raises:
        subprocess.CalledProcessError: helm cannot render the chart; standard error says why.
    """
    command = [str(helm), "template", "execution-options", str(root / CHART), "--namespace", SYSTEM_NAMESPACE]
    command += ["--no-hooks", "--set", "crds.keep=false"]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (namespace,) = [document for document in rbac() if document["kind"] == "Namespace"]
    return f"# {GENERATED}\n{yaml.safe_dump(namespace, sort_keys=False)}{_OF_HELM.sub('', rendered)}"
