"""cert-manager as a process of this machine, and the files that a kubelet would make of its Secrets."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from execution_options.cluster.build import GoProgram
from execution_options.kube.client import path_of
from support.controllerprocess import EngineController, Manifest
from support.team import RefusedError, Team

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from execution_options.cluster import Cluster

_LOOK_SECONDS = 0.5
_SYNC_SECONDS = 2.0
"""A kubelet takes up to a minute and a half; what matters is that it comes after everybody else."""


class CertManager(EngineController):
    """Its controllers and its cainjector, without its webhook, which only checks what is written."""

    name = "certmanager"
    module = "github.com/cert-manager/cert-manager"
    namespace = "cert-manager"
    account = "cert-manager"
    crds = "deploy/crds/*.yaml"

    @classmethod
    def program(cls) -> GoProgram:
        """What is to be built."""
        sources = Path(__file__).parents[1] / "install" / "programs" / "certmanager"
        return GoProgram(cls.name, "cert-manager", sources)

    def manifests(self, module: Path) -> list[Manifest]:
        """Nothing more."""
        return []

    def arguments(self) -> list[str]:
        """Its defaults."""
        return []

    def canary(self) -> Manifest:
        """What it has to say `Ready` of."""
        return {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "spec": {"selfSigned": {}}}


class Certificates:
    """The Certificate objects of a namespace and their Secrets."""

    def __init__(self, team: Team) -> None:
        self.team = team

    def renew(self, name: str) -> None:
        """Have a Certificate issued again, as `cmctl renew` does."""
        path = path_of("cert-manager.io", "v1", "certificates", self.team.namespace, name)
        found = self.team.request("GET", path)
        issuing = {
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "by hand",
            "lastTransitionTime": found["metadata"]["creationTimestamp"],
            "observedGeneration": found["metadata"]["generation"],
        }
        conditions = [one for one in found["status"]["conditions"] if one["type"] != "Issuing"]
        found["status"]["conditions"] = [*conditions, issuing]
        self.team.request("PUT", f"{path}/status", found)

    def secret(self, name: str) -> dict[str, bytes]:
        """What a Secret holds; nothing while there is none."""
        return _content(self.team, name)

    def delete(self, name: str) -> None:
        """Delete a Secret."""
        self.team.request("DELETE", path_of("", "v1", "secrets", self.team.namespace, name))


class Mount:
    """A Secret in a folder, as pods see it: exchanged as a whole a while after it changed, kept when it is deleted."""

    def __init__(self, cluster: Cluster, namespace: str, secret: str, folder: Path) -> None:
        self._team = Team(cluster, namespace)
        self._secret, self._folder = secret, folder
        self._number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._team.close()

    def _follow(self) -> None:
        last: dict[str, bytes] = {}
        while not self._ended.wait(_LOOK_SECONDS):
            content = _content(self._team, self._secret)
            if content and content != last:
                if last:
                    self._ended.wait(_SYNC_SECONDS)
                self._exchange(content)
                last = content

    def _exchange(self, content: dict[str, bytes]) -> None:
        self._number += 1
        version = self._folder / f"..{self._number}"
        version.mkdir()
        for name, data in content.items():
            (version / name).write_bytes(data)
        following = self._folder / "..following"
        following.symlink_to(version.name)
        os.replace(following, self._folder / "..data")  # noqa: PTH105 - of the link itself
        for name in content:
            if not (self._folder / name).is_symlink():
                (self._folder / name).symlink_to(f"..data/{name}")


def _content(team: Team, secret: str) -> dict[str, bytes]:
    try:
        found: dict[str, Any] = team.request("GET", path_of("", "v1", "secrets", team.namespace, secret))
    except RefusedError as error:
        if error.status != 404:
            raise
        return {}
    return {name: base64.b64decode(data) for name, data in found.get("data", {}).items()}
