"""Checks the ``Origin`` of WebSocket requests."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

from accounts.network import is_https
from settings import Settings


def allowed_origin(request: web.BaseRequest, settings: Settings, extra: Iterable[str] = ()) -> bool:
    """Whether a request's ``Origin`` is Viva's own, or an allowed one.

    Browsers let any page open a WebSocket anywhere, so a page of another site could make calls
    in its visitors' names. A request without an ``Origin`` is refused: browsers always send one.

    Args:
        request: The WebSocket request.
        settings: The settings.
        extra: Further allowed origins, such as ``https://example.com``; ``*`` allows any.
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
