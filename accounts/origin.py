"""Which sites' pages may open a socket here."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

from accounts.network import is_https
from settings import Settings


def allowed_origin(request: web.BaseRequest, settings: Settings, extra: Iterable[str] = ()) -> bool:
    """Whether a request's ``Origin`` is Viva's own, or one that is allowed besides.

    A page of another site must not hold calls here in its visitors' names, and browsers let it
    open sockets anywhere. A request without an ``Origin`` is not allowed: browsers always send one.

    Args:
        request: The request for a socket.
        settings: The settings.
        extra: Other origins, such as ``https://example.com``; ``*`` for any.
    """
    origin = request.headers.get("Origin", "").lower()
    if not origin:
        return False
    others = {other.strip().lower().rstrip("/") for other in extra}
    if "*" in others or origin in others:
        return True
    scheme, _, host = origin.partition("://")
    public = urlsplit(settings.public_url.lower())
    if (scheme, host) == (public.scheme, public.netloc):
        return True
    schemes = ("https",) if is_https(request, settings) else ("https", "http")
    return host == request.host.lower() and scheme in schemes
