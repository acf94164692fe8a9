"""Security headers, added to every response."""

from aiohttp import web

from accounts.network import HOST, is_https, is_loopback_host, root_path
from settings import Settings

HSTS_SECS = 365 * 86400
"""How long a browser that came by TLS insists on it."""

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
    """Add the security headers to every response; headers that a handler has set win.

    Where a handler leads to a path of this server, it is the path that the browser knows it by. A
    signal rather than a middleware, because errors, files and streams need them too.
    """

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        if response.status == 101:  # a WebSocket upgrade has no content
            return
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", _content_policy(request))
        if response.headers.get("Location", "").startswith("/"):
            root = root_path(request, settings)
            response.headers["Location"] = root + response.headers["Location"]
        if is_https(request, settings) and not is_loopback_host(request.host):
            response.headers["Strict-Transport-Security"] = f"max-age={HSTS_SECS}"

    app.on_response_prepare.append(add)


def _content_policy(request: web.Request) -> str:
    """Allow this server's own resources only, and no inline scripts or styles.

    Not every browser counts a WebSocket to the page's host as ``'self'``, so it is named.
    """
    host = request.host
    named = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return _CONTENT.format(connect=f"'self'{named}")
