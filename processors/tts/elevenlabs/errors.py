"""Which of ElevenLabs' errors are permanent.

https://elevenlabs.io/docs/eleven-api/resources/errors
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    "insufficient_credits": ErrorCategory.QUOTA,
    "voice_not_found": ErrorCategory.INVALID_REQUEST,
    "voice_id_does_not_exist": ErrorCategory.INVALID_REQUEST,
    "invalid_uid": ErrorCategory.INVALID_REQUEST,
    "invalid_voice_id": ErrorCategory.INVALID_REQUEST,
    "invalid_voice_settings": ErrorCategory.INVALID_REQUEST,
    "invalid_output_format": ErrorCategory.INVALID_REQUEST,
    "model_not_found": ErrorCategory.INVALID_REQUEST,
    "model_id_does_not_exist": ErrorCategory.INVALID_REQUEST,
    "unsupported_model": ErrorCategory.INVALID_REQUEST,
}

# The documented types of refusals that asking again does not change, whatever their code. A
# validation error may be of one text only, and the others pass: rate_limit_error (429: too many
# requests, concurrent_limit_exceeded, system_busy), conflict, internal_error, service_unavailable.
_TYPES = {
    "authentication_error": ErrorCategory.AUTHENTICATION,
    "authorization_error": ErrorCategory.AUTHORIZATION,
    "payment_required": ErrorCategory.QUOTA,
    "not_found": ErrorCategory.INVALID_REQUEST,
}

PASSING_STATUSES = frozenset({408, 409, 425, 429})
"""The statuses from 400 to 499 that may pass."""

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the body of a refused request says; what it does not say is empty.

    Parameters:
        code: The vendor's code, e.g. ``"quota_exceeded"``.
        message: The vendor's sentence.
        type: The class of the code, e.g. ``"payment_required"``.
    """

    code: str = ""
    message: str = ""
    type: str = ""

    @property
    def category(self) -> ErrorCategory | None:
        """What it means, ``None`` if it may pass."""
        return _TYPES.get(self.type) or category_of(self.code, self.message)


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


def refusal_of(body: bytes | bytearray | str | Mapping[str, Any] | None) -> Refusal:
    """What a refused request's body says.

    Args:
        body: As it came, or parsed: ``{"detail": {"type": …, "code": …, "message": …}}``, or,
            older, ``status`` alone in the place of the code.
    """
    try:
        parsed = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    except ValueError:
        return Refusal()
    detail = parsed.get("detail") if isinstance(parsed, Mapping) else None
    if not isinstance(detail, Mapping):
        return Refusal()
    code = detail.get("code") or detail.get("status")
    told = (code, detail.get("message"), detail.get("type"))
    return Refusal(*(str(part or "") for part in told))
