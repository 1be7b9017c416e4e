"""Writes the outcome of a program to the termination message of its container.

The operator reads it from the pod. It takes no right, no network, and nothing but Python.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Final, Literal

Phase = Literal["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]

PATH: Final = "/dev/termination-log"
"""Kubernetes' default of a container's ``terminationMessagePath``."""
PATH_VARIABLE: Final = "TERMINATION_MESSAGE_PATH"
"""Environment variable with another path, for containers whose ``terminationMessagePath`` is another."""
MAX_BYTES: Final = 4096
"""What a kubelet keeps of a termination message."""

logger = logging.getLogger(__name__)


def text(phase: Phase, message: str = "") -> str:
    """The termination message, at most :data:`MAX_BYTES` bytes of UTF-8; a longer message is cut."""
    message = "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in message).strip()
    while True:
        written = json.dumps({"execution.dev/phase": phase, "message": message}, ensure_ascii=False)
        if len(written.encode()) <= MAX_BYTES:
            return written
        message = message[: len(message) * 3 // 4]


def write(phase: Phase, message: str = "") -> None:
    """Write an outcome. A container without the file, or a file that cannot be written, is logged and harms nothing."""
    path = Path(os.environ.get(PATH_VARIABLE) or PATH)
    try:
        if path.exists():
            path.write_text(text(phase, message), encoding="utf-8")
        else:
            logger.info("%s does not exist: nothing is written", path)
    except OSError as error:
        logger.warning("the outcome of this program cannot be written to %s: %s", path, error)
