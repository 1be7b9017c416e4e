"""What of flytekit stays out says so when it is imported, not later."""

from __future__ import annotations

import importlib
import re

import pytest

import execution_options
from execution_options.sdk.absent import ABSENT
from support.flyte import INSTALLABLE


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_an_import_says_what_to_use_instead(name: str) -> None:
    source = f"from execution_options import {name}"
    with pytest.raises(ImportError, match=re.escape(f"has no {name}: ")):
        exec(source, {})


def test_an_unknown_name_is_missing_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        getattr(execution_options, "nonsense")  # noqa: B009


def test_nothing_is_both_here_and_absent() -> None:
    assert ABSENT.keys() & set(execution_options.__all__) == set()


@pytest.mark.skipif(not INSTALLABLE, reason="flytekit cannot be installed on this Python")
def test_what_is_absent_is_flytekits() -> None:
    modules = [
        importlib.import_module(name)
        for name in (
            "flytekit",
            "flytekit.configuration",
            "flytekit.core.schedule",
            "flytekit.models.concurrency",
            "flytekit.models.security",
            "flytekit.remote",
        )
    ]
    assert [name for name in ABSENT if not any(hasattr(module, name) for module in modules)] == []
