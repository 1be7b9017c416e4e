from __future__ import annotations

import io

import pytest

from execution_options.cluster.progress import Progress, format_elapsed


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.9, "59s"), (60, "1m 00s"), (605, "10m 05s")])
def test_elapsed(seconds: float, text: str) -> None:
    assert format_elapsed(seconds) == text


def test_a_log_gets_a_line_per_step_and_then_one_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.update("downloading modules", 0, 3)
    for second in range(1, 26):
        clock.now = 100.0 + second
        progress.update("compiling packages", second, 3000)
    progress.finish("built")
    assert stream.getvalue().splitlines() == [
        "downloading modules 0/3 (0s)",
        "compiling packages 1/3000 (1s)",
        "compiling packages 11/3000 (11s)",
        "compiling packages 21/3000 (21s)",
        "built (25s)",
    ]


def test_a_terminal_gets_one_line_in_place() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    progress.update("compiling packages", 10, 3000)
    progress.update("compiling packages", 11, 3000)
    clock.now += 1
    progress.update("linking")
    progress.finish("built")
    first, second, last = stream.getvalue().removeprefix("\r").removesuffix("\n").split("\r")
    assert (first, second.rstrip(), last.rstrip()) == ("compiling packages 10/3000 (0s)", "linking (1s)", "built (1s)")
    assert len(second) == len(first), "the shorter line must cover the longer one"


def test_finishing_without_a_message_clears_the_line() -> None:
    stream = Terminal()
    progress = Progress(stream, Clock())
    progress.update("starting")
    progress.finish()
    assert stream.getvalue() == "\rstarting (0s)\r" + " " * 13 + "\r"


def test_finishing_without_a_step_writes_nothing() -> None:
    stream = Terminal()
    Progress(stream, Clock()).finish()
    assert stream.getvalue() == ""
