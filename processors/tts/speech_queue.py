"""The order of what a voice is asked to say, kept where pipecat's text to speech loses it."""

import asyncio
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

_WORDS = (LLMFullResponseStartFrame, LLMFullResponseEndFrame, TextFrame, TTSSpeakFrame)


class SpeechQueue(TTSService):
    """Goes in front of any pipecat text to speech, by inheritance.

    It adds two things:

    * Words that an interruption has overtaken in the service's queue are not spoken.
    * What was asked and not yet said is known (:meth:`unspoken`), and can be taken over by another
      voice (:meth:`hand_over`). A sentence counts as said once audio has followed its announcement.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._waiting: dict[int, Frame] = {}  # In the queue, not yet processed.
        self._overtaken: set[int] = set()  # In the queue, and not to be processed any more.
        self._asked: dict[int, Frame] = {}  # By the id of what will be pushed once it is done.
        self._announced: dict[int, Frame] = {}  # Pushed, and no audio since.
        self._speaking: TTSSpeakFrame | None = None
        self._answering = False  # The end of an answer is yet to come.
        self._sounding: dict[str, None] = {}  # Contexts started downstream and not stopped.

    def unspoken(self) -> tuple[AggregatedTextFrame | TTSSpeakFrame, ...]:
        """What was asked and not begun to be said, in order."""
        left = [*self._announced.values(), *self._asked.values(), *self._waiting.values()]
        return tuple(f for f in left if isinstance(f, (AggregatedTextFrame, TTSSpeakFrame)))

    async def hand_over(self) -> tuple[Frame, ...]:
        """Stop here, and let another voice go on.

        Returns:
            The frames to give to the other voice, in order: ``TTSStoppedFrame`` for what was cut
            short here, then whatever asks for the rest, an answer begun anew with a
            ``LLMFullResponseStartFrame``, and what waited for its place behind them.
        """
        left = [*self._announced.values(), *self._asked.values(), *self._waiting.values()]
        begins = [i for i, f in enumerate(left) if isinstance(f, LLMFullResponseStartFrame)]
        sentences = [i for i, f in enumerate(left) if isinstance(f, AggregatedTextFrame)]
        if sentences and (not begins or begins[0] > sentences[0]):
            left.insert(sentences[0], LLMFullResponseStartFrame())
        elif self._answering and not begins:
            left.append(LLMFullResponseStartFrame())
        cut: list[Frame] = [TTSStoppedFrame(context_id=context) for context in self._sounding]
        self._overtaken |= set(self._waiting)
        self._waiting.clear()
        self._asked.clear()
        self._announced.clear()
        self._sounding.clear()
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
        """Note what arrives in which order.

        A system frame jumps pipecat's queue: an interruption is processed before words that came
        just ahead of it, and may leave them there.
        """
        if isinstance(frame, InterruptionFrame):
            self._overtaken |= {f.id for f in self._waiting.values() if isinstance(f, _WORDS)}
            self._waiting.clear()
        elif _is_for_later(frame, direction):
            self._waiting[frame.id] = frame
        await super().queue_frame(frame, direction, callback)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speak what is to be spoken, but nothing that was overtaken."""
        self._waiting.pop(frame.id, None)
        if frame.id in self._overtaken:
            return
        if isinstance(frame, _WORDS):
            self._overtaken.clear()
        if isinstance(frame, InterruptionFrame):
            self._asked = {k: f for k, f in self._asked.items() if not f.interruptible}
            self._announced.clear()
            self._sounding.clear()
            self._answering = False
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._answering = True
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._answering = False
        if _is_for_later(frame, direction) and not isinstance(frame, (TextFrame, TTSSpeakFrame)):
            self._asked[frame.id] = frame
        self._speaking = frame if isinstance(frame, TTSSpeakFrame) else None
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Note what is done."""
        done = self._asked.pop(frame.id, None)
        if isinstance(done, (AggregatedTextFrame, TTSSpeakFrame)):
            self._announced[frame.id] = done
        elif isinstance(frame, TTSAudioRawFrame):
            self._announced.clear()
            if audio_sink(self.next) is not None:
                await forward_audio(self, frame)
                return
        if isinstance(frame, TTSStartedFrame) and frame.context_id:
            self._sounding[frame.context_id] = None
        elif isinstance(frame, TTSStoppedFrame) and frame.context_id:
            self._sounding.pop(frame.context_id, None)
        await super().push_frame(frame, direction)

    async def _announce_text(self, src_frame: AggregatedTextFrame, context_id: str) -> None:
        self._note_asked(src_frame)
        await super()._announce_text(src_frame, context_id)

    def _note_asked(self, frame: AggregatedTextFrame) -> None:
        """Note what asked for a text; of a prompt, the text is shown as the prompt says."""
        self._asked[frame.id] = self._speaking or frame
        if self._speaking is not None and "shown" in self._speaking.metadata:
            frame.metadata["shown"] = self._speaking.metadata["shown"]


def _is_for_later(frame: Frame, direction: FrameDirection) -> bool:
    """Whether the service passes a frame on only when its turn has come."""
    return (
        direction is FrameDirection.DOWNSTREAM
        and not isinstance(frame, (SystemFrame, TTSUpdateSettingsFrame))
        and frame.interruptible
    )
