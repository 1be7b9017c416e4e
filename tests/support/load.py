"""Executions that are created without a pause, by several users at once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from support.team import RefusedError, Team
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


class Outcome(NamedTuple):
    """What became of one request."""

    refused: str
    stamped: bool


class Load:
    """Creates one manifest again and again."""

    def __init__(self, team: Team, manifest: dict[str, Any], workers: int = 1) -> None:
        self.outcomes: list[Outcome] = []
        self._manifest = manifest
        self._teams = [Team(team.cluster, team.namespace) for _ in range(workers)]
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(one,)) for one in self._teams]

    def _work(self, team: Team) -> None:
        while not self._ended.is_set():
            try:
                made = team.create(self._manifest)
            except RefusedError as error:
                self.outcomes.append(Outcome(str(error) or "refused", stamped=False))
                self._ended.wait(0.01)
            else:
                self.outcomes.append(Outcome("", "execution.dev/id" in made["metadata"].get("labels", {})))

    def goes_on(self, *, stamped: bool = False, refused: bool = False, times: int = 5) -> None:
        """Wait until so many more requests in a row ended like that."""
        begin = len(self.outcomes)

        def so() -> bool:
            last = self.outcomes[begin:][-times:]
            return len(last) == times and all((o.stamped, bool(o.refused)) == (stamped, refused) for o in last)

        eventually(so)

    @property
    def refused(self) -> list[str]:
        """Why requests were refused."""
        return [outcome.refused for outcome in self.outcomes if outcome.refused]


@contextmanager
def load(team: Team, manifest: dict[str, Any], workers: int = 1) -> Iterator[Load]:
    """Load for as long as the block."""
    made = Load(team, manifest, workers)
    for thread in made._threads:
        thread.start()
    try:
        yield made
    finally:
        made._ended.set()
        for thread in made._threads:
            thread.join()
        for one in made._teams:
            one.close()
