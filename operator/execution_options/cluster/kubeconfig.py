"""Kubeconfig files for the API server of a control plane."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *, server: str, pki: Path, client: str, context: str) -> None:
    """Write a kubeconfig that holds its certificates, so that it can be copied anywhere; only its owner reads it.

    Args:
        path: The file to write.
        server: URL of the API server.
        pki: Folder of the certificates.
        client: Name of the client certificate to use.
        context: Name of the context, cluster and user.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": context, "cluster": {"server": server, "certificate-authority-data": _data(pki / "ca.crt")}}
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": _data(pki / f"{client}.crt"),
                    "client-key-data": _data(pki / f"{client}.key"),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
