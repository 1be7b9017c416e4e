"""A certificate from a folder, for example a mounted Secret that cert-manager maintains."""

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
    """Serves the certificate in a folder, and each one that replaces it. The API server has to be made to trust it.

    Args:
        folder: has ``tls.crt`` (the certificate and the intermediate ones) and ``tls.key``, as PEM.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing happens before :meth:`run`."""
        self._folder = folder
        self._seen: tuple[bytes, bytes] | None = None
        self.ssl_context: ssl.SSLContext = server_context()
        """For the server. Handshakes fail until there is a certificate. Later ones are loaded into the same context."""
        self.expires: datetime | None = None
        """When the certificate that is served expires."""

    @property
    def usable(self) -> bool:
        """Whether a certificate is served that has not expired."""
        return self.expires is not None and self.expires > datetime.now(UTC)

    async def run(self) -> None:
        """Follow the folder until cancelled. Missing or mismatched files are read again after a while."""
        while True:
            self.reload()
            await asyncio.sleep(POLL_SECONDS)

    def reload(self) -> None:
        """Serve the certificate in the folder if it is new and usable."""
        try:
            content = (self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes()
            if content == self._seen:
                return
            self._load(*content)
        except (OSError, ValueError, TypeError) as error:
            # Files that are replaced one after the other do not match for a moment. The next pass reads them again.
            logger.warning("no usable certificate in %s: %s", self._folder, error)
            return
        self._seen = content
        logger.info("serving a certificate that is valid until %s", self.expires)

    def _load(self, chain: bytes, key: bytes) -> None:
        # Checked first: a context keeps half of a pair that does not match.
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
