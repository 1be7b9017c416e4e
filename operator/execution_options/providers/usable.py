"""Checks that everything a channel refers to can be used, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from execution_options.api.transports import Authority, KeyRef
from execution_options.providers import services, webhook
from execution_options.providers.http import UnansweredError, tls
from execution_options.providers.material import MaterialError

if TYPE_CHECKING:
    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.providers.material import Material


def check(spec: NotificationChannelSpec, material: Material) -> None:
    """Check the references of a channel.

    Args:
        spec: spec of the channel.
        material: data of the Secrets and ConfigMaps that it refers to.

    Raises:
        MaterialError: a reference cannot be used.
    """
    _check(spec, material)
    if spec.webhook is not UNSET:
        webhook.headers(spec.webhook, material, "", 0, b"")
    if spec.http is not UNSET:
        services.of_http(spec.http, material, "")


def _check(part: Struct, material: Material) -> None:
    for name in part.__struct_fields__:
        value: Any = getattr(part, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Authority):
                try:
                    tls(material.authority(item))
                except UnansweredError as error:
                    raise MaterialError("InvalidAuthority", error.answer.text) from None
            elif isinstance(item, KeyRef):
                material.text(item)
            elif isinstance(item, Struct):
                _check(item, material)
