from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from execution_options.cluster import lifecycle, paths
from execution_options.cluster.errors import ClusterError
from execution_options.cluster.state import ClusterState, ComponentRecord, Phase, Record, all_names
from execution_options.processes import ProcessId


@pytest.fixture
def state(tmp_path: Path) -> ClusterState:
    state = ClusterState("one", tmp_path)
    state.create()
    return state


def record(supervisor: ProcessId, etcd: ProcessId | None = None) -> Record:
    return Record(Phase.READY, "ready", supervisor, "1.34", {"etcd": ComponentRecord(etcd, 20_001, 2)})


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a-", "a" * 64, "a\n"])
def test_a_name_is_a_dns_label(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClusterError, match="is not a cluster name"):
        ClusterState(name, tmp_path)


def test_a_record_is_read_as_it_was_written(state: ClusterState) -> None:
    for etcd in (None, ProcessId(7, "then")):
        written = record(ProcessId(3, "before"), etcd)
        state.write(written)
        assert state.read() == written


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"phase": "Ready"}', '{"components": {"etcd": 1}}'])
def test_a_damaged_record_is_none(state: ClusterState, content: str) -> None:
    (state.folder / "state.json").write_text(content)
    assert state.read() is None


def test_only_its_owner_reads_the_folder(state: ClusterState) -> None:
    assert state.folder.stat().st_mode & 0o077 == 0


def test_names_are_the_folders(state: ClusterState, tmp_path: Path) -> None:
    with ClusterState("two", tmp_path).locked():
        assert all_names(tmp_path) == ["one"]
    assert all_names(tmp_path / "missing") == []


def test_the_lock_is_exclusive(state: ClusterState) -> None:
    entered = threading.Event()

    def enter() -> None:
        with state.locked():
            entered.set()

    with state.locked():
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.2)
    other.join()
    assert entered.is_set()


def test_roots_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("EXECUTION_OPTIONS_STATE", "EXECUTION_OPTIONS_CACHE", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.state_root() == tmp_path / ".local/state/execution-options/clusters"
    assert paths.cache_root() == tmp_path / ".cache/execution-options"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    assert paths.state_root() == tmp_path / ".local/state/execution-options/clusters"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert paths.cache_root() == Path("/xdg/execution-options")
    monkeypatch.setenv("EXECUTION_OPTIONS_CACHE", "/own")
    assert paths.cache_root() == Path("/own")


def test_stopping_spares_a_process_that_was_given_the_pid_since(state: ClusterState) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        reused = ProcessId(bystander.pid, "another start")
        state.write(record(reused, reused))
        assert lifecycle.running(state) is None
        lifecycle.stop(state)
        assert bystander.poll() is None
        assert not state.folder.exists()


def test_stopping_ends_what_a_dead_supervisor_left(state: ClusterState) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as orphan:
        identity = ProcessId.of(orphan.pid)
        state.write(record(ProcessId(2**22 + 1, "gone"), identity))
        lifecycle.stop(state)
        assert orphan.wait(10) == -signal.SIGKILL


def test_a_process_is_known_by_pid_and_start() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert me.alive()
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert ProcessId.of(child.pid) is None
        assert not ProcessId(child.pid, me.started).signal(signal.SIGKILL)
