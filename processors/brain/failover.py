"""Several brains in order of preference: if one fails, the next decides.

All calls of the process avoid a failed brain for a while: minutes for a refused key, as long as the
vendor asks for a rate limit, seconds for anything else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

from loguru import logger

from conversation.frames import Usage
from processors.brain.contract import (
    Brain,
    BrainError,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
    WarmableBrain,
    events_of,
)

OnFailover = Callable[[str, str, str], None]
"""Called with the name of the failed brain, the name of its successor, and the reason."""


class BackoffRegistry:
    """Which brains to avoid, and until when; shared by all calls of a process.

    Parameters:
        temporary_secs: Back-off after a temporary fault, unless the vendor gives its own.
        permanent_secs: Back-off after a fault that no retry can mend, such as a refused key.
    """

    def __init__(self, *, temporary_secs: float = 5.0, permanent_secs: float = 600.0) -> None:
        self._temporary_secs = temporary_secs
        self._permanent_secs = permanent_secs
        self._until: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    def failed(self, brain: str, error: BrainError) -> None:
        """Note that a brain failed."""
        if error.permanent:
            secs = self._permanent_secs
        else:
            secs = error.retry_after_secs or self._temporary_secs
        self._until[brain] = time.monotonic() + secs
        self._reasons[brain] = str(error)

    def decided(self, brain: str) -> None:
        """Note that a brain decided a turn."""
        self._until.pop(brain, None)
        self._reasons.pop(brain, None)

    def reason(self, brain: str) -> str:
        """How the brain failed last; empty if it has decided a turn since."""
        return self._reasons.get(brain, "")

    def order(self, brains: Sequence[Brain]) -> list[Brain]:
        """The brains to ask, in order; if all are to be avoided, the soonest available first."""
        now = time.monotonic()
        ready = [brain for brain in brains if self._until.get(brain.name, now) <= now]
        return ready or sorted(brains, key=lambda brain: self._until[brain.name])


class FailoverBrain:
    """The brains of one call; the first that can decides. Each call has its own.

    If a brain fails before its first ``ToolStart``, the next takes over at once. One that fails
    later, or is aborted after ``stall_secs`` of silence, is skipped when the turn is tried again:
    no event is ever streamed twice.

    Parameters:
        brains: In order of preference, with distinct names.
        backoff: Which brains to avoid; shared by the calls of a process.
        stall_secs: A brain aborted after this long without a tool call counts as failed; must be
            below the timeout for the first token.
        on_failover: Called whenever another brain takes over.
    """

    def __init__(
        self,
        brains: Sequence[Brain],
        *,
        backoff: BackoffRegistry | None = None,
        stall_secs: float = 2.5,
        on_failover: OnFailover | None = None,
    ) -> None:
        names = [brain.name for brain in brains]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"brains are {names}; give at least one, each with a distinct name")
        self._brains = tuple(brains)
        self._backoff = backoff or BackoffRegistry()
        self._stall_secs = stall_secs
        self._on_failover = on_failover
        self._deciding = names[0]

    @property
    def name(self) -> str:
        """The name of the brain that was asked last; the first brain before any was."""
        return self._deciding

    async def warm(self) -> Usage:
        """Warm up the brain that will be asked first, if it supports that."""
        first = self._backoff.order(self._brains)[0]
        return await first.warm() if isinstance(first, WarmableBrain) else Usage()

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question, from the first brain that can.

        Raises:
            BrainError: A brain failed after its first event, or all failed; permanent only if the
                faults of all are.
        """
        errors: list[BrainError] = []
        spent = Usage()
        for brain in self._backoff.order(self._brains):
            self._take_over(brain.name)
            begun, used = False, Usage()
            asked = time.monotonic()
            try:
                async with aclosing(events_of(brain, question)) as events:
                    async for event in events:
                        if isinstance(event, UsageReport):
                            used = event.usage
                            yield UsageReport(spent + used, doubted=event.doubted)
                            continue
                        begun = begun or isinstance(event, ToolStart)
                        yield event
                if not begun:
                    raise BrainError(f"{brain.name} called no tool")
            except BrainError as error:
                self._backoff.failed(brain.name, error)
                if begun:
                    if not error.permanent and self._backoff.order(self._brains)[0] is not brain:
                        # The next attempt goes to another brain, so it need not wait.
                        raise BrainError(str(error)) from error
                    raise
                logger.warning("{}", error)
                errors.append(error)
                spent = spent + used
                continue
            except asyncio.CancelledError:
                waited = time.monotonic() - asked
                if not begun and waited >= self._stall_secs:
                    silence = BrainError(f"{brain.name} said nothing for {waited:.1f} s")
                    self._backoff.failed(brain.name, silence)
                raise
            self._backoff.decided(brain.name)
            return
        raise _all_failed(errors)

    def _take_over(self, brain: str) -> None:
        before, self._deciding = self._deciding, brain
        reason = self._backoff.reason(before)
        if brain != before and reason:
            logger.warning("{} takes over from {}: {}", brain, before, reason)
            if self._on_failover is not None:
                try:
                    self._on_failover(before, brain, reason)
                except Exception:
                    logger.exception("on_failover failed")


def _all_failed(errors: Sequence[BrainError]) -> BrainError:
    waits = [error.retry_after_secs for error in errors if not error.permanent]
    known = [wait for wait in waits if wait is not None]
    return BrainError(
        "; ".join(str(error) for error in errors),
        permanent=all(error.permanent for error in errors),
        retry_after_secs=min(known) if len(known) == len(waits) and known else None,
    )
