"""Executions that are created without a pause, by several users at once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from urllib3.exceptions import HTTPError

from support.team import RefusedError, Team
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


class Outcome(NamedTuple):
    """What became of one request; one that nobody answered counts as refused."""

    refused: str
    stamped: bool


class Load:
    """Creates one manifest again and again."""

    def __init__(self, team: Team, manifest: dict[str, Any], workers: int = 1, pause: float = 0.0) -> None:
        self.outcomes: list[Outcome] = []
        self._pause = pause
        self._manifest = manifest
        self._teams = [Team(team.cluster, team.namespace) for _ in range(workers)]
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(one,)) for one in self._teams]

    def _work(self, team: Team) -> None:
        while not self._ended.is_set():
            try:
                made = team.create(self._manifest)
            except (RefusedError, HTTPError) as error:
                self.outcomes.append(Outcome(str(error) or "refused", stamped=False))
                self._ended.wait(max(0.01, self._pause))
            else:
                self.outcomes.append(Outcome("", "execution.dev/id" in made["metadata"].get("labels", {})))
                self._ended.wait(self._pause)

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
def load(team: Team, manifest: dict[str, Any], workers: int = 1, pause: float = 0.0) -> Iterator[Load]:
    """Load for as long as the block, with so many seconds between two requests of a worker."""
    made = Load(team, manifest, workers, pause)
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
