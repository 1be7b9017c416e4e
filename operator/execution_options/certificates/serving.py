"""A TLS server's context whose certificate is replaced while it serves."""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.certificates.authority import Pair


def server_context() -> ssl.SSLContext:
    """A context for a server, without a certificate yet: every handshake fails until :func:`load`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load(context: ssl.SSLContext, pair: Pair) -> None:
    """Serve ``pair`` in every handshake that begins after this.

    Connections that are open, and handshakes that have begun, keep the certificate they have: OpenSSL copies it into
    each connection. Call it on the event loop's thread, where no handshake can begin between certificate and key.
    """
    load_pem(context, pair.key_pem + pair.certificate_pem)


def load_pem(context: ssl.SSLContext, content: bytes) -> None:
    """The same of PEM: a private key and the chain of its certificate.

    Raises:
        ssl.SSLError: they do not belong together, and ``context`` may be left with half of them.
    """
    with _file(content) as path:
        context.load_cert_chain(path)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path from which ``content`` can be read meanwhile, by nobody else, and in memory where that is possible."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        # Has no name in any file system, so nothing stays behind even if the process is killed now.
        descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(content)
        file.flush()
        yield file.name
