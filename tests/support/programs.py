"""Programs of others that tests run, built before the first test: that takes longer than a test may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.cluster import ClusterError
from execution_options.cluster.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def build_wanted(session: pytest.Session, builders: Mapping[str, Callable[[Progress], Path]]) -> None:
    """Build what the selected tests need.

    Args:
        session: after its tests were collected.
        builders: by the fixture that needs what they build.
    """
    config = session.config
    if config.option.collectonly:
        return
    wanted = {name for item in session.items if isinstance(item, pytest.Function) for name in item.fixturenames}
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        for fixture in builders.keys() & wanted:
            try:
                builders[fixture](Progress())
            except ClusterError as error:
                pytest.exit(str(error), returncode=1)
