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
        configuration = self._client.configuration
        response = self._client.rest_client.pool_manager.request(
            "POST",
            f"{configuration.host}{path}",
            body=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **self._authorization()},
        )
        answer: dict[str, Any] = json.loads(response.data)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def _authorization(self) -> dict[str, str]:
        token = self._client.configuration.get_api_key_with_prefix("authorization")
        return {"Authorization": token} if token else {}
