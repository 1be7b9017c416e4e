"""The programs whose ends are written, installed before the first test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.clients import REQUIREMENTS, builder
from support.programs import build_wanted

if TYPE_CHECKING:
    import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    build_wanted(session, {name: builder(name) for name in REQUIREMENTS})
