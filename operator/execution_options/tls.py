"""TLS of connections that this project opens: what their server's certificate is held to."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def client_context(*, cadata: str = "", cafile: Path | str | None = None) -> ssl.SSLContext:
    """A context that trusts these certificates (PEM) alone, or, without any, the well-known ones.

    Raises:
        ssl.SSLError: there are no certificates in them; or ``ValueError``.
        OSError: there is no such file.
    """
    return bearable(ssl.create_default_context(cadata=cadata or None, cafile=cafile))


def bearable(context: ssl.SSLContext) -> ssl.SSLContext:
    """Take from a context what Python 3.13 added to its defaults, and kubectl (Go's ``crypto/x509``) does not ask for.

    ``VERIFY_X509_STRICT`` refuses certificates without key identifiers, among others, as many authorities of companies
    and of older clusters issue them. They are verified as before.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
