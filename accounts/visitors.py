"""Visitors of other sites that embed the page: they call without signing in, by their network.

A browser sends no cookie of Viva's from within another site, so the embedded page carries a pass:
for a day and one network, signed, and stored nowhere.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

from accounts import secret
from accounts.network import HOST, client_network
from conversation.records import CallerIdentity
from settings import Settings, SettingsError

PASS_SECS = 86_400.0
"""How long a pass is valid."""

FIELD = "visitor"
"""The query field that carries a pass, since a browser sends no header with a WebSocket."""


_KEY = "visitor "


def is_visitor(key: str) -> bool:
    """Whether a caller's key is that of a visitor."""
    return key.startswith(_KEY)


def embedding_origins(settings: Settings) -> tuple[str, ...]:
    """The origins of ``EMBED_ORIGINS``.

    Raises:
        SettingsError: An entry is not an origin.
    """
    found = []
    for part in filter(None, (part.strip() for part in settings.embed_origins.split(","))):
        try:
            parts = urlsplit(part.lower())
            plain = f"{parts.scheme}://{parts.hostname or ''}" + (
                f":{parts.port}" if parts.port else ""
            )
        except ValueError:
            plain = ""
        known = HOST.fullmatch(plain.partition("://")[2]) and parts.scheme in ("http", "https")
        if plain != part.lower().rstrip("/") or not known:
            raise SettingsError(
                f"EMBED_ORIGINS: {part!r} is not the origin of a site; write it as "
                "https://example.com, without a path, and several separated by commas."
            )
        found.append(plain)
    return tuple(found)


class Visitors:
    """Issues passes and recognises them.

    Parameters:
        settings: The settings.
        key: The secret that passes are signed with, shared by all processes.
        clock: Returns Unix seconds; the system clock by default.
    """

    def __init__(
        self, settings: Settings, key: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        self._settings = settings
        self._key = hmac.new(key.encode(), b"visitors", hashlib.sha256).digest()
        self._clock = clock or time.time
        self._welcome = bool(embedding_origins(settings))

    def issue(self, request: web.BaseRequest) -> str:
        """Return a pass for the browser that makes a request."""
        until = str(round(self._clock() + PASS_SECS))
        return f"{until}.{self._signature(until, client_network(request, self._settings))}"

    def identify(self, request: web.BaseRequest) -> CallerIdentity | None:
        """The visitor whose pass a request carries; ``None`` without a valid one."""
        until, _, signature = request.query.get(FIELD, "").partition(".")
        if not (self._welcome and until.isascii() and until.isdigit() and len(until) <= 12):
            return None
        network = client_network(request, self._settings)
        expected = self._signature(until, network)
        if not secret.constant_time_equal(signature, expected) or int(until) < self._clock():
            return None
        return CallerIdentity(key=_KEY + network)

    def returning(self, request: web.BaseRequest) -> CallerIdentity | None:
        """The visitor who comes back to a call, perhaps from another network than the pass is for.

        That the call is theirs, its token proves.
        """
        carries = self._welcome and FIELD in request.query
        return (
            CallerIdentity(key=_KEY + client_network(request, self._settings)) if carries else None
        )

    def _signature(self, until: str, network: str) -> str:
        return hmac.new(self._key, f"{until} {network}".encode(), hashlib.sha256).hexdigest()
