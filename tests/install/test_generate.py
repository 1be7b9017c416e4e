"""What is generated is what its sources give, and the command that writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from execution_options.install import generate
from execution_options.install.chart import values_table

ROOT = Path(__file__).parents[2]


def test_the_generated_files_are_what_their_sources_give() -> None:
    assert generate.differing(ROOT) == []


def test_generate_writes_what_differs_and_check_only_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check", str(tmp_path)]) == 1
    assert "docs/reference.md is not what its source gives; run `make manifests`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

    assert generate.main([str(tmp_path)]) == 0
    assert generate.main(["--check", str(tmp_path)]) == 0
    assert (tmp_path / "crds/executionoptions.yaml").read_bytes() == (ROOT / "crds/executionoptions.yaml").read_bytes()


def test_generate_is_a_command() -> None:
    command = [sys.executable, "-m", "execution_options.install.generate", "--check", str(ROOT)]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_table_has_values_with_their_defaults_and_the_words_before_them() -> None:
    values = "a:\n  # -- First\n  # and more.\n  b: [1]\n# -- Whole.\nc: {d: x}\n"
    assert values_table(values).splitlines()[2:] == [
        "| `a.b` | `[1]` | First and more. |",
        '| `c` | `{"d": "x"}` | Whole. |',
    ]


@pytest.mark.parametrize("values", ["a: 1\n", "a:\n  # plain\n  b: 1\n", "# -- Of another.\n\na: 1\n", "a: {}\n"])
def test_a_value_without_a_description_is_an_error(values: str) -> None:
    with pytest.raises(ValueError, match="does not say what a"):
        values_table(values)
