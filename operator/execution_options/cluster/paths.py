"""Where files go: the cache of built programs and the state of clusters."""

from __future__ import annotations

import os
from pathlib import Path

_APPLICATION = "execution-options"


def cache_root() -> Path:
    """`$EXECUTION_OPTIONS_CACHE`, else the user's cache folder; may not exist yet."""
    if override := os.environ.get("EXECUTION_OPTIONS_CACHE"):
        return Path(override).absolute()
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_root() -> Path:
    """The folder of all clusters: `$EXECUTION_OPTIONS_STATE`, else below the user's state folder; may not exist yet."""
    if override := os.environ.get("EXECUTION_OPTIONS_STATE"):
        return Path(override).absolute()
    return _xdg("XDG_STATE_HOME", ".local/state") / "clusters"


def _xdg(variable: str, default: str) -> Path:
    # A relative path in these variables is invalid and to be ignored (XDG Base Directory Specification).
    base = Path(os.environ.get(variable, ""))
    return (base if base.is_absolute() else Path.home() / default) / _APPLICATION
