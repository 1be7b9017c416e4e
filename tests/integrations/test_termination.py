"""What a program writes is read as it was meant, whatever is in its message, and harms the program in no case."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.notification import TERMINAL_PHASES
from execution_options.engines.programs import parse
from execution_options.integrations import termination

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a kubelet mounts."""
    path = tmp_path / "termination-log"
    monkeypatch.setenv(termination.PATH_VARIABLE, str(path))
    return path


def test_every_terminal_phase_can_be_written() -> None:
    assert get_args(termination.Phase) == TERMINAL_PHASES


@given(st.sampled_from(get_args(termination.Phase)), st.text() | st.text('"\\\n\U0001f600é', min_size=800))
def test_what_is_written_fits_and_is_read_as_it_was_meant(phase: termination.Phase, message: str) -> None:
    written = termination.text(phase, message)
    assert len(written.encode()) <= termination.MAX_BYTES
    words = parse(written)
    assert words is not None
    assert words.phase == phase
    assert json.loads(written)["message"].startswith(words.message)


def test_the_file_of_the_container_is_written(log: Path) -> None:
    log.write_text("")
    termination.write("FAILED", "no such table")
    assert parse(log.read_text()) == parse('{"execution.dev/phase": "FAILED", "message": "no such table"}')


def test_outside_of_a_container_nothing_is_written(log: Path) -> None:
    termination.write("FAILED")
    assert not log.exists()


def test_a_file_that_cannot_be_written_is_said_and_harms_nothing(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    log.mkdir()
    termination.write("FAILED")
    assert "cannot be written" in caplog.text
