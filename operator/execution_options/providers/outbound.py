"""Which addresses may be connected to, since whoever writes a channel chooses where the operator sends requests.

The address of the connection is checked, not the name: a moment later the name can resolve to another address.
Therefore sockets are opened only for addresses that were checked.
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

import aiohappyeyeballs
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import AsyncResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp.abc import ResolveResult

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

_NAT64: Final = ip_network("64:ff9b::/96")
_NOT_PUBLIC: Final = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))
"""Refused networks that ``ipaddress`` calls public: protocol assignments (RFC 6890), Azure's services for VMs."""


DELAY: Final = 0.25
"""Seconds to wait for one address of a host before the next is tried as well (RFC 8305, 8)."""


_INSIDE: Final = (
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".svc",
    ".home.arpa",
    ".in-addr.arpa",
    ".ip6.arpa",
)
"""Suffixes of names that only a cluster or a network knows (RFC 6761, 6762, 8375; cloud metadata, services)."""
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*")
_IPV4: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


class ForbiddenAddressError(OSError):
    """Nothing may be sent to this address. It is an ``OSError``, so that the next address of a name is tried."""


class Outbound:
    """Refuses addresses that are not on the public internet, unless they are allowed.

    It refuses loopback and link-local addresses (a node's own services, cloud metadata), private and shared ones (pods,
    services, a company's network), multicast and reserved ones. Nothing distinguishes the addresses of pods from that
    of a company's mail relay, so the relay must be allowed.

    Args:
        allowed: networks that may be connected to although they are not public.
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._names: tuple[asyncio.AbstractEventLoop, AbstractResolver] | None = None
        """The resolver for mail, with the event loop that it belongs to."""

    async def close(self) -> None:
        """Close the resolver."""
        if self._names is not None:
            await self._names[1].close()
            self._names = None

    def check(self, text: str) -> None:
        """Check an IP address.

        Raises:
            ForbiddenAddressError: it must not be connected to, or is not an IP address.
        """
        try:
            address = _effective(ip_address(text.partition("%")[0]))
        except ValueError:
            raise ForbiddenAddressError(f"{text} is not an IP address") from None
        if any(address in network for network in self._allowed):
            return
        special = address.is_multicast or address.is_reserved or any(address in network for network in _NOT_PUBLIC)
        if special or not address.is_global:
            raise ForbiddenAddressError(
                f"the address {address} is not public: the operator sends nothing there unless its "
                f"--allow-network contains it"
            )

    def check_name(self, host: str) -> None:
        """Check a host that is to be reached by a proxy.

        The proxy resolves the name, so only the name can be checked here. If it is an address, it is checked as one.
        Internal names are refused.

        Raises:
            ForbiddenAddressError: it must not be reached.
        """
        name = host.lower().rstrip(".")
        last = name.rpartition(".")[2]
        if ":" in name or _IPV4.fullmatch(name):
            self.check(name)
        elif "." not in name or name.endswith(_INSIDE) or _NUMBER.fullmatch(last):
            raise ForbiddenAddressError(
                f"the operator asks no proxy for {name}, which is not a public name; add it to NO_PROXY to connect "
                "directly"
            )

    def resolver(self) -> AbstractResolver:
        """A resolver that leaves out forbidden addresses. It uses no threads: a few slow names could occupy all."""
        return _Allowed(self.check, AsyncResolver())

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one result of ``getaddrinfo``, not yet connected.

        Raises:
            ForbiddenAddressError: the address must not be connected to.
        """
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first allowed address of a host that answers (RFC 8305).

        Args:
            host: name or address.
            port: TCP port.

        Raises:
            ForbiddenAddressError: no address is allowed.
            OSError: no address answers, or the host is unknown.
        """
        loop = asyncio.get_running_loop()
        if self._names is None or self._names[0] is not loop:
            self._names = (loop, self.resolver())
        found = await self._names[1].resolve(host, port, socket.AF_UNSPEC)
        allowed = [
            (
                one["family"],
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (one["host"], one["port"], *((0, 0) if one["family"] == socket.AF_INET6 else ())),
            )
            for one in found
        ]
        return await aiohappyeyeballs.start_connection(
            allowed, happy_eyeballs_delay=DELAY, socket_factory=self.open_socket
        )


class _Allowed(AbstractResolver):
    """Resolves names to allowed addresses.

    The real guard is :meth:`Outbound.open_socket`. This one only makes a name fail early if none of its addresses is
    allowed.
    """

    def __init__(self, check: Callable[[str], None], names: AbstractResolver) -> None:
        self._check = check
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        allowed, problem = [], OSError(f"{host} has no address")
        for one in await self._names.resolve(host, port, family):
            try:
                self._check(one["host"])
            except ForbiddenAddressError as error:
                problem = error
            else:
                allowed.append(one)
        if not allowed:
            raise problem
        return allowed

    async def close(self) -> None:
        await self._names.close()


def _effective(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address contains; any other address unchanged."""
    if not isinstance(address, IPv6Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and (address in _NAT64 or address.packed[:12] == bytes(12)):
        # ::1 and :: also have the old form ::a.b.c.d, but contain no IPv4 address.
        inner = IPv4Address(address.packed[12:]) if int(address) > 1 else None
    return address if inner is None else inner
