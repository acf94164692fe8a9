"""An adapter for pipecat's services that reports permanent errors as permanent.

pipecat classifies an error by its exception. Many of its services report a refused key as plain
text, by an event, or by an exception that is not attributed to them. pipecat takes all of these for
transient, so the service stays in use and the caller hears nothing.
"""

import re
from typing import Any

from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory, classify_http_status_code, extract_http_status_code

_STATUS = re.compile(
    r"\b(?:HTTP(?:/\d(?:\.\d)?)?|status|code|error|answered|returned|replied|responded|received|got"
    r"|with)\W{0,3}(4\d\d)\b(?!\W?\s?(?:m?s|milliseconds|seconds|bytes|samples|frames|k?Hz)\b)"
    r"|\b(4\d\d)(?:, message=| Client Error\b| Unauthorized\b| Forbidden\b)",
    re.IGNORECASE,
)
_TRANSIENT_STATUSES = frozenset({408, 409, 425, 429})
"""Refusals after which a retry may succeed."""


def permanent_refusal(error: ErrorFrame) -> int | None:
    """Return the HTTP status, 400 to 499, of a vendor's permanent refusal; ``None`` if it has none.

    Args:
        error: The service's error. The status is looked for in its exceptions, then in its text.
    """
    cause: BaseException | None = error.exception
    while cause is not None:
        status = extract_http_status_code(cause)
        if status is not None:
            return status if 400 <= status < 500 and status not in _TRANSIENT_STATUSES else None
        cause = cause.__cause__ or cause.__context__
    found = _STATUS.search(error.error)
    status = int(found[1] or found[2]) if found else 0
    return status if status and status not in _TRANSIENT_STATUSES else None


class StockService(FrameProcessor):
    """A base to put before a pipecat service's class, as in ``class Mine(StockService, Theirs)``.

    A permanent error makes the service unusable (``is_usable``), however the service reports it:
    by an ``ErrorFrame``, an exception, or its event ``on_connection_error``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_event_handler("on_connection_error", self._on_connection_error)

    def is_permanent(self, error: ErrorFrame) -> bool:
        """Whether a retry cannot succeed after an error."""
        return permanent_refusal(error) is not None

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Report an error, as permanent if it is."""
        if (status := permanent_refusal(error)) is not None and error.category in (
            None,
            ErrorCategory.UNKNOWN,
        ):
            error.category = classify_http_status_code(status)
        permanent = force_treat_as_permanent or self.is_permanent(error)
        await super().push_error_frame(error, force_treat_as_permanent=permanent)

    async def _on_connection_error(self, _service: FrameProcessor, error: object) -> None:
        """Report a permanent error of which the service only emits an event."""
        frame = ErrorFrame(str(error))
        if self.is_usable and self.is_permanent(frame):
            await self.push_error_frame(frame)
