"""The CA bundle in webhook configurations: read, compared, and patched only where it differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from execution_options.api import decoding
from execution_options.kube.client import JSON_PATCH, ApiError, get_if_exists, path_of

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

_GROUP: Final = ("admissionregistration.k8s.io", "v1")


@dataclass(frozen=True)
class Target:
    """A webhook configuration whose webhooks are all ours.

    Attributes:
        name: Its name.
        plural: Its resource.
        required: Whether the webhook is not ready while it does not exist.
    """

    name: str
    plural: str = "mutatingwebhookconfigurations"
    required: bool = True

    @property
    def collection(self) -> str:
        """The path of all of its kind."""
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
    """A webhook configuration as far as it matters here."""

    metadata: _Metadata
    webhooks: list[_Webhook] = field(default_factory=list)

    @property
    def bundles(self) -> list[bytes]:
        """The CA bundle of every webhook."""
        return [webhook.client_config.ca_bundle for webhook in self.webhooks]


def patch_of(configuration: Configuration, bundle: bytes) -> list[dict[str, Any]]:
    """The JSON patch that puts ``bundle`` into every webhook; empty if it is there.

    It fails where the configuration is no longer the one that was read.
    """
    changes: list[dict[str, Any]] = [
        # Adding replaces what is there; it works whether or not there is a bundle yet.
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
        for index, present in enumerate(configuration.bundles)
        if present != bundle
    ]
    if not changes:
        return []
    version = configuration.metadata.resource_version
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, *changes]


async def read(kube: Kube, target: Target) -> Configuration | None:
    """The configuration as it is now, or ``None`` if it does not exist.

    Raises:
        ApiError: The API server refused.
        aiohttp.ClientError: There was no answer; or ``TimeoutError``.
    """
    answer = await get_if_exists(kube, target.path)
    return None if answer is None else decoding.read(answer, Configuration)


async def inject(kube: Kube, target: Target, configuration: Configuration, bundle: bytes) -> bool | None:
    """Give every webhook of ``configuration`` the bundle.

    Returns:
        ``None`` if it has it, whether it was written if not: ``False`` if someone changed the configuration since it
        was read.

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
        # A failed test of a JSON patch is 422 Invalid, as is a patch that the API server finds wrong in itself.
        if error.status not in (404, 409, 422):
            raise
        current = await read(kube, target)
        if error.status == 422 and current is not None and current.metadata == configuration.metadata:
            raise
        return False
    return True
