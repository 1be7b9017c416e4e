"""A cluster that the user names by kubeconfig and context: checked and used, never started or stopped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from execution_options.proxies import ProxyError, of_api_server
from execution_options.tls import client_context

from .binaries import require_supported
from .cluster import Cluster
from .errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_REQUEST_TIMEOUT_SECONDS = 10.0


class NamedCluster(Cluster):
    """A cluster of the user's that answers and is recent enough.

    Attributes:
        version: The API server's version, such as `v1.34.1`.
        server: URL of the API server.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        """Check the cluster.

        Args:
            kubeconfig: The kubeconfig file; None for the one that KUBECONFIG names, else `~/.kube/config`.
            context: The context in it; None for its current one.

        Raises:
            ClusterError: The kubeconfig is unusable, the cluster does not answer, or it is too old.
        """
        path = _default_kubeconfig() if kubeconfig is None else kubeconfig
        if not path.is_file():
            raise ClusterError(f"there is no kubeconfig {path}")
        self.version, self.server, context = _ask(path, context)
        require_supported(self.version)
        super().__init__(path.absolute(), context, kubectl=_on_path("kubectl"), helm=_on_path("helm"))


def _default_kubeconfig() -> Path:
    configured = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if os.pathsep in configured:
        raise ClusterError("KUBECONFIG names several files; name the one to use with --kubeconfig")
    return Path(configured).expanduser()


def _ask(path: Path, context: str | None) -> tuple[str, str, str]:
    """The API server's version, its URL, and the name of the context."""
    # Imported here: this client takes a second to load, and only this cluster needs it (for credential plugins).
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        contexts, current = config.list_kube_config_contexts(str(path))
        name = str(context or current["name"])
        if name not in {entry["name"] for entry in contexts}:
            raise ClusterError(f"{path} has no context {name!r}")
        configuration = client.Configuration(proxy="", no_proxy="")  # it would read the environment as Python does
        config.load_kube_config(str(path), name, client_configuration=configuration)
        configuration.proxy = of_api_server(os.environ, str(configuration.host), configuration.proxy)
        with client.ApiClient(configuration) as api:
            verify_as_kubectl_does(api)
            api.configuration.retries = False
            version = client.VersionApi(api).get_code(_request_timeout=_REQUEST_TIMEOUT_SECONDS)
            return str(version.git_version), str(api.configuration.host), name
    except (config.ConfigException, KeyError, TypeError, ProxyError) as error:
        raise ClusterError(f"{path} cannot be used: {error}") from error
    except (client.ApiException, HTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ClusterError(f"the cluster of {path} does not answer: {reason}") from error


def verify_as_kubectl_does(api: ApiClient) -> None:
    """Have the official client accept authorities that kubectl accepts; it has no setting for that."""
    configuration = api.configuration
    context = client_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data or "")
    context.check_hostname = bool(configuration.verify_ssl)  # else no other mode can be chosen
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context


def _on_path(program: str) -> Path | None:
    found = shutil.which(program)
    return None if found is None else Path(found)
