"""TLS of outgoing connections: how the certificates of servers are verified."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def client_context(*, cadata: str = "", cafile: Path | str | None = None) -> ssl.SSLContext:
    """A context that trusts only these certificates (PEM), or the well-known authorities if there are none.

    Args:
        cadata: certificates.
        cafile: file with certificates.

    Raises:
        ssl.SSLError: they contain no certificate; or ``ValueError``.
        OSError: there is no such file.
    """
    return bearable(ssl.create_default_context(cadata=cadata or None, cafile=cafile))


def bearable(context: ssl.SSLContext) -> ssl.SSLContext:
    """Remove from a context the strictness that Python 3.13 added and kubectl (Go's ``crypto/x509``) does not have.

    ``VERIFY_X509_STRICT`` refuses, for example, certificates without key identifiers, which many company authorities
    and older clusters issue. Everything else is verified as before.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
