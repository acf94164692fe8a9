"""Where requests come from: addresses, networks, and what a proxy in front says of them."""

import re
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from aiohttp import web

from settings import Settings, SettingsError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = IPv4Address("0.0.0.0")
"""Whoever cannot be told; it is on no network that is trusted, and not on this machine."""

IPV4_PREFIX = 24
IPV6_PREFIX = 56
"""What one customer of a provider gets, in bits; requests are counted by it."""

FORWARDING = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
"""Headers by which a proxy shows that a request is not its own."""

HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.-]+))(?::\d+)?", re.IGNORECASE | re.ASCII
)
"""A host as a browser names it, with its port where that is not its scheme's."""


@lru_cache(maxsize=8)
def trusted_networks(text: str) -> tuple[Network, ...]:
    """The networks of ``TRUSTED_PROXIES``.

    Raises:
        SettingsError: One of them is no network.
    """
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ip_network(part, strict=False))
        except ValueError:
            raise SettingsError(
                f"TRUSTED_PROXIES: {part!r} is no network; write addresses or networks such as "
                "127.0.0.1, 10.0.0.0/8 with commas between them."
            ) from None
    return tuple(networks)


def client_address(request: web.BaseRequest, settings: Settings) -> Address:
    """The address that a request comes from.

    ``X-Forwarded-For`` is read from its end, as far as it was written by proxies that are trusted.
    """
    address = _peer(request)
    trusted = trusted_networks(settings.trusted_proxies)
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
        if not _within(address, trusted):
            break
        address = _address(hop)
    return address


def client_network(request: web.BaseRequest, settings: Settings) -> str:
    """The network that a request comes from: IPv4 by /24, IPv6 by /56."""
    address = client_address(request, settings)
    if isinstance(address, IPv4Address):
        return str(IPv4Network((int(address), IPV4_PREFIX), strict=False))
    return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))


def from_loopback(request: web.BaseRequest, settings: Settings) -> bool:
    """Whether a request was made on this machine, and not handed on by a proxy on it."""
    if not client_address(request, settings).is_loopback:
        return False
    if _within(_peer(request), trusted_networks(settings.trusted_proxies)):
        return True
    return not any(name in request.headers for name in FORWARDING)


def is_https(request: web.BaseRequest, settings: Settings) -> bool:
    """Whether the caller's browser speaks TLS: with this server, or with whoever is before it."""
    if request.scheme == "https":
        return True
    if _within(_peer(request), trusted_networks(settings.trusted_proxies)):
        said = ",".join(request.headers.getall("X-Forwarded-Proto", [])).rpartition(",")[2]
        if said:
            return said.strip().lower() == "https"
    public = urlsplit(settings.public_url)
    return public.scheme == "https" and public.netloc.lower() == request.host.lower()


def is_loopback_host(host: str) -> bool:
    """Whether a host, with or without its port, is this machine as seen by itself."""
    found = HOST.fullmatch(host)
    name = (found["ipv6"] or found["name"]).lower().removesuffix(".") if found else host
    if found and (name == "localhost" or name.endswith(".localhost")):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _peer(request: web.BaseRequest) -> Address:
    return _address(request.remote or "")


def _address(text: str) -> Address:
    """An address, perhaps with a port, as proxies write it."""
    with_port = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", text)
    try:
        address = ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return UNKNOWN
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
