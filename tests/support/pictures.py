"""Makes the pictures of docs/notifications.md with Chromium: ``PYTHONPATH=tests python -m support.pictures``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from execution_options.notifications.render import render
from support.notices import CAUSED, due

DOCS = Path(__file__).parents[2] / "docs"
LINK = "https://argo.example.com/workflows/{{ namespace }}/{{ name }}"
SIZE = "700,860"


def picture(page: Path, target: Path, *, dark: bool) -> None:
    """Take a picture of a page.

    Args:
        page: the HTML document.
        target: the PNG file.
        dark: whether the reader prefers dark colours.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no chromium: apt-get install chromium")
    # Pictures need no rights; Chromium's own sandbox needs some that containers do not give.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run([chromium, *options, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True)
    if quantise := shutil.which("pngquant"):
        subprocess.run([quantise, "--force", "--output", str(target), "32", str(target)], check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "mail.html"
        document.write_text(render(CAUSED, due("email"), "team/key", LINK).html)
        picture(document, DOCS / "notification-mail.png", dark=False)
        picture(document, DOCS / "notification-mail-dark.png", dark=True)
