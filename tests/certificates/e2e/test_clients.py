"""A webhook that asks for a client certificate answers the API server that shows it, and nobody else."""

from __future__ import annotations

import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from execution_options.api.names import ID_LABEL
from execution_options.cluster import ControlPlane
from execution_options.cluster.pki import Authority
from execution_options.local import LocalOperator
from support.logs import scanned
from support.team import working
from support.workloads import job

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]


def documented(certificate: Path, key: Path, folder: Path) -> str:
    """The configuration that SECURITY.md shows, with the files of this test."""
    blocks = re.findall("```yaml\n(.*?)```", (ROOT / "SECURITY.md").read_text(), re.DOTALL)
    (text,) = (block for block in blocks if "kind: AdmissionConfiguration" in block)
    configuration, users = yaml.safe_load_all(text)
    # The port is part of the name unless it is 443, and here it is any.
    users["users"][0]["name"] = "*"
    users["users"][0]["user"] = {"client-certificate": str(certificate), "client-key": str(key)}
    file = folder / "webhooks.yaml"
    file.write_text(yaml.safe_dump(users))
    (plugin,) = configuration["plugins"]
    plugin["configuration"]["kubeConfigFile"] = str(file)
    configuration["plugins"] = [plugin, plugin | {"name": "ValidatingAdmissionWebhook"}]
    return yaml.safe_dump(configuration)


def test_only_who_shows_a_client_certificate_is_answered(tmp_path: Path) -> None:
    Authority(tmp_path).issue_client("client", "api-server", None)
    authority, certificate, key = (tmp_path / name for name in ("ca.crt", "client.crt", "client.key"))
    configuration = documented(certificate, key, tmp_path)
    with (
        ControlPlane.start("certified", root=tmp_path, admission_configuration=configuration) as cluster,
        LocalOperator(cluster.kubeconfig, processes=("webhook",), webhook=("--client-ca", str(authority))) as operator,
        scanned(operator),
        working(cluster, "default") as team,
    ):
        team.options("own", {"labels": {"a": "1"}})
        made = team.create(job("asks", options="own", spec={"suspend": True}))
        assert ID_LABEL in made["metadata"]["labels"]
        stranger = ssl.create_default_context()
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
        url = f"https://127.0.0.1:{operator.webhook_port}/executions"
        with pytest.raises(OSError, match=r"(?i)certificate.required|reset|closed|eof"):
            urllib.request.urlopen(url, b"{}", 10, context=stranger)
        stranger.load_cert_chain(certificate, key)
        with pytest.raises(urllib.error.HTTPError) as answered:
            urllib.request.urlopen(url, b"{}", 10, context=stranger)
        with answered.value as answer:
            assert answer.status == 400
