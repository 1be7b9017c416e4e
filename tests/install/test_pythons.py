"""Versions of Python: what is promised, in one voice, and what is locked for them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from support.pythons import locked

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSIONS = re.findall(r"\S+", re.findall(r"^PYTHONS := (.*)$", MAKEFILE, re.MULTILINE)[0])
PARTS = [lock for lock in sorted(ROOT.glob("requirements*.lock")) if lock.name != "requirements-dev.lock"]


def test_readme_and_package_promise_what_is_tried() -> None:
    assert f"Python {VERSIONS[0]} to {VERSIONS[-1]}" in (ROOT / "README.md").read_text()
    assert PROJECT["requires-python"] == f">={VERSIONS[0]}"
    versions = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if " :: Python :: 3." in each]
    assert versions == VERSIONS


def test_the_image_has_one_of_them() -> None:
    (image,) = re.findall(r"^ARG PYTHON=python:([\d.]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.stem)
def test_every_lock_is_a_part_of_the_one_that_tests_run_on(part: Path, version: str) -> None:
    whole = locked((ROOT / "requirements-dev.lock").read_text(), version)
    wanted = locked(part.read_text(), version)
    assert wanted
    assert {name: whole.get(name) for name in wanted} == wanted


def test_a_marker_counts_for_the_version_that_is_asked_for() -> None:
    lock = (
        "a==1 ; python_full_version < '3.13' \\\n  --hash=sha256:aa\n"
        "b==2 \\\n  --hash=sha256:bb \\\n  --hash=sha256:cc\n"
    )
    assert locked(lock, "3.12") == {"a==1": {"aa"}, "b==2": {"bb", "cc"}}
    assert locked(lock, "3.13") == {"b==2": {"bb", "cc"}}
