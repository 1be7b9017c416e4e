"""Which addresses may be connected to: whoever writes a channel chooses where the operator sends requests.

What counts is the address that a connection is really made to, not the name: a name can stand for another
address a moment later. So sockets are only made for addresses that were checked.
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
_KEPT: Final = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))
"""What ``ipaddress`` takes for public: protocol assignments (RFC 6890), and Azure's services for its machines."""


DELAY: Final = 0.25
"""Seconds until the next address of a host is tried while one does not answer (RFC 8305, 8)."""


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
"""Ends of names that only a cluster or a network itself knows (RFC 6761, 6762, 8375; cloud metadata, services)."""
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*")
_IPV4: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


class ForbiddenAddressError(OSError):
    """An address that nothing is sent to; an ``OSError``, so that the next address of a name is tried."""


class Outbound:
    """Refuses what is not on the public internet, unless it is allowed.

    Loopback and link-local addresses (a node's own services, cloud metadata), private and shared ones (pods,
    services, a company's network), multicast and reserved ones are refused. Inside of a cluster nobody can tell
    the addresses of pods from those of a company's mail relay, so that the latter must be allowed.

    Args:
        allowed: networks that may be connected to although they are not public.
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._names: tuple[asyncio.AbstractEventLoop, AbstractResolver] | None = None
        """For mail; a resolver belongs to one event loop."""

    async def close(self) -> None:
        """Give up looking up names."""
        if self._names is not None:
            await self._names[1].close()
            self._names = None

    def check(self, text: str) -> None:
        """Nothing, where an address may be connected to.

        Raises:
            ForbiddenAddressError: it may not, or is no address.
        """
        try:
            address = _effective(ip_address(text.partition("%")[0]))
        except ValueError:
            raise ForbiddenAddressError(f"{text} is no IP address") from None
        if any(address in network for network in self._allowed):
            return
        kept = address.is_multicast or address.is_reserved or any(address in network for network in _KEPT)
        if kept or not address.is_global:
            raise ForbiddenAddressError(
                f"the address {address} is not public: the operator sends nothing there unless its "
                f"--allow-network has it"
            )

    def check_name(self, host: str) -> None:
        """Nothing, where a proxy may be asked for a host.

        The proxy, and not we, looks up its address; so what counts is the name. One that is an address must be one that
        may be connected to, and names that only stand for something inside are refused.

        Raises:
            ForbiddenAddressError: it may not.
        """
        name = host.lower().rstrip(".")
        last = name.rpartition(".")[2]
        if ":" in name or _IPV4.fullmatch(name):
            self.check(name)
        elif "." not in name or name.endswith(_INSIDE) or _NUMBER.fullmatch(last):
            raise ForbiddenAddressError(
                f"the operator asks no proxy for {name}, which is no name of the public internet; NO_PROXY makes it go "
                "there directly"
            )

    def resolver(self) -> AbstractResolver:
        """Looks up names without threads, of which some slow names would hold all, and leaves out what is forbidden."""
        return _Allowed(self.check, AsyncResolver())

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one result of ``getaddrinfo``, not yet connected.

        Raises:
            ForbiddenAddressError: nothing may be sent there.
        """
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connection to the address of a host that may be connected to and answers first (RFC 8305).

        Raises:
            ForbiddenAddressError: none may be connected to.
            OSError: none answers, or the host is not known.
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
    """Addresses of names that may be connected to.

    The socket is what is guarded; here it is only told at once that no address of a name is allowed.
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
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if not isinstance(address, IPv6Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and (address in _NAT64 or address.packed[:12] == bytes(12)):
        # ::1 and :: are of the old form ::a.b.c.d, too, and stand for themselves.
        inner = IPv4Address(address.packed[12:]) if int(address) > 1 else None
    return address if inner is None else inner
