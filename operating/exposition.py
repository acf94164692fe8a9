"""Where Prometheus reads the metrics, and who may."""

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
"""Headers by which a proxy says that it asks for somebody else."""

_NO_STORE = {hdrs.CACHE_CONTROL: "no-store"}


class Exposition:
    """``GET /metrics``: for whoever is on this machine, or has the token.

    Parameters:
        registry: The metrics.
        gauges: Those of them that are read first.
        token: Who has it may read from anywhere; ``None``: nobody may from elsewhere.
        peers: The server's other workers, whose metrics are told too; ``None`` without any.
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
        inside = self._peers is not None and self._peers.is_one(request)
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

        # Writing a thousand lines takes milliseconds, which the calls' loop is not to wait.
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
                text="Metrics are read on the server's own machine. Set METRICS_TOKEN to read them "
                "from elsewhere.\n",
                headers=_NO_STORE,
            )
        return web.Response(
            status=401,
            text="Send the server's METRICS_TOKEN: Authorization: Bearer TOKEN.\n",
            headers={**_NO_STORE, hdrs.WWW_AUTHENTICATE: 'Bearer realm="metrics"'},
        )


def is_local(request: web.Request) -> bool:
    """Whether a request was made on this machine for its own sake, and not passed on by a proxy.

    It must also have asked for this machine by a local name: a proxy that hides whom it asks for
    hands on the name it was asked by, and so does a browser that was led here by a foreign page.
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
