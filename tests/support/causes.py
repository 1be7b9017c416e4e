"""Causes of failures, for tests that have no store of pods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, cast

from execution_options.controller.cache.causes import Causes
from execution_options.controller.cache.tracker import Tracker

NO_CAUSES: Final = Causes(cast("Any", SimpleNamespace(items={})), Tracker())
"""Knows of no pod."""
