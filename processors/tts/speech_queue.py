"""Tracks what a pipecat voice was asked to say: what was interrupted, what is unspoken."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    SystemFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.processors.frame_processor import FrameCallback, FrameDirection
from pipecat.services.tts_service import TTSService

from processors.audio import audio_sink, forward_audio

_TEXT = (LLMFullResponseStartFrame, LLMFullResponseEndFrame, TextFrame, TTSSpeakFrame)


class SpeechQueue(TTSService):
    """A base to put before the class of any pipecat text to speech.

    It adds two things:

    * Text that an interruption has overtaken in the service's queue is not spoken.
    * :meth:`unspoken` is what was requested and not spoken yet, and :meth:`hand_over` lets another
      voice speak it. A sentence counts as spoken once audio has followed its announcement.

    What was overtaken is kept here, and not asked of the conversation (``is_stale``): it is about
    places in this queue, not about turns. An interruption overtakes prompts, and the start and end
    of an answer, which name no turn; a voice that hands over is interrupted by nobody; and services
    run without a conversation, too, in ``viva vendors check`` and in benchmarks.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._waiting: dict[int, Frame] = {}  # In the queue, not yet processed.
        self._overtaken: set[int] = set()  # In the queue, not to be processed any more.
        self._requested: dict[int, Frame] = {}  # By the id of the frame pushed when it is done.
        self._announced: dict[int, Frame] = {}  # Pushed, without audio so far.
        self._speaking: TTSSpeakFrame | None = None
        self._answering = False  # An answer's end is still to come.
        self._started: dict[str, None] = {}  # Contexts started downstream and not stopped.

    def unspoken(self) -> tuple[AggregatedTextFrame | TTSSpeakFrame, ...]:
        """Return what was requested and has no audio yet, in order."""
        left = [*self._announced.values(), *self._requested.values(), *self._waiting.values()]
        return tuple(f for f in left if isinstance(f, (AggregatedTextFrame, TTSSpeakFrame)))

    async def hand_over(self) -> tuple[Frame, ...]:
        """Stop speaking, and return the rest for another voice.

        Returns:
            The frames to give to the other voice, in order: ``TTSStoppedFrame`` for each context
            cut short, the requests for the rest, an answer starting again with
            ``LLMFullResponseStartFrame``, and the frames queued behind them.
        """
        left = [*self._announced.values(), *self._requested.values(), *self._waiting.values()]
        starts = [i for i, f in enumerate(left) if isinstance(f, LLMFullResponseStartFrame)]
        sentences = [i for i, f in enumerate(left) if isinstance(f, AggregatedTextFrame)]
        if sentences and (not starts or starts[0] > sentences[0]):
            left.insert(sentences[0], LLMFullResponseStartFrame())
        elif self._answering and not starts:
            left.append(LLMFullResponseStartFrame())
        cut: list[Frame] = [TTSStoppedFrame(context_id=context) for context in self._started]
        self._overtaken |= set(self._waiting)
        self._waiting.clear()
        self._requested.clear()
        self._announced.clear()
        self._started.clear()
        self._answering = False
        if asyncio.current_task() is not self._audio_context_task:
            await self._handle_interruption(InterruptionFrame(), FrameDirection.DOWNSTREAM)
        return (*cut, *left)

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Queue a frame, and track its place in the queue.

        System frames overtake others in pipecat's queue: an interruption is processed before text
        that arrived just ahead of it, which may stay in the queue.
        """
        if isinstance(frame, InterruptionFrame):
            self._overtaken |= {f.id for f in self._waiting.values() if isinstance(f, _TEXT)}
            self._waiting.clear()
        elif _is_ordered(frame, direction):
            self._waiting[frame.id] = frame
        await super().queue_frame(frame, direction, callback)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame, unless an interruption has overtaken it."""
        self._waiting.pop(frame.id, None)
        if frame.id in self._overtaken:
            return
        if isinstance(frame, _TEXT):
            self._overtaken.clear()
        if isinstance(frame, InterruptionFrame):
            requested = self._requested
            self._requested = {k: f for k, f in requested.items() if not f.interruptible}
            self._announced.clear()
            self._started.clear()
            self._answering = False
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._answering = True
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._answering = False
        if _is_ordered(frame, direction) and not isinstance(frame, (TextFrame, TTSSpeakFrame)):
            self._requested[frame.id] = frame
        self._speaking = frame if isinstance(frame, TTSSpeakFrame) else None
        for part in await self.parts(frame):
            await super().process_frame(part, direction)

    async def parts(self, frame: Frame) -> Sequence[Frame]:
        """Return what to process in place of a frame; by default, the frame itself."""
        return (frame,)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, and track what it says about requests and contexts."""
        done = self._requested.pop(frame.id, None)
        if isinstance(done, (AggregatedTextFrame, TTSSpeakFrame)):
            self._announced[frame.id] = done
        elif isinstance(frame, TTSAudioRawFrame):
            self._announced.clear()
            if audio_sink(self.next) is not None:
                await forward_audio(self, frame)
                return
        if isinstance(frame, TTSStartedFrame) and frame.context_id:
            self._started[frame.context_id] = None
        elif isinstance(frame, TTSStoppedFrame) and frame.context_id:
            self._started.pop(frame.context_id, None)
        await super().push_frame(frame, direction)

    async def _announce_text(self, src_frame: AggregatedTextFrame, context_id: str) -> None:
        self._track_request(src_frame)
        await super()._announce_text(src_frame, context_id)

    def _track_request(self, frame: AggregatedTextFrame) -> None:
        """Note the frame that requested a text; a prompt's text gets the prompt's caption."""
        self._requested[frame.id] = self._speaking or frame
        if self._speaking is not None and "shown" in self._speaking.metadata:
            frame.metadata["shown"] = self._speaking.metadata["shown"]


def _is_ordered(frame: Frame, direction: FrameDirection) -> bool:
    """Whether the service passes a frame on in order with the text and audio."""
    return (
        direction is FrameDirection.DOWNSTREAM
        and not isinstance(frame, (SystemFrame, TTSUpdateSettingsFrame))
        and frame.interruptible
    )
