"""A pod reaches its cluster by the files of its service account; everybody else by a kubeconfig."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from execution_options.kube import access

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ca.crt").write_text("")
    (tmp_path / "token").write_text("first\n")
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    return tmp_path


async def test_a_pod_is_its_service_account(account: Path) -> None:
    found = await access.find()
    assert found.server == "https://10.96.0.1:6443"
    assert await found.authorization.header() == "Bearer first"
    assert found.tls().verify_mode is ssl.CERT_REQUIRED


async def test_an_address_of_ipv6_stands_in_brackets(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert (await access.find()).server == "https://[fd00::1]:6443"


async def test_a_token_that_is_renewed_is_used(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await access.find()
    (account / "token").write_text("second")
    assert await found.authorization.header() == "Bearer first"
    monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
    assert await found.authorization.header() == "Bearer second"


async def test_a_pod_without_a_service_account_is_refused(account: Path) -> None:
    (account / "token").unlink()
    with pytest.raises(access.NoClusterError, match=r"this pod has no service account to use: .*token"):
        await access.find()


async def test_a_named_kubeconfig_is_used_in_a_pod_too(account: Path) -> None:
    with pytest.raises(access.NoClusterError, match="there is no kubeconfig"):
        await access.find(account / "none")


@pytest.mark.parametrize("process", ["webhook"])
def test_a_pod_does_not_load_the_models_of_every_kind(process: str) -> None:
    program = f"import sys, execution_options.cli.{process}; sys.exit('kubernetes' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("extra", "expected"), [({"namespace": "team"}, "team"), ({}, "default")])
async def test_commands_use_the_namespace_of_the_context(tmp_path: Path, extra: dict[str, str], expected: str) -> None:
    file = tmp_path / "config"
    cluster = {"name": "c", "cluster": {"server": "https://example:6443"}}
    chosen = {"name": "x", "context": {"cluster": "c", "user": "u", **extra}}
    config = {"clusters": [cluster], "users": [{"name": "u", "user": {}}], "contexts": [chosen], "current-context": "x"}
    file.write_text(json.dumps(config))
    assert (await access.find(file)).namespace == expected
