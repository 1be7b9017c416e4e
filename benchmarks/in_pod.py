"""``python -m benchmarks.in_pod FOLDER SERVER COMMAND…``: a process of the operator as a pod has it.

A service account's files say which cluster to use. A kubeconfig would be read by the official client, which takes
28 MB and a third of a second that no pod spends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from execution_options.cli import main
from execution_options.kube import access


def _run(folder: str, server: str, *command: str) -> None:
    url = urlsplit(server)
    os.environ |= {"KUBERNETES_SERVICE_HOST": url.hostname or "", "KUBERNETES_SERVICE_PORT": str(url.port)}
    # In a pod the kubelet puts them where nobody else can.
    vars(access)["SERVICE_ACCOUNT"] = Path(folder)
    main(command, prog_name="execution-options")


if __name__ == "__main__":
    _run(*sys.argv[1:])
