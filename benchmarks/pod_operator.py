"""The operator as it runs in a cluster: with the files that the kubelet would put into its pods."""

from __future__ import annotations

import base64
import sys

import yaml

from execution_options.local import LocalOperator


class PodOperator(LocalOperator):
    """Both processes, each with a service account instead of a kubeconfig."""

    def command(self, name: str) -> list[str]:
        """What a process is started with."""
        document = yaml.safe_load((self.logs / f"{name}.kubeconfig").read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        folder = self.logs / f"{name}.account"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        (folder / "token").write_text(user["token"])
        return [
            sys.executable,
            *("-m", "benchmarks.in_pod", str(folder), cluster["server"]),
            *(name, *self.arguments(name)),
        ]
