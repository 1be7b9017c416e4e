"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from execution_options import Options
from execution_options.api.resources import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_its_manifest_is_valid() -> None:
    (manifest,) = blocks("yaml")
    assert load(yaml.safe_load(manifest)).name == "nightly"


def test_its_python_example_prints_a_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    printed = yaml.safe_load(capsys.readouterr().out)
    assert Options.from_manifest(printed) == Options.default_from(
        k8s_service_account="trainer", raw_data_prefix="s3://models/nightly"
    )


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_every_file_it_links_to_is_there(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_make_target_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
