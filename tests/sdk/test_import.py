"""What importing the package costs and offers."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import execution_options

HEAVY = ("kopf", "kubernetes", "aiohttp", "flytekit", "cryptography", "yaml", "msgspec")


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = f"import sys, execution_options; print([each for each in {HEAVY} if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_converting_flytekits_options_does_not_import_flytekit() -> None:
    script = "import sys, execution_options.sdk.flytekit as ours; print('flytekit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_everything_public_is_there_and_documented() -> None:
    for name in execution_options.__all__:
        assert getattr(execution_options, name).__doc__


def test_the_version_is_that_of_the_installed_package() -> None:
    assert execution_options.__version__ == importlib.metadata.version("execution-options")


def test_other_names_are_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        execution_options.nonsense  # type: ignore[attr-defined]  # noqa: B018
