"""The two cookies: the session's, and one that identifies a browser, signed in or not."""

from typing import Literal

from aiohttp import web

from accounts import secret
from accounts.network import is_https, is_loopback_host
from accounts.sign_in.links import KNOWN_SECS
from settings import Settings

Cookie = Literal["viva_session", "viva_browser"]

SESSION: Cookie = "viva_session"
BROWSER: Cookie = "viva_browser"

BROWSER_SECS = KNOWN_SECS
"""Lifetime of the browser cookie. It outlasts sessions, so that a browser that has signed in is
known by it, and gets its links whatever others ask for."""


def read_cookie(request: web.BaseRequest, settings: Settings, cookie: Cookie) -> str:
    """The secret in a request's cookie; empty if there is none in the right form."""
    value = request.cookies.get(_name(request, settings, cookie), "")
    return value if secret.is_secret(value) else ""


def set_cookie(
    response: web.StreamResponse,
    request: web.BaseRequest,
    settings: Settings,
    cookie: Cookie,
    value: str,
    *,
    secs: float,
) -> None:
    """Set a cookie for so many seconds, out of reach of scripts."""
    response.set_cookie(
        _name(request, settings, cookie),
        value,
        max_age=round(secs),
        path="/",
        secure=_secure(request, settings),
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(
    response: web.StreamResponse, request: web.BaseRequest, settings: Settings, cookie: Cookie
) -> None:
    """Delete a cookie."""
    set_cookie(response, request, settings, cookie, "", secs=0)


def _name(request: web.BaseRequest, settings: Settings, cookie: Cookie) -> str:
    """With the ``__Host-`` prefix over TLS, so that no other host or plain HTTP can set it."""
    return f"__Host-{cookie}" if _secure(request, settings) else cookie


def _secure(request: web.BaseRequest, settings: Settings) -> bool:
    """Whether cookies need TLS: everywhere except on loopback without it."""
    return is_https(request, settings) or not is_loopback_host(request.host)
