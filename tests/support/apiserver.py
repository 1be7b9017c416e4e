"""Requests to the API server without a kubectl for each, which takes a hundred times as long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubernetes.config import new_client_from_config

from execution_options.api import decoding

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
        """Delete an object or all of a collection, without waiting for the end; what was there, or a Status."""
        return self._request("DELETE", path)

    def merge(self, path: str, change: dict[str, Any]) -> dict[str, Any]:
        """Change an object by a merge patch; what it is now, or the Status that says why not."""
        return self._request("PATCH", path, change, "application/merge-patch+json")

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        configuration = self._client.configuration
        response = self._client.rest_client.pool_manager.request(
            method,
            f"{configuration.host}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type, "Accept": "application/json", **self._authorization()},
        )
        if not response.headers["Content-Type"].startswith("application/json"):
            # What is not served is answered in a word.
            return {"kind": "Status", "code": response.status, "message": response.data.decode()}
        answer: dict[str, Any] = decoding.read(response.data, dict[str, Any])
        return answer

    def _authorization(self) -> dict[str, str]:
        token = self._client.configuration.get_api_key_with_prefix("authorization")
        return {"Authorization": token} if token else {}
