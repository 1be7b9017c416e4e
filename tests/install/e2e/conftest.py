"""Programs of others that an installation works with: built before the first test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import promtool
from support.certmanager import CertManager
from support.programs import build_wanted

if TYPE_CHECKING:
    import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the selected tests need."""
    build_wanted(session, {"cert_manager": CertManager.build, "promtool": promtool.build})
