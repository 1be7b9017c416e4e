"""Commands whose cluster does not answer say so in one line."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import yaml

from support.commands import Answer, called, execution_options

if TYPE_CHECKING:
    from pathlib import Path

HERE = [("explain", "job/x"), ("preview", "-f", "-")]
"""Commands that leave the process as it was."""
PROCESSES = [("webhook", "--health-port", "0", "--port", "0"), ("run",)]
JOB = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\n"


def kubeconfig(folder: Path, server: str) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


def message(answer: Answer) -> str:
    assert answer.code == 1
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    return answer.err


def ran(*command: str, kubeconfig: Path) -> Answer:
    return called(*command, kubeconfig=kubeconfig, manifests=JOB)


@pytest.mark.parametrize("command", HERE, ids=lambda one: one[0])
def test_nobody_listens(tmp_path: Path, command: tuple[str, ...]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        file = kubeconfig(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert "Cannot connect to host 127.0.0.1" in message(ran(*command, kubeconfig=file))


@pytest.mark.parametrize("command", HERE, ids=lambda one: one[0])
@pytest.mark.parametrize("content", [None, "{}", "text", "a: [b"])
def test_the_kubeconfig_is_none(tmp_path: Path, command: tuple[str, ...], content: str | None) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    assert "kube" in message(ran(*command, kubeconfig=file))


@pytest.mark.parametrize("command", PROCESSES, ids=lambda one: one[0])
def test_a_process_does_not_start_without_a_cluster(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "there is no kubeconfig" in message(execution_options(*command, kubeconfig=tmp_path / "none"))


def test_the_operator_is_not_run_where_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        file = kubeconfig(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert "the operator cannot be installed: Cannot connect" in message(execution_options("run", kubeconfig=file))


def test_an_unknown_context(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1")
    assert "other" in message(ran("explain", "job/x", "--context", "other", kubeconfig=file))


def test_wrong_usage_is_told_apart(tmp_path: Path) -> None:
    for command in (("explain",), ("preview",), ("nothing",), ("run", "--name", "a")):
        assert ran(*command, kubeconfig=tmp_path / "none").code == 2
