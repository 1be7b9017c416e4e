"""Users of a cluster other than its administrator: those that the API server knows by impersonation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from kubernetes.config import new_client_from_config

from support.team import RefusedError

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

Manifest = dict[str, Any]
TYPES = {
    "PATCH": "application/merge-patch+json",
    "APPLY": "application/apply-patch+yaml",
}


class Answer(NamedTuple):
    """What the API server made of a request."""

    status: int
    body: Manifest

    @property
    def message(self) -> str:
        """Why it was refused."""
        return str(self.body.get("message", ""))


class Users:
    """Sends requests in the name of others."""

    def __init__(self, cluster: Cluster) -> None:
        self._client = new_client_from_config(config_file=str(cluster.kubeconfig), context=cluster.context)

    def ask(
        self, user: str, method: str, path: str, body: Any = None, *, extra: dict[str, str] | None = None
    ) -> Answer:
        """One request of ``user``, with what else the API server would know of him."""
        headers = {"Content-Type": TYPES.get(method, "application/json")}
        if user:
            headers["Impersonate-User"] = user
        for key, value in (extra or {}).items():
            headers[f"Impersonate-Extra-{key.replace('/', '%2f')}"] = value
        response = self._client.rest_client.pool_manager.request(
            "PATCH" if method == "APPLY" else method,
            f"{self._client.configuration.host}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
            retries=False,
        )
        if response.status == 404 and response.data.startswith(b"404 "):  # of a kind that is not served
            return Answer(response.status, {"message": response.data.decode()})
        return Answer(response.status, json.loads(response.data))

    def may(self, user: str, method: str, path: str, body: Any = None, **extra: Any) -> Manifest:
        """The same for what must succeed; the object."""
        answer = self.ask(user, method, path, body, **extra)
        if answer.status >= 400:
            raise RefusedError(answer.status, answer.message)
        return answer.body

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()
