"""What the references of a channel stand for: Secrets and ConfigMaps, read anew for every attempt."""

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
"""Characters of what is masked; less would make every text unreadable, and is no secret."""


class Reference(NamedTuple):
    """A Secret or ConfigMap of the channel's namespace."""

    kind: Literal["Secret", "ConfigMap"]
    name: str


class MaterialError(Exception):
    """A reference leads to nothing that can be used; the message holds no part of what it leads to.

    Attributes:
        reason: one word for programs: SecretMissing, SecretKeyMissing, SecretForbidden, SecretInvalid.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def references(spec: NotificationChannelSpec) -> tuple[Reference, ...]:
    """What the channel refers to, each once."""
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
    """The data of what a channel refers to.

    Args:
        data: of each object, decoded from base64.
    """

    def __init__(self, data: Mapping[Reference, Mapping[str, bytes]]) -> None:
        self._data = data

    def fingerprint(self) -> int:
        """Tells one state of the data from another, within this process alone; says nothing of the data."""
        return hash(tuple(sorted((at, tuple(sorted(data.items()))) for at, data in self._data.items())))

    def text(self, ref: KeyRef, kind: Literal["Secret", "ConfigMap"] = "Secret") -> str:
        """What a key holds, without the line break that editors leave at its end.

        Raises:
            MaterialError: there is no such key, or it is empty or no text.
        """
        data = self._data.get(Reference(kind, ref.name), {})
        if ref.key not in data:
            raise MaterialError("SecretKeyMissing", f"{kind} {ref.name} has no key {ref.key}")
        return _text(data[ref.key], kind, ref.name, ref.key)

    def headers(self, ref: NameRef) -> dict[str, str]:
        """Every key of a Secret with its value."""
        data = self._data.get(Reference("Secret", ref.name), {})
        return {key: _text(value, "Secret", ref.name, key) for key, value in data.items()}

    def authority(self, ca: Authority) -> str:
        """The certificates (PEM) of an authority."""
        if ca.config_map_ref is not UNSET:
            return self.text(ca.config_map_ref, "ConfigMap")
        if ca.secret_ref is not UNSET:
            return self.text(ca.secret_ref)
        raise MaterialError("SecretMissing", "neither configMapRef nor secretRef is given")

    def masked(self, text: str) -> str:
        """The text without any part that is a secret, however a service may write it."""
        for value in self._secrets():
            text = text.replace(value, MASK)
        return text

    def _secrets(self) -> list[str]:
        """Values of all Secrets in every form, longest first, so that no part of one is left."""
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
        raise MaterialError("SecretInvalid", f"key {key} of {kind} {name} is no text") from None
    if not text:
        raise MaterialError("SecretInvalid", f"key {key} of {kind} {name} is empty")
    return text
