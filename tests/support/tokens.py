"""Requests with the token of a service account, which is all that whoever has it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import urllib3
from kubernetes.config import new_client_from_config

from support.users import TYPES, Answer

if TYPE_CHECKING:
    from types import TracebackType

    from execution_options.cluster import Cluster


class Token:
    """A token of one account, perhaps that of a pod which runs under it; use as a context manager."""

    def __init__(self, cluster: Cluster, namespace: str, account: str, pod: str = "") -> None:
        self.user = f"system:serviceaccount:{namespace}:{account}"
        configuration = new_client_from_config(config_file=str(cluster.kubeconfig), context=cluster.context)
        self._host = configuration.configuration.host
        self._pool = urllib3.PoolManager(ca_certs=configuration.configuration.ssl_ca_cert)
        configuration.close()
        bound = ["--bound-object-kind=Pod", f"--bound-object-name={pod}"] if pod else []
        token = cluster.run_kubectl(["create", "token", account, "-n", namespace, *bound]).stdout.strip()
        self._headers = {"Authorization": f"Bearer {token}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request with it."""
        response = self._pool.request(
            "PATCH" if method == "APPLY" else method,
            f"{self._host}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": TYPES.get(method, "application/json"), **(headers or {})},
            retries=False,
        )
        try:
            return Answer(response.status, json.loads(response.data))
        except ValueError:
            return Answer(response.status, {"message": response.data.decode()})
