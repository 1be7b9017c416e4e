"""Log lines for people and for collectors."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

from execution_options.logs import JsonFormatter, error_text, fields


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("some.logger", logging.WARNING, __file__, 1, message, arguments, trace)


def test_a_line_is_one_object_whatever_is_in_it() -> None:
    line = JsonFormatter().format(record("%s is\n%r", "é", "x"))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "some.logger", "é is\n'x'")
    assert datetime.fromisoformat(entry["time"]).tzinfo is not None
    assert "trace" not in entry


def test_what_a_line_is_about_are_keys_which_cannot_take_the_place_of_others() -> None:
    text = record("delivered")
    text.__dict__.update(fields(namespace="team", name="train-1", channel="", message="forged"))
    entry = json.loads(JsonFormatter().format(text))
    assert (entry["namespace"], entry["name"], entry["message"]) == ("team", "train-1", "delivered")
    assert "channel" not in entry


def test_an_error_comes_with_its_trace() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        line = JsonFormatter().format(record("failed", error=sys.exception()))
    assert "ValueError: wrong" in json.loads(line)["trace"]


def test_an_error_without_words_is_named_by_its_class() -> None:
    assert error_text(TimeoutError()) == "TimeoutError"
    assert error_text(OSError("no route to host")) == "no route to host"
