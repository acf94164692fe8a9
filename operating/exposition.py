"""Serves ``/metrics`` to Prometheus, with access control."""

import asyncio
import hmac
from ipaddress import ip_address

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import SecretStr

from operating.gauges import Gauges
from operating.supervisor.peer_metrics import PeerMetrics

_FORWARDED = (hdrs.X_FORWARDED_FOR, hdrs.FORWARDED, "X-Real-IP", hdrs.VIA)
"""Headers that a proxy adds."""

_NO_STORE = {hdrs.CACHE_CONTROL: "no-store"}


class Exposition:
    """``GET /metrics``: for clients on this machine, or with the token.

    Parameters:
        registry: The metrics.
        gauges: Gauges to read before each scrape.
        token: Grants access from anywhere; ``None``: local access only.
        peers: The server's other workers, whose metrics are included; ``None`` without any.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        gauges: Gauges | None = None,
        *,
        token: SecretStr | None = None,
        peers: PeerMetrics | None = None,
    ) -> None:
        self._registry = registry
        self._gauges = gauges
        self._token = token.get_secret_value().encode() if token else b""
        self._peers = peers

    def setup(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_get("/metrics", self._metrics)

    async def _metrics(self, request: web.Request) -> web.Response:
        inside = self._peers is not None and self._peers.is_peer(request)
        if not (inside or is_local(request) or self._has_token(request)):
            return self._refusal()
        if self._gauges is not None:
            await self._gauges.read()
        encode, kind = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        peers = None if inside else self._peers
        others = await peers.metrics() if peers else {}

        def write() -> bytes:
            registry = self._registry
            return encode(peers.merged(registry, others) if peers else registry)

        # Writing a thousand lines takes milliseconds, so it happens off the event loop.
        text = await asyncio.to_thread(write)
        return web.Response(body=text, headers={**_NO_STORE, hdrs.CONTENT_TYPE: kind})

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if not self._token or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(errors="surrogateescape"), self._token)

    def _refusal(self) -> web.Response:
        if not self._token:
            return web.Response(
                status=403,
                text="Metrics can be read on the server's own machine. Set METRICS_TOKEN to read "
                "them from elsewhere.\n",
                headers=_NO_STORE,
            )
        return web.Response(
            status=401,
            text="Send METRICS_TOKEN as Authorization: Bearer TOKEN.\n",
            headers={**_NO_STORE, hdrs.WWW_AUTHENTICATE: 'Bearer realm="metrics"'},
        )


def is_local(request: web.Request) -> bool:
    """Whether a request originates on this machine, rather than coming through a proxy.

    The ``Host`` must be a local name, too: a proxy that hides its client usually forwards the
    original name, as does a browser after a foreign page's DNS rebinding.
    """
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not peer or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        host = request.url.host or ""
    except ValueError:
        return False
    return _is_loopback(str(peer[0])) and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback
