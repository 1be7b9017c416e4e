"""What the README promises of Python, tried: the lock holds for each version, and unit tests pass on the newest here.

::

    PYTHONPATH=tests .venv/bin/python -m support.pythons 3.11 3.12 3.13 3.14
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
_PROBE = "import ensurepip, ssl, venv, sys; print('%d.%d' % sys.version_info[:2])"


def locked(lock: str, version: str) -> dict[str, set[str]]:
    """What ``lock`` has for a version of Python: requirements without markers, and the hashes (SHA-256) of each.

    pip evaluates markers for the Python that runs it, whatever ``--python-version`` says.
    """
    lines = lock.replace("\\\n", " ").splitlines()
    environment = {"python_version": version, "python_full_version": f"{version}.0"}
    found: dict[str, set[str]] = {}
    for line in filter(None, map(str.strip, lines)):
        requirement = Requirement(line.split(" --hash")[0])
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found[f"{requirement.name}{requirement.specifier}"] = set(re.findall(r"--hash=sha256:(\S+)", line))
    return found


def resolves(lock: Path, version: str) -> None:
    """Have pip choose the wheels of ``lock`` for a version of Python.

    Raises:
        SystemExit: there are none, or their hashes are not in the lock.
    """
    wanted = locked(lock.read_text(), version)
    with tempfile.TemporaryDirectory() as folder:
        requirements, report = Path(folder, "requirements.txt"), Path(folder, "report.json")
        requirements.write_text("\n".join(wanted))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        command += ["--only-binary=:all:", f"--python-version={version}", f"--target={folder}"]
        command += [f"--requirement={requirements}", f"--report={report}"]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"{lock.name} cannot be installed on Python {version}")
        chosen = json.loads(report.read_text())["install"]
    hashes = set().union(*wanted.values())
    strange = [
        each["metadata"]["name"]
        for each in chosen
        if each["download_info"]["archive_info"]["hashes"]["sha256"] not in hashes
    ]
    if strange or len(chosen) != len(wanted):
        sys.exit(f"{lock.name}, Python {version}: the lock does not have what is installed: {strange}")
    print(f"{lock.name}: {len(chosen)} packages for Python {version}", flush=True)


def interpreter(version: str) -> Path | None:
    """A Python of this version that can make virtual environments."""
    on_path = shutil.which(f"python{version}")
    found = [] if on_path is None else [Path(on_path)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    found += sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    for path in found:
        said = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return path
    return None


def main(versions: list[str]) -> None:
    """Try all of it.

    Raises:
        SystemExit: something does not hold.
    """
    for version in versions:
        resolves(ROOT / "requirements-dev.lock", version)  # the others are parts of it
    here = {version: path for version in versions if (path := interpreter(version))}
    missing = [version for version in versions if version not in here]
    print(f"Not on this machine, so that nothing ran there: Python {', '.join(missing) or '(none)'}", flush=True)
    running = "{}.{}".format(*sys.version_info)
    newest = list(here)[-1] if here else running
    if newest == running:
        print(f"The newest Python here is the one that other tests run on: {newest}")
        return
    print(f"Unit tests on Python {newest} ({here[newest]})", flush=True)
    make = [os.environ.get("MAKE", "make"), f"VENV=build/python{newest}", f"PYTHON={here[newest]}", "unit"]
    sys.exit(subprocess.run(make, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
