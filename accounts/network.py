"""Client addresses and networks, and the headers of proxies in front of the server."""

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
"""Stands for an address that cannot be determined; neither trusted nor loopback."""

IPV4_PREFIX = 24
IPV6_PREFIX = 64
"""Prefix length of a network; rate limits count by it."""

IPV6_SITE_PREFIX = 48
"""Prefix length of the most that a provider assigns to one customer, who has 65,536 networks."""

FORWARDING = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
"""Headers that reveal a proxy."""

HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.-]+))(?::\d+)?", re.IGNORECASE | re.ASCII
)
"""A ``Host`` header: a name or an address, with an optional port."""


@lru_cache(maxsize=8)
def trusted_networks(text: str) -> tuple[Network, ...]:
    """The networks of ``TRUSTED_PROXIES``.

    Raises:
        SettingsError: An entry is not a network.
    """
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ip_network(part, strict=False))
        except ValueError:
            raise SettingsError(
                f"TRUSTED_PROXIES: {part!r} is not a network; write addresses or networks such as "
                "127.0.0.1, 10.0.0.0/8, separated by commas."
            ) from None
    return tuple(networks)


def client_address(request: web.BaseRequest, settings: Settings) -> Address:
    """The address of the client.

    Reads ``X-Forwarded-For`` from its end, for as long as the entries come from trusted proxies.
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
    """The network of the client: a /24 for IPv4, a /64 for IPv6."""
    return _network(client_address(request, settings))


def _network(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(IPv4Network((int(address), IPV4_PREFIX), strict=False))
    return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))


def site(network: str) -> str:
    """The site that a network of :func:`client_network` belongs to: its /48 for IPv6."""
    found = ip_network(network)
    if isinstance(found, IPv6Network) and found.prefixlen > IPV6_SITE_PREFIX:
        found = found.supernet(new_prefix=IPV6_SITE_PREFIX)
    return str(found)


def listening_address(request: web.BaseRequest) -> str:
    """The address that a request came to, such as ``http://127.0.0.1:7860``; empty if unknown.

    It is the socket's: the ``Host`` header is the client's to choose, and another port of this
    machine may be somebody else's.
    """
    name = request.transport and request.transport.get_extra_info("sockname")
    if not isinstance(name, tuple):  # no connection any more, or none by TCP
        return ""
    host, port = name[:2]
    return f"{request.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def limited_network(peer: str, settings: Settings) -> str | None:
    """The network that a connection's peer counts to; ``None`` for a trusted proxy, or no address.

    Args:
        peer: The peer's address; empty for a socket of this machine that has none.
        settings: Names the trusted proxies.
    """
    address = _address(peer)
    if address == UNKNOWN or _within(address, trusted_networks(settings.trusted_proxies)):
        return None
    return site(_network(address))


def from_loopback(request: web.BaseRequest, settings: Settings) -> bool:
    """Whether a request originates on this machine, and was not forwarded by a proxy on it."""
    if not client_address(request, settings).is_loopback:
        return False
    if _within(_peer(request), trusted_networks(settings.trusted_proxies)):
        return True
    return not any(name in request.headers for name in FORWARDING)


def is_https(request: web.BaseRequest, settings: Settings) -> bool:
    """Whether the client's browser uses TLS, to this server or to a proxy in front of it."""
    if request.scheme == "https":
        return True
    if _within(_peer(request), trusted_networks(settings.trusted_proxies)):
        said = ",".join(request.headers.getall("X-Forwarded-Proto", [])).rpartition(",")[2]
        if said:
            return said.strip().lower() == "https"
    public = urlsplit(settings.public_url)
    return public.scheme == "https" and public.netloc.lower() == request.host.lower()


def root_path(request: web.BaseRequest, settings: Settings) -> str:
    """The path below which a browser finds this server's pages, such as ``/viva``; empty for none.

    It is that of ``PUBLIC_URL``, which a proxy takes off, unless the browser came without one.
    """
    public = urlsplit(settings.public_url)
    return public.path.rstrip("/") if public.netloc.lower() == request.host.lower() else ""


def is_loopback_host(host: str) -> bool:
    """Whether a host, with or without a port, is a loopback name or address."""
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
    """Parse an address, perhaps with a port, as proxies write it."""
    with_port = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", text)
    try:
        address = ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return UNKNOWN
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
