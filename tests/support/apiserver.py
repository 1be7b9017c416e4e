"""Requests to the API server without a kubectl for each, which takes a hundred times as long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubernetes.config import new_client_from_config

if TYPE_CHECKING:
    from execution_options.cluster import Cluster


class ApiServer:
    """The API server of a cluster, for requests whose answer is the subject of a test."""

    def __init__(self, cluster: Cluster) -> None:
        self._client = new_client_from_config(config_file=str(cluster.kubeconfig), context=cluster.context)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post the body; the created object, or the Status that says why not."""
        return self._request("POST", path, body)

    def get(self, path: str) -> dict[str, Any]:
        """An object or a list, or the Status that says why not."""
        return self._request("GET", path)

    def delete(self, path: str) -> dict[str, Any]:
        """Delete an object, without waiting for its end; what is left of it, or a Status."""
        return self._request("DELETE", path)

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        configuration = self._client.configuration
        response = self._client.rest_client.pool_manager.request(
            method,
            f"{configuration.host}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **self._authorization()},
        )
        answer: dict[str, Any] = json.loads(response.data)
        return answer

    def _authorization(self) -> dict[str, str]:
        token = self._client.configuration.get_api_key_with_prefix("authorization")
        return {"Authorization": token} if token else {}
