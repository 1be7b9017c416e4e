"""Channels and messages for tests, and providers that may connect to servers on loopback."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.validation import typed
from execution_options.notifications.message import Message
from execution_options.providers.factory import Providers
from execution_options.providers.material import Material, Reference
from execution_options.providers.outbound import Outbound
from execution_options.providers.parcel import Parcel
from support.serving import Certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LOOPBACK = Outbound([ip_network("127.0.0.0/8"), ip_network("::1/128")])
SECONDS = 1.5
"""Time-out of one request to a server that hangs."""


def channel(**spec: Any) -> NotificationChannelSpec:
    """A channel that the API server would accept."""
    return typed(spec, CHANNEL_KIND, NotificationChannelSpec)


def material(**secrets: dict[str, str]) -> Material:
    """Material with these Secrets by name; ``ca`` is a ConfigMap."""
    data = {
        Reference("ConfigMap" if name == "ca" else "Secret", name): {
            key: value.encode() for key, value in values.items()
        }
        for name, values in secrets.items()
    }
    return Material(data)


def parcel(*recipients: str, payload: Any = None, html: str = "<p>train failed</p>", resolve: Any = None) -> Parcel:
    """A message for some recipients."""
    text = "" if payload is None else msgspec.json.encode(payload).decode()
    after = "" if resolve is None else msgspec.json.encode(resolve).decode()
    message = Message(type="email", subject="train failed", text="train failed", html=html, payload=text, resolve=after)
    return Parcel(key="team/train-1-0123", message=message, recipients=recipients)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest_asyncio.fixture
async def providers() -> AsyncIterator[Providers]:
    made = Providers(LOOPBACK)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def impatient() -> AsyncIterator[Providers]:
    """Providers with a short time-out, for servers that never answer."""
    made = Providers(LOOPBACK, SECONDS)
    yield made
    await made.close()
