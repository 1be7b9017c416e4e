"""Errors of HTTP requests, whichever server they are sent to."""

from __future__ import annotations

from typing import Final

import aiohttp

UNANSWERED: Final = (aiohttp.ClientError, OSError)
"""Raised by a request without an answer; ``TimeoutError`` is an ``OSError``."""
