"""Logging of the operator's processes: text for people, JSON for collectors.

What a line is about can be given apart from its words: ``logger.info(…, extra=fields(namespace=…, name=…))``.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

LogFormat = Literal["text", "json"]


_FIELDS: Final = "fields"


def fields(**values: str) -> dict[str, dict[str, str]]:
    """The objects that a log line is about, for ``extra``: keys of its JSON object. Empty values are left out."""
    return {_FIELDS: {key: value for key, value in values.items() if value}}


def error_text(error: BaseException) -> str:
    """The message of an error, or the name of its class if it has none, as time-outs do."""
    return str(error) or type(error).__name__


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    ``time`` (RFC 3339), ``level``, ``logger``, ``message``, an exception's ``trace``, and the line's :func:`fields`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry = {**getattr(record, _FIELDS, {}), **entry}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def configure(log_format: LogFormat, level: str) -> None:
    """Log to standard error from ``level`` on (``debug``, ``info``, …)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if log_format == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # One line for every request would say nothing that the metrics do not.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
