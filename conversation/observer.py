"""Observes everything that happens in a call, from its stages to its page.

A call has one, :attr:`conversation.turns.Conversation.observer`, and the chain, the brain and the
page report to it. A recorder is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipecat.frames.frames import Frame

from conversation.frames import Exchange
from conversation.records import CallListener, CallRecord, TurnRecord


class CallObserver(CallListener, Protocol):
    """Receives the events of a call as they happen; must not block or raise."""

    @property
    def live(self) -> bool:
        """Whether it wants to receive events."""
        ...

    def gave(self, stage: str, frame: Frame, *, upstream: bool = False) -> None:
        """A stage pushed a frame.

        Args:
            stage: ``vad``, ``stt``, ``turn``, ``brain`` or ``tts``.
            frame: The frame.
            upstream: Whether it goes upstream; it may come from a later stage.
        """
        ...

    def asked(
        self,
        question: str,
        history: Sequence[Exchange] = (),
        calls: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """A brain is asked.

        Returns:
            The question's number, from 1.
        """
        ...

    def answered(self, ask: int, brain: str, event: Mapping[str, Any]) -> None:
        """A brain has streamed a part of its decision, or has ended.

        Args:
            ask: The question's number.
            brain: Name of the brain.
            event: The event as plain values.
        """
        ...

    def heard(self, pcm: bytes) -> None:
        """The caller's audio came: 16 bits, mono, 16 kHz."""
        ...

    def sent(self, pcm: bytes) -> None:
        """Audio is sent to the page: 16 bits, mono, 24 kHz."""
        ...

    def page_said(self, kind: str, data: Mapping[str, Any]) -> None:
        """The page sent a message: ``playback``, ``audible`` or ``hangup``, with its fields."""
        ...

    def page_told(self, kind: str, data: Mapping[str, Any]) -> None:
        """A message is sent to the page, with its ``type`` and its fields."""
        ...


class Unobserved:
    """An observer that does nothing; the base class of observers that want some events."""

    live = False

    def begun(self, call: CallRecord) -> None:
        """A call has begun."""

    def turn(self, record: TurnRecord) -> None:
        """A turn is over."""

    def ended(self, call: CallRecord) -> None:
        """A call has ended."""

    def gave(self, stage: str, frame: Frame, *, upstream: bool = False) -> None:
        """A stage has given a frame."""

    def asked(
        self,
        question: str,
        history: Sequence[Exchange] = (),
        calls: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """A brain is asked."""
        return 0

    def answered(self, ask: int, brain: str, event: Mapping[str, Any]) -> None:
        """A brain has answered."""

    def heard(self, pcm: bytes) -> None:
        """The caller's audio came."""

    def sent(self, pcm: bytes) -> None:
        """Audio is sent to the page."""

    def page_said(self, kind: str, data: Mapping[str, Any]) -> None:
        """The page said something."""

    def page_told(self, kind: str, data: Mapping[str, Any]) -> None:
        """A message goes to the page."""
