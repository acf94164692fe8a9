"""A vendor's service as pipecat has it: an error that will not pass is reported as a lasting one.

pipecat judges an error by the exception that comes with it. Many of its services report a refused
key as mere text, or by an event, or let an exception out that is put down to nobody; each of those
counts as passing, the service stays in use, and the caller hears nothing.
"""

import re
from typing import Any

from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory, classify_http_status_code, extract_http_status_code

_STATUS = re.compile(
    r"(?:\bHTTP(?:/\d(?:\.\d)?)?|\bstatus|\bcode)\W{0,3}(4\d\d)\b"
    r"|\b(4\d\d)(?:, message=| Client Error\b| Unauthorized\b| Forbidden\b)",
    re.IGNORECASE,
)
_PASSING = frozenset({408, 409, 425, 429})
"""Refusals of the moment: asking again may help."""


def refusal_in(error: ErrorFrame) -> int | None:
    """The status, 400 to 499, with which a vendor refuses for good; ``None`` if it does not say so.

    Args:
        error: What its service reports.
    """
    cause: BaseException | None = error.exception
    while cause is not None:
        status = extract_http_status_code(cause)
        if status is not None:
            return status if 400 <= status < 500 and status not in _PASSING else None
        cause = cause.__cause__ or cause.__context__
    found = _STATUS.search(error.error)
    status = int(found[1] or found[2]) if found else 0
    return status if status and status not in _PASSING else None


class StockService(FrameProcessor):
    """Goes in front of a service of pipecat's, by inheritance.

    An error makes the service unusable (``is_usable``) if it will not pass, however the service
    reports it: by an ``ErrorFrame``, an exception, or its event ``on_connection_error``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_event_handler("on_connection_error", self._on_connection_error)

    def will_last(self, error: ErrorFrame) -> bool:
        """Whether an error will not pass."""
        return refusal_in(error) is not None

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Report an error, as a lasting one if it will not pass."""
        if (status := refusal_in(error)) is not None and error.category in (
            None,
            ErrorCategory.UNKNOWN,
        ):
            error.category = classify_http_status_code(status)
        lasting = force_treat_as_permanent or self.will_last(error)
        await super().push_error_frame(error, force_treat_as_permanent=lasting)

    async def _on_connection_error(self, _service: FrameProcessor, error: object) -> None:
        """Report what the service tells by its event alone."""
        told = ErrorFrame(str(error))
        if self.is_usable and self.will_last(told):
            await self.push_error_frame(told)
