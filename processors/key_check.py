"""Asks a vendor, before a call does, whether it accepts a key: one request, which costs nothing."""

from collections.abc import Mapping

import httpx2

TIMEOUT_SECS = 5.0
"""Time limit of the request; a vendor that is silent for so long gave no answer."""


def key_refusal(url: str, headers: Mapping[str, str], *, missing: str = "") -> str:
    """Send a GET request with a key. Blocks.

    Only 401 means that a key is refused: with 403, it may be for other requests than this one.

    Args:
        url: Something that any valid key may read.
        headers: They hold the key.
        missing: What it means if that is not there and the vendor says so in Anthropic's words; a
            status alone could be a proxy's.

    Returns:
        Why the key cannot be used, without a full stop; empty if it can, or if nobody answered.
    """
    try:
        response = httpx2.get(url, headers=dict(headers), timeout=TIMEOUT_SECS)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError):
        return ""
    if response.status_code == 401:
        return "it refuses the key (HTTP 401)"
    if missing and response.status_code == 404 and "not_found_error" in response.text[:1000]:
        return f"{missing} (HTTP 404)"
    return ""
