"""Logs of the operator's processes in a test: nothing unexpected may be in them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.local import LocalOperator

_SUSPICIOUS = re.compile(r" (WARNING|ERROR|CRITICAL) |Traceback|Exception|never retrieved|was destroyed")


@contextmanager
def scanned(operator: LocalOperator) -> Iterator[list[str]]:
    """Fails for suspicious lines that were written meanwhile, but for those that match what is put into the list."""
    names = [path.stem for path in operator.logs.glob("*.log")]
    before = {name: len(operator.log(name)) for name in names}
    # The webhook waits for a fresh list as long as an admission may, which a busy machine can exceed.
    tolerated = ["answered from memory: timed out"]
    yield tolerated
    written = [line for name in names for line in operator.log(name)[before[name] :].splitlines()]
    suspicious = [line for line in written if _SUSPICIOUS.search(line)]
    unexpected = [line for line in suspicious if not any(re.search(pattern, line) for pattern in tolerated)]
    assert not unexpected, "\n".join(unexpected)
