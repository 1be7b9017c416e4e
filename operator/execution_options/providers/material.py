"""Data of the Secrets and ConfigMaps that a channel refers to, read again for every attempt."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from msgspec import UNSET, Struct

from execution_options.api.transports import Authority, KeyRef, NameRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.channel import NotificationChannelSpec

MASK: Final = "***"
SHORTEST: Final = 4
"""Fewest characters that are masked. Anything shorter is no secret, and masking it would make texts unreadable."""


class Reference(NamedTuple):
    """A reference to a Secret or ConfigMap of the channel's namespace."""

    kind: Literal["Secret", "ConfigMap"]
    name: str


class MaterialError(Exception):
    """A reference leads to nothing usable. The message contains none of the data.

    Attributes:
        reason: one word for programs: SecretMissing, SecretKeyMissing, SecretForbidden, SecretInvalid.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def references(spec: NotificationChannelSpec) -> tuple[Reference, ...]:
    """All Secrets and ConfigMaps that a channel refers to, each once."""
    return tuple(dict.fromkeys(_references(spec)))


def _references(part: Struct) -> Iterator[Reference]:
    for name in part.__struct_fields__:
        value: Any = getattr(part, name)
        if value is UNSET:
            continue
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, KeyRef | NameRef):
                yield Reference("ConfigMap" if name == "config_map_ref" else "Secret", item.name)
            elif isinstance(item, Struct):
                yield from _references(item)


class Material:
    """Data of the Secrets and ConfigMaps that a channel refers to.

    Args:
        data: data of each object by key, decoded from base64.
    """

    def __init__(self, data: Mapping[Reference, Mapping[str, bytes]]) -> None:
        self._data = data

    def fingerprint(self) -> int:
        """A hash that changes with the data. It is valid only within this process and reveals nothing."""
        return hash(tuple(sorted((at, tuple(sorted(data.items()))) for at, data in self._data.items())))

    def text(self, ref: KeyRef, kind: Literal["Secret", "ConfigMap"] = "Secret") -> str:
        """The value of a key, without the line break that editors leave at its end.

        Args:
            ref: name of the object, and the key.
            kind: kind of the object.

        Raises:
            MaterialError: there is no such key, or its value is empty or not text.
        """
        data = self._data.get(Reference(kind, ref.name), {})
        if ref.key not in data:
            raise MaterialError("SecretKeyMissing", f"{kind} {ref.name} has no key {ref.key}")
        return _text(data[ref.key], kind, ref.name, ref.key)

    def headers(self, ref: NameRef) -> dict[str, str]:
        """Every key of a Secret with its value.

        Raises:
            MaterialError: a value is empty or not text.
        """
        data = self._data.get(Reference("Secret", ref.name), {})
        return {key: _text(value, "Secret", ref.name, key) for key, value in data.items()}

    def authority(self, ca: Authority) -> str:
        """The certificates (PEM) of an authority.

        Raises:
            MaterialError: the reference cannot be used.
        """
        if ca.config_map_ref is not UNSET:
            return self.text(ca.config_map_ref, "ConfigMap")
        if ca.secret_ref is not UNSET:
            return self.text(ca.secret_ref)
        raise MaterialError("SecretMissing", "neither configMapRef nor secretRef is given")

    def masked(self, text: str) -> str:
        """The text with every secret masked, in any form in which a service may repeat it."""
        for value in self._secrets():
            text = text.replace(value, MASK)
        return text

    def _secrets(self) -> list[str]:
        """Values of all Secrets in every form, longest first, so that masking leaves no part of any."""
        values = {
            value.decode(errors="replace").strip()
            for (kind, _), data in self._data.items()
            if kind == "Secret"
            for value in data.values()
        }
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        return sorted(forms, key=len, reverse=True)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield base64.b64encode(value.encode()).decode()
    yield quote(value, safe="")
    yield json.dumps(value)[1:-1]
    yield value.removeprefix("whsec_")
    if "://" in value:
        url = urlsplit(value)
        yield url.path + (f"?{url.query}" if url.query else "")
        yield from (*url.path.split("/"), *url.query.split("&"))


def _text(value: bytes, kind: str, name: str, key: str) -> str:
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        raise MaterialError("SecretInvalid", f"key {key} of {kind} {name} is not text") from None
    if not text:
        raise MaterialError("SecretInvalid", f"key {key} of {kind} {name} is empty")
    return text
