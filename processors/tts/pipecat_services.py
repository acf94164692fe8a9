"""Adapters for pipecat's own voices: permanent errors, failover, and the place of each sentence."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any, cast

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.tts_service import TTSService
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp
from pipecat.utils.errors import ErrorCategory

from processors.stock_service import StockService
from processors.tts.speech_queue import SpeechQueue
from processors.tts.speech_timeline import SpeechTimeline, TimedSentence
from processors.tts.timed_speech import TimedSpeech

# At DEBUG, websockets logs keys and audio.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 24_000


FIRST_AUDIO_SECS = 3.0
"""How long a voice may send no audio for a request, by default."""


def stock_voice(service: type[TTSService]) -> type[TTSService]:
    """Derive from a pipecat voice a class that fits Viva's chain; see :class:`StockVoice`.

    Args:
        service: The class of a pipecat service that returns audio as the response to a request
            (HTTP).
    """
    return cast("type[TTSService]", type(service.__name__, (StockVoice, service), {}))


def timed_voice(service: type[TTSService]) -> type[TTSService]:
    """Do the same for a service that sends audio some time after it was sent the text (WebSocket).

    Each sentence is announced just ahead of its own audio. Where that begins follows from the word
    times of the service, or is estimated from the number of letters.

    Args:
        service: The class of a pipecat service that speaks an answer in one context.
    """
    return cast("type[TTSService]", type(service.__name__, (_TimedVoice, service), {}))


class StockVoice(StockService, SpeechQueue):
    """A base to put before a pipecat voice's class, so that a reserve can take over from it.

    It becomes unusable when it is refused with a status of 400 to 499, however the service reports
    that, or when it sends no audio for a request, as some vendors do for an unknown voice.

    Parameters:
        first_audio_secs: How long it may send no audio for a request.
        sample_rate: Of its audio, in Hz; the chain takes no other.
    """

    def __init__(
        self,
        *,
        first_audio_secs: float = FIRST_AUDIO_SECS,
        sample_rate: int = SAMPLE_RATE,
        **kwargs: Any,
    ) -> None:
        super().__init__(sample_rate=sample_rate, **kwargs)
        self._first_audio_secs = first_audio_secs
        self._requested_at = self._audio_at = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def cleanup(self) -> None:
        """Cancel the processor's task."""
        await super().cleanup()
        await self._stop_watching()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speak a frame's text, or pass it on. After an interruption, no audio is outstanding."""
        if isinstance(frame, InterruptionFrame):
            self._note_audio()
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseEndFrame):
            self._expect_audio()

    async def tts_process_generator(
        self, context_id: str, generator: AsyncGenerator[Frame | None, None]
    ) -> None:
        """Send the request, and expect audio from now on."""
        self._requested_at = _now()
        self._expect_audio()
        await super().tts_process_generator(context_id, generator)

    async def append_to_audio_context(
        self, context_id: str | None, frame: Frame | WordTimestamp | None
    ) -> None:
        """Note audio as it arrives."""
        if isinstance(frame, TTSAudioRawFrame):
            self._note_audio()
        await super().append_to_audio_context(context_id, frame)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Note audio that a service pushes without an audio context."""
        if isinstance(frame, TTSAudioRawFrame):
            self._note_audio()
        await super().push_frame(frame, direction)

    def _note_audio(self) -> None:
        self._audio_at = _now()

    def _expect_audio(self) -> None:
        if self.is_usable and (self._watching is None or self._watching.done()):
            self._watching = self.create_task(self._watch(), "first audio")

    @property
    def _audio_outstanding(self) -> bool:
        """Whether the last request had no audio, or the answer has ended without all of its own."""
        unfinished = not self._answering and bool(self.unspoken())
        return self._requested_at > self._audio_at or unfinished

    async def _watch(self) -> None:
        while self.is_usable and self._audio_outstanding:
            left = max(self._requested_at, self._audio_at) + self._first_audio_secs - _now()
            if left > 0:
                await asyncio.sleep(left)
            else:
                await self.push_error(
                    f"{type(self).__name__} sent no audio for {self._first_audio_secs:g} s",
                    category=ErrorCategory.CONNECTIVITY,
                    force_treat_as_permanent=True,
                )
                await self._start_interruption()  # The request may never end on its own.

    async def _stop_watching(self) -> None:
        if self._watching is not None:
            watching, self._watching = self._watching, None
            await self.cancel_task(watching)


def _now() -> float:
    return asyncio.get_running_loop().time()


class _TimedVoice(StockVoice, TimedSpeech):
    """Matches a pipecat service's audio with the sentences it was given and the words it times."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._push_text_frames = False  # The timeline gives the words.
        self._timelines: dict[str, SpeechTimeline] = {}

    async def _register_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str
    ) -> None:
        await super()._register_spoken_text(src_frame, text, context_id)
        timeline = self._timelines.setdefault(
            context_id, SpeechTimeline(sample_rate=self.sample_rate)
        )
        timeline.add(TimedSentence(src_frame, text))

    async def add_word_timestamps(
        self,
        word_times: list[tuple[str, float]],
        context_id: str | None = None,
        includes_inter_frame_spaces: bool | None = None,
        pre_merge_tokens: bool = False,
    ) -> None:
        """Store when words begin; they are passed on with their audio."""
        if timeline := self._timelines.get(str(context_id)):
            for word, secs in word_times:
                timeline.align([word], [secs], absolute=True)

    async def append_to_audio_context(
        self, context_id: str | None, frame: Frame | WordTimestamp | None
    ) -> None:
        """Pass audio on with the sentences and words that begin in it."""
        timeline = self._timelines.get(str(context_id))
        if context_id is None or timeline is None:
            await super().append_to_audio_context(context_id, frame)
        elif isinstance(frame, TTSAudioRawFrame):
            self._note_audio()
            await self.play(context_id, timeline.add_audio(frame.audio))
        elif frame is None or isinstance(frame, TTSStoppedFrame):
            del self._timelines[context_id]
            await self.play(context_id, timeline.finish())
            await super().append_to_audio_context(context_id, frame)
        else:
            await super().append_to_audio_context(context_id, frame)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Drop the context's timeline."""
        self._timelines.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Drop the context's timeline."""
        self._timelines.pop(context_id, None)
        await super().on_audio_context_completed(context_id)
