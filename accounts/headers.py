"""The headers that keep a page to itself: every response has them."""

from aiohttp import web

from accounts.network import HOST, is_https, is_loopback_host
from settings import Settings

HSTS_SECS = 365 * 86400
"""How long a browser that was here by TLS comes by nothing else."""

HEADERS = {
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

_CONTENT = (
    "default-src 'self'; connect-src {connect}; img-src 'self' data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def setup(app: web.Application, settings: Settings) -> None:
    """Have every response carry the headers; what a handler has set itself stands.

    Refusals, files and streams have them too, which no middleware would see.
    """

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        if response.status == 101:  # a socket has no content
            return
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", _content_policy(request))
        if is_https(request, settings) and not is_loopback_host(request.host):
            response.headers["Strict-Transport-Security"] = f"max-age={HSTS_SECS}"

    app.on_response_prepare.append(add)


def _content_policy(request: web.Request) -> str:
    """Nothing but this server's own, and no script or style that stands in a page itself.

    Not every browser takes a socket to the page's own host for ``'self'``, so it is named.
    """
    host = request.host
    named = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return _CONTENT.format(connect=f"'self'{named}")
