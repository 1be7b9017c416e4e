"""The proxy of a request, from ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` as Go programs read them. Pure.

kubectl and the controllers of Kubernetes use golang.org/x/net/http/httpproxy. Python's own function knows neither CIDRs
nor ports, so the same settings would have another meaning here.
https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import idna

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": "80", "https": "443"}


class ProxyError(ValueError):
    """A proxy that cannot be used. The message has no part of its URL, which may hold a password."""


class _Exception(NamedTuple):
    """A part of NO_PROXY: a network, or a domain, perhaps with a port."""

    network: IPv4Network | IPv6Network | None = None
    domain: str = ""
    """It begins with a dot."""
    alone: bool = False
    """Whether the domain itself is meant, too, and not only those below it."""
    port: str = ""


class Proxies:
    """Proxies by the scheme of a request.

    Args:
        http: URL of the proxy for http, or its host and port; empty for none.
        https: URL of the proxy for https, or its host and port; empty for none.
        no: hosts that are reached directly, separated by commas: names (with all names below them), ``.name`` (only
            those below it), addresses and CIDRs; all but CIDRs may have a port. ``*`` stands for everything.
    """

    def __init__(self, http: str = "", https: str = "", no: str = "") -> None:
        self._of = {"http": http, "https": https}
        parts = [part.strip().lower() for part in no.split(",")]
        self._all = "*" in parts
        self._exceptions = [found for part in parts if (found := _exception(part)) is not None]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxies:
        """The proxies of an environment; variables in capitals take precedence over those in lower case."""

        def value(name: str) -> str:
            return environment.get(name) or environment.get(name.lower(), "")

        return cls(value("HTTP_PROXY"), value("HTTPS_PROXY"), value("NO_PROXY"))

    def for_url(self, url: str) -> str | None:
        """URL of the proxy for a request to ``url``; ``None`` if it is sent directly.

        Raises:
            ProxyError: the proxy cannot be used.
        """
        target = urlsplit(url)
        proxy = self._of.get(target.scheme, "")
        port = str(target.port or _PORTS.get(target.scheme, ""))
        if not proxy or self._is_direct(target.hostname or "", port):
            return None
        return _usable(proxy, f"{target.scheme.upper()}_PROXY")

    def _is_direct(self, host: str, port: str) -> bool:
        address = _address(host)
        if host == "localhost" or self._all or (address is not None and address.is_loopback):
            return True
        return any(_matches(one, _ascii(host), address, port) for one in self._exceptions)


def of_api_server(environment: Mapping[str, str], server: str, named: str | None) -> str | None:
    """The proxy to an API server, found as kubectl does.

    Args:
        environment: environment of the process.
        server: URL of the API server.
        named: ``proxy-url`` of the kubeconfig; it takes precedence over the environment, and is used for loopback, too.

    Raises:
        ProxyError: it cannot be used.
    """
    return _usable(named, "proxy-url") if named else Proxies.of(environment).for_url(server)


def _usable(proxy: str, where: str) -> str:
    """The URL of a proxy; as in Go, its scheme may be missing.

    Args:
        proxy: the value as it was written.
        where: where it was written, for the message.

    Raises:
        ProxyError: there is no host in it, or it has a scheme that is not known here.
    """
    whole = proxy if "://" in proxy else f"http://{proxy}"
    try:
        url = urlsplit(whole)
        known, _ = url.scheme in _PORTS and url.hostname, url.port
    except ValueError:
        known = None
    if not known or any(sign.isspace() for sign in whole):
        raise ProxyError(f"{where} is not the URL of a proxy that is known here: http://host:port or https://host:port")
    return whole


def _matches(one: _Exception, host: str, address: IPv4Address | IPv6Address | None, port: str) -> bool:
    if one.port not in ("", port):
        return False
    if one.network is not None:
        return address is not None and address in one.network
    return host.endswith(one.domain) or (one.alone and host == one.domain[1:])


def _exception(part: str) -> _Exception | None:
    """A part of NO_PROXY; ``None`` if Go ignores it."""
    network = _cidr(part)
    if network is not None:
        return _Exception(network)
    host, port = _split(part)
    address = _address(host)
    if address is not None:
        return _Exception(_whole(address), port=port)
    host = host.removeprefix("*") if host.startswith("*.") else host
    if not host:
        return None
    alone = not host.startswith(".")
    return _Exception(domain=f".{_ascii(host)}" if alone else f".{_ascii(host[1:])}", alone=alone, port=port)


def _split(part: str) -> tuple[str, str]:
    """Split host and port as Go's ``net.SplitHostPort`` does; if that fails, the whole text is the host."""
    if part.startswith("["):
        host, bracket, rest = part[1:].partition("]")
        fine = bool(bracket) and rest.startswith(":") and rest.count(":") == 1 and not set(host + rest) & set("[]")
        return (host, rest[1:]) if fine else (part, "")
    host, _, port = part.partition(":")
    return (host, port) if part.count(":") == 1 and not set(part) & set("[]") else (part, "")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address without a zone; an IPv4 address in IPv6 form becomes an IPv4 address."""
    try:
        address = None if "%" in text else ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _cidr(text: str) -> IPv4Network | IPv6Network | None:
    written, slash, digits = text.partition("/")
    if not slash or "%" in written or not (digits.isascii() and digits.isdecimal()):
        return None
    try:
        address, length = ip_address(written), int(digits)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and length >= 96:
            address, length = address.ipv4_mapped, length - 96
        made = IPv4Network if isinstance(address, IPv4Address) else IPv6Network
        return made((int(address), length), strict=False)
    except ValueError:
        return None


def _whole(address: IPv4Address | IPv6Address) -> IPv4Network | IPv6Network:
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def _ascii(name: str) -> str:
    """A name in punycode; unchanged if it has none."""
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name
