"""A certificate that somebody else makes and puts into a folder, such as a Secret of cert-manager's that is mounted."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from execution_options.certificates.authority import is_expired
from execution_options.certificates.serving import load_pem, server_context

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

logger = logging.getLogger(__name__)

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
POLL_SECONDS: Final = 5.0


class CertificateFolder:
    """Serves the certificate of a folder, and the next one when it is there; whoever makes it has to have it trusted.

    Args:
        folder: with ``tls.crt`` (the certificate and those between it and its authority) and ``tls.key``, as PEM.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing happens before :meth:`run`."""
        self._folder = folder
        self._seen: tuple[bytes, bytes] | None = None
        self.ssl_context: ssl.SSLContext = server_context()
        """For the server. Handshakes fail until there is a certificate; later ones are put into the same context."""
        self.expires: datetime | None = None
        """When the certificate that is served expires."""

    @property
    def usable(self) -> bool:
        """Whether a certificate is served that has not expired."""
        return self.expires is not None and self.expires > datetime.now(UTC)

    async def run(self) -> None:
        """Follow the folder until cancelled; what is missing or does not fit is waited for."""
        while True:
            self.look()
            await asyncio.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Serve what the folder holds now, where that is new and usable."""
        try:
            content = (self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes()
            if content == self._seen:
                return
            self._load(*content)
        except (OSError, ValueError, TypeError) as error:
            # Files that are exchanged one after the other do not fit for a moment: the next look tells.
            logger.warning("no usable certificate in %s: %s", self._folder, error)
            return
        self._seen = content
        logger.info("serving a certificate that is valid until %s", self.expires)

    def _load(self, chain: bytes, key: bytes) -> None:
        # Checked first: a context that is given a wrong pair keeps half of it.
        certificate = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(key, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise TypeError(f"{KEY} is neither an ECDSA nor an RSA key")
        if private.public_key() != certificate.public_key():
            raise ValueError(f"{KEY} does not belong to {CERTIFICATE}")
        if is_expired(certificate, datetime.now(UTC)):
            raise ValueError(f"{CERTIFICATE} expired at {certificate.not_valid_after_utc}")
        load_pem(self.ssl_context, key + chain)
        self.expires = certificate.not_valid_after_utc
