"""The Secret through which the replicas agree. It is written by compare-and-swap only.

The service account of the replicas owns it, so that it is deleted with the installation.
"""

from __future__ import annotations

import base64
import binascii
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from execution_options.api import decoding
from execution_options.certificates.material import KEYS, Material, encode, parse
from execution_options.kube.account import own_account
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.listing import get_if_exists

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """The Secret as it was read.

    Attributes:
        material: Its usable content.
        problems: Why the rest is unusable. They quote nothing of it.
        secret: The whole object; ``None`` if it does not exist.
    """

    material: Material
    problems: tuple[str, ...] = ()
    secret: dict[str, Any] | None = field(default=None, repr=False)


class CertificateSecret:
    """One Secret in the operator's namespace.

    It may be created empty by somebody else, so that no replica needs the right to create Secrets. Its labels and other
    keys are left alone.
    """

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        """Name the Secret; nothing is read yet."""
        self._kube = kube
        self.namespace = namespace
        self.name = name
        self._adopted = False

    @property
    def collection(self) -> str:
        """The path of the namespace's Secrets."""
        return path_of("", "v1", "secrets", self.namespace)

    @property
    def path(self) -> str:
        """The Secret's path."""
        return path_of("", "v1", "secrets", self.namespace, self.name)

    async def read(self) -> Stored:
        """Read the Secret. The content is empty if it does not exist.

        Raises:
            ApiError: The API server refused.
            aiohttp.ClientError: There was no answer; or ``TimeoutError``.
        """
        body = await get_if_exists(self._kube, self.path)
        if body is None:
            return Stored(Material())
        secret: dict[str, Any] = decoding.read_object(body)
        data = {}
        for key, value in (secret.get("data") or {}).items():
            if key in KEYS:
                try:
                    data[key] = base64.b64decode(value)
                except (binascii.Error, TypeError):
                    data[key] = b"?"  # no API server returns this; it is unusable like other garbage
        material, problems = parse(data)
        return Stored(material, tuple(problems), secret)

    async def write(self, stored: Stored, material: Material) -> bool:
        """Write the Secret.

        Args:
            stored: As it was read.
            material: The new content.

        Returns:
            ``False`` if it has changed since it was read.

        Raises:
            ApiError: The API server refused.
            aiohttp.ClientError: There was no answer, so it may be written or not; or ``TimeoutError``.
        """
        data = {key: base64.b64encode(value).decode() for key, value in encode(material).items()}
        try:
            if stored.secret is None:
                metadata: dict[str, Any] = {"namespace": self.namespace, "name": self.name}
                owner = await own_account(self._kube, self.namespace)
                if owner is not None:
                    metadata["ownerReferences"] = [owner]
                body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
                await self._kube.create(self.collection, body)
            else:
                others = {key: value for key, value in (stored.secret.get("data") or {}).items() if key not in KEYS}
                # It has the resource version that was read: the API server refuses if that is not the current one.
                await self._kube.replace(self.path, stored.secret | {"data": others | data})
        except ApiError as error:
            if error.status == 409 or (error.status == 404 and stored.secret is not None):
                return False
            if error.status in (403, 404):
                raise
            # The message may quote the body.
            message = f"Secret {self.namespace}/{self.name} was not accepted"
            raise ApiError(error.status, error.reason, message) from None
        return True

    async def adopt(self, stored: Stored) -> bool | None:
        """Become the owner of a Secret that an earlier version, or an earlier installation, created.

        This is tried once. A Secret with labels, annotations or other keys was created by people and keeps its owner.

        Returns:
            ``True`` if it was written, ``False`` if it has changed since it was read, ``None`` if there is nothing to
            write or no right to.

        Raises:
            ApiError: The API server refused.
            aiohttp.ClientError: There was no answer; or ``TimeoutError``.
        """
        if self._adopted or stored.secret is None:
            return None
        metadata = stored.secret["metadata"]
        foreign = metadata.get("labels") or metadata.get("annotations") or set(stored.secret.get("data") or ()) - KEYS
        owner = None if foreign else await own_account(self._kube, self.namespace)
        if owner is None or metadata.get("ownerReferences") == [owner]:
            self._adopted = True
            return None
        try:
            await self._kube.replace(self.path, stored.secret | {"metadata": metadata | {"ownerReferences": [owner]}})
        except ApiError as error:
            if error.status in (404, 409):
                return False
            if error.status != 403:
                raise
            # Some clusters let only accounts that may delete change owners (OwnerReferencesPermissionEnforcement).
            logger.info("Secret %s/%s stays when this is uninstalled: %s", self.namespace, self.name, error.reason)
            self._adopted = True
            return None
        self._adopted = True
        return True
