"""Refuses calls while a vendor fails every one of them."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from conversation.records import CallRecord, TurnRecord
from operating.stage import OTHER, error_counts, failed_vendor

MOST_FAILURES = 3
"""Calls that one vendor may fail, one after another, before it counts as failing."""

TRIAL_SECS = 60.0
"""Interval at which a call is let through meanwhile, to find out whether the vendor works."""

MAX_CALLS = 1024
"""Limit on calls tracked; beyond it, the oldest is forgotten."""

_NAMES = {"stt": "Speech recognition", "brain": "The brain", "tts": "The voice"}

Cause = tuple[str, str]
"""A stage, and the name of its vendor."""


@dataclass(slots=True)
class _Call:
    """What is known of an open call.

    Parameters:
        answered: Whether a turn of it was decided, and not for want of a brain.
        unanswered: Whether the brain failed in a turn of it.
        cause: Whose errors came last.
    """

    answered: bool = False
    unanswered: bool = False
    cause: Cause | None = None


class Breaker:
    """Counts calls that failed one after another for the same cause.

    Implements :class:`conversation.records.CallListener`.

    A call fails by a recogniser or a voice if it ends with ``fault``, and by a brain if that failed
    in each of its turns. After :data:`MOST_FAILURES` such calls the vendor counts as failing, until
    a call is answered. Without a recogniser or a voice no call can be held, so further ones are
    refused; one in :data:`TRIAL_SECS` is let through. Without a brain, calls are held, since each
    question goes to a person.

    Parameters:
        clock: Returns seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._failed: tuple[Cause | None, int] = (None, 0)
        self._trial_at = 0.0

    @property
    def failing(self) -> Cause | None:
        """The stage and vendor that fail each call, if one does."""
        cause, count = self._failed
        return cause if count >= MOST_FAILURES else None

    @property
    def refuses(self) -> bool:
        """Whether a further call is refused now."""
        return bool(self.trouble)

    @property
    def trouble(self) -> str:
        """Why a call would be refused now, as text; empty if it would not.

        A balancer that asks for it sends a call again when one is to be let through; otherwise none
        would ever show that the vendor works.
        """
        if self.failing is None or self.failing[0] == "brain" or self._clock() >= self._trial_at:
            return ""
        return (
            f"{_told(self.failing)} failed {self._failed[1]} calls one after another; one call in "
            f"{TRIAL_SECS:.0f} s is let through, until one is answered."
        )

    # CallListener.

    def begun(self, call: CallRecord) -> None:
        """Called when a call begins; while calls are refused, it is the one that is let through."""
        self._calls[call.id] = _Call()
        self._trial_at = self._clock() + TRIAL_SECS
        if len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)

    def turn(self, record: TurnRecord) -> None:
        """Note whether a turn was answered, or whose errors it had."""
        call = self._calls.get(record.call)
        if call is None:
            return
        for stage in error_counts(record):
            if stage in _NAMES:
                call.cause = (stage, failed_vendor(record, stage))
        if record.decision == "escalate" and record.reason == "fault":
            call.unanswered = True
        elif record.decision is not None:
            call.answered = True

    def ended(self, call: CallRecord) -> None:
        """Count a call that has failed, or one that shows that the vendors work."""
        known = self._calls.pop(call.id, None)
        if known is None:
            return
        before = self.failing
        failed = call.why == "fault" or (known.unanswered and not known.answered)
        if failed and known.cause is not None and OTHER not in known.cause:
            cause, count = self._failed
            self._failed = (known.cause, count + 1 if cause == known.cause else 1)
        elif known.answered and not failed:
            self._failed = (None, 0)
        if self.failing is not None and before is None:
            self._trial_at = self._clock() + TRIAL_SECS
            logger.error(
                "{} failed {} calls one after another", _told(self.failing), self._failed[1]
            )
        elif before is not None and self.failing is None:
            logger.info("{} works again", _told(before))


def _told(cause: Cause) -> str:
    stage, vendor = cause
    return f"{_NAMES[stage]} ({vendor})"
