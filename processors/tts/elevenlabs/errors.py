"""Which of ElevenLabs' errors are permanent.

https://elevenlabs.io/docs/developers/resources/error-messages
"""

import json
from collections.abc import Mapping
from typing import Any

from pipecat.utils.errors import ErrorCategory

_CODES = {
    "invalid_api_key": ErrorCategory.AUTHENTICATION,
    "missing_api_key": ErrorCategory.AUTHENTICATION,
    "needs_authorization": ErrorCategory.AUTHENTICATION,
    "missing_permissions": ErrorCategory.AUTHORIZATION,
    "detected_unusual_activity": ErrorCategory.AUTHORIZATION,
    "quota_exceeded": ErrorCategory.QUOTA,
    "payment_required": ErrorCategory.QUOTA,
    "paid_plan_required": ErrorCategory.QUOTA,
    "voice_not_found": ErrorCategory.INVALID_REQUEST,
    "voice_id_does_not_exist": ErrorCategory.INVALID_REQUEST,
    "invalid_uid": ErrorCategory.INVALID_REQUEST,
    "model_not_found": ErrorCategory.INVALID_REQUEST,
    "model_id_does_not_exist": ErrorCategory.INVALID_REQUEST,
}

# A WebSocket's close reason has no code, only a message.
_PHRASES = {
    "api key": ErrorCategory.AUTHENTICATION,
    "quota": ErrorCategory.QUOTA,
    "voice with voice_id": ErrorCategory.INVALID_REQUEST,
    "model with model_id": ErrorCategory.INVALID_REQUEST,
    "unusual activity": ErrorCategory.AUTHORIZATION,
}

# "can_not_use_free_tier" and the like: what the account's plan does not include.
_NOT_IN_PLAN = "can_not_use_"


def category_of(code: str, message: str) -> ErrorCategory | None:
    """Return the category of a permanent error, ``None`` for a transient one.

    Args:
        code: The vendor's code, e.g. ``"quota_exceeded"``; empty if there is none.
        message: The vendor's message.
    """
    if category := _CODES.get(code):
        return category
    if code.startswith(_NOT_IN_PLAN):
        return ErrorCategory.QUOTA
    if code:
        return None
    said = message.casefold()
    return next((category for phrase, category in _PHRASES.items() if phrase in said), None)


def status_of(body: bytes | bytearray | str | Mapping[str, Any] | None) -> tuple[str, str]:
    """Return code and message of an error response, each empty if it has none.

    Args:
        body: The body, raw or parsed: ``{"detail": {"status": …, "message": …}}``.
    """
    try:
        parsed = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    except ValueError:
        return "", ""
    detail = parsed.get("detail") if isinstance(parsed, Mapping) else None
    if not isinstance(detail, Mapping):
        return "", ""
    return str(detail.get("status") or detail.get("code") or ""), str(detail.get("message") or "")
