"""Asks a vendor, before a call does, whether it is there and accepts a key; at a token's cost."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECS = 5.0
"""Time limit of the request; a vendor that is silent for so long gave no answer."""


class UnreachableError(Exception):
    """Nobody answered, which says nothing about the key; the message says what happened."""

    @classmethod
    def at(cls, url: str, error: BaseException) -> "UnreachableError":
        """Describe an attempt to reach an address.

        Args:
            url: The address; only its scheme, host and port are told.
            error: What the attempt ended with.
        """
        if fault := url_fault(url):
            return cls(f"its address is no server's URL: {fault}")
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        return cls(f"nobody answers at {where} ({_what_happened(error)})")


SCHEMES = ("https", "http", "wss", "ws")
"""How the URL of a vendor's server may begin."""


def url_fault(url: str) -> str:
    """Why an address is not the URL of a server, without a full stop; empty if it is one.

    Args:
        url: The address; it is not quoted, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        if parts.port == 0:
            return "there is no port 0"
    except UnicodeError:
        return "a part of its host name is empty or too long"
    except ValueError as error:
        return str(error).replace("Port", "the port is", 1)
    if any(character.isspace() for character in url.strip()):
        return "it has a blank in it"
    if parts.scheme not in SCHEMES:
        return f"it must begin with {', '.join(f'{scheme}://' for scheme in SCHEMES[:-1])} or ws://"
    return "" if parts.hostname else "it names no host"


def _what_happened(error: BaseException) -> str:
    import httpx2

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError | httpx2.TimeoutException):
            return f"no answer within {TIMEOUT_SECS:g} s"
        if isinstance(seen, ConnectionRefusedError):
            return "connection refused"
        if isinstance(seen, socket.gaierror):
            return "unknown host name"
        if isinstance(seen, ssl.SSLError):
            return f"no secure connection: {seen.reason or seen}"
        seen = seen.__cause__ or seen.__context__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def check_reachable(url: str) -> None:
    """Open a connection to an address, and close it. Blocks.

    Args:
        url: The address; without a port, its scheme's.

    Raises:
        UnreachableError: Nobody answered.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (80 if parts.scheme in ("http", "ws") else 443)
        socket.create_connection((parts.hostname or "", port), TIMEOUT_SECS).close()
    except (OSError, ValueError) as error:
        raise UnreachableError.at(url, error) from None


def key_refusal(
    url: str,
    headers: Mapping[str, str],
    *,
    setting: str = "",
    missing: str = "",
    otherwise: tuple[str, Mapping[str, Any]] | None = None,
) -> str:
    """Send a GET request with a key. Blocks.

    Only 401 means that a key is refused: with 403, it may be for other requests than this one.

    Args:
        url: Something that any valid key may read.
        headers: They hold the key; without any, whether one is wanted is asked.
        setting: The setting that holds the key, for the reason.
        missing: What it means if that is not there and the vendor says so in Anthropic's words; a
            status alone could be a proxy's.
        otherwise: An address and the JSON to post to it where the server has no such page (404 or
            405); silence then says nothing of the key.

    Returns:
        Why the key cannot be used, without a full stop; empty if it can.

    Raises:
        UnreachableError: Nobody answered.
    """
    import httpx2  # here, since the vendors are chosen by commands that ask none

    try:
        response = httpx2.get(url, headers=dict(headers), timeout=TIMEOUT_SECS)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise UnreachableError.at(url, error) from None
    status = response.status_code
    if otherwise is not None and status in (404, 405):
        with suppress(httpx2.HTTPError):
            posted = httpx2.post(
                otherwise[0], headers=dict(headers), json=otherwise[1], timeout=TIMEOUT_SECS
            )
            status = posted.status_code
    if status == 401:
        where = setting.upper()
        if not headers:
            return "it wants a key (HTTP 401)" + (f"; set {where}" if where else "")
        return "it refuses the key" + (f" in {where}" if where else "") + " (HTTP 401)"
    if missing and status == 404 and "not_found_error" in response.text[:1000]:
        return f"{missing} (HTTP 404)"
    return ""
