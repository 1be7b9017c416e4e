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
    """Create a context for a server. It has no certificate: every handshake fails until :func:`load`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load(context: ssl.SSLContext, pair: Pair) -> None:
    """Use a certificate in every handshake that begins from now on.

    Open connections, and handshakes that have begun, keep their certificate: OpenSSL copies it into each connection.
    Call this in the event loop's thread, where no handshake can begin between certificate and key.

    Args:
        context: Of the server.
        pair: The certificate and its key.
    """
    load_pem(context, pair.key_pem + pair.certificate_pem)


def load_pem(context: ssl.SSLContext, content: bytes) -> None:
    """Use a certificate in every handshake that begins from now on, like :func:`load`.

    Args:
        context: Of the server.
        content: A private key and the chain of its certificate, as PEM.

    Raises:
        ssl.SSLError: Key and certificate do not match. The context may have one of them.
    """
    with _file(content) as path:
        context.load_cert_chain(path)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path from which only this process can read ``content``. It is in memory if the system supports that."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        # It has no name in a file system, so nothing is left even if the process is killed now.
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
