"""The CA bundle in webhook configurations: read, compared, and patched only if it differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from execution_options.api import decoding
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.encoding import JSON_PATCH
from execution_options.kube.listing import get_if_exists

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

_GROUP: Final = ("admissionregistration.k8s.io", "v1")


@dataclass(frozen=True)
class Target:
    """A webhook configuration whose webhooks are all ours.

    Attributes:
        name: Its name.
        plural: Its resource.
        required: Whether the webhook is not ready until it exists.
    """

    name: str
    plural: str = "mutatingwebhookconfigurations"
    required: bool = True

    @property
    def collection(self) -> str:
        """The path of its collection."""
        return path_of(*_GROUP, self.plural)

    @property
    def path(self) -> str:
        """Its own path."""
        return path_of(*_GROUP, self.plural, name=self.name)


class _Client(Struct, rename="camel"):
    ca_bundle: bytes = b""


class _Webhook(Struct, rename="camel"):
    name: str
    client_config: _Client = field(default_factory=_Client)


class _Metadata(Struct, rename="camel"):
    resource_version: str


class Configuration(Struct):
    """The fields of a webhook configuration that are needed."""

    metadata: _Metadata
    webhooks: list[_Webhook] = field(default_factory=list)

    @property
    def bundles(self) -> list[bytes]:
        """The CA bundle of every webhook."""
        return [webhook.client_config.ca_bundle for webhook in self.webhooks]


def patch_of(configuration: Configuration, bundle: bytes) -> list[dict[str, Any]]:
    """The JSON patch that gives every webhook a CA bundle; empty if all have it.

    The API server refuses the patch if the configuration has changed since it was read.

    Args:
        configuration: As it was read.
        bundle: CAs as PEM.
    """
    changes: list[dict[str, Any]] = [
        # "add" also replaces a bundle.
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
        for index, present in enumerate(configuration.bundles)
        if present != bundle
    ]
    if not changes:
        return []
    version = configuration.metadata.resource_version
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *changes]


async def read(kube: Kube, target: Target) -> Configuration | None:
    """Read a configuration.

    Returns:
        The configuration; ``None`` if it does not exist.

    Raises:
        ApiError: The API server refused.
        aiohttp.ClientError: There was no answer; or ``TimeoutError``.
    """
    answer = await get_if_exists(kube, target.path)
    return None if answer is None else decoding.read(answer, Configuration)


async def inject(kube: Kube, target: Target, configuration: Configuration, bundle: bytes) -> bool | None:
    """Give every webhook of a configuration the CA bundle.

    Args:
        kube: The connection.
        target: Names the configuration.
        configuration: As it was read.
        bundle: CAs as PEM.

    Returns:
        ``None`` if all webhooks have it, ``True`` if it was written, ``False`` if the configuration has changed since
        it was read.

    Raises:
        ApiError: The API server refused.
        aiohttp.ClientError: There was no answer; or ``TimeoutError``.
    """
    patch = patch_of(configuration, bundle)
    if not patch:
        return None
    try:
        await kube.patch(target.path, patch, JSON_PATCH)
    except ApiError as error:
        # A JSON patch whose test fails gets 422 Invalid, like an invalid patch.
        if error.status not in (404, 409, 422):
            raise
        current = await read(kube, target)
        if error.status == 422 and current is not None and current.metadata == configuration.metadata:
            raise
        return False
    return True
