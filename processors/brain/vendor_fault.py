"""Classifies a vendor's HTTP errors: whether to ask again, and when."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from processors.brain.contract import BrainError

_TEMPORARY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MOST_CHARS = 200  # of a vendor's own message, in the log
# Lasting errors inside a stream, by the vendor's name: its HTTP status is 200.
_LASTING_KINDS = frozenset(
    {
        "invalid_request_error", "authentication_error", "billing_error", "permission_error",
        "not_found_error", "request_too_large", "insufficient_quota", "invalid_api_key",
    }
)  # fmt: skip
OVERLOADED_SECS = 0.4
"""Back-off for an overloaded vendor that gives none itself."""


def of_status(
    brain: str,
    status: int,
    headers: Mapping[str, str],
    *,
    kind: str = "",
    message: str = "",
    lasting: bool = False,
) -> BrainError:
    """Describe the error of an HTTP response in a sentence without secrets.

    Parameters:
        brain: The brain's name.
        status: The HTTP status; for an error inside a stream, the stream's.
        headers: The response's headers.
        kind: The vendor's name for the error, such as ``"overloaded_error"``.
        message: The vendor's message. Omitted for a refused key, which it may quote.
        lasting: The error is known to last, whatever the status.
    """
    permanent = lasting or (400 <= status < 500 and status not in _TEMPORARY)
    permanent = permanent or (status < 400 and kind in _LASTING_KINDS)
    named = f" {kind}" if kind else ""
    answered = f"answered HTTP {status}" if status >= 400 else "ended its stream:"
    said = f": {message[:_MOST_CHARS]}" if message and status not in (401, 403) else ""
    refused = " (is the key right?)" if status in (401, 403) else ""
    wait = None if permanent else retry_after_secs(headers)
    if wait is None and (status == 529 or kind == "overloaded_error"):
        wait = OVERLOADED_SECS
    return BrainError(
        f"{brain} {answered}{named}{refused}{said}", permanent=permanent, retry_after_secs=wait
    )


def retry_after_secs(headers: Mapping[str, str]) -> float | None:
    """The wait that the vendor asks for: ``retry-after-ms``, or RFC 9110's ``Retry-After``."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        asked = headers.get("retry-after")
        if not asked:
            return None
        if asked.replace(".", "", 1).isdigit():
            return float(asked)
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
