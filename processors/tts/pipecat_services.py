"""Voices that are used as pipecat has them: what Viva adds to each."""

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
from processors.tts.speech_timeline import Sentence, SpeechTimeline
from processors.tts.timed_speech import TimedSpeech

# At DEBUG websockets writes keys and audio into the log.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 24_000


FIRST_AUDIO_SECS = 3.0
"""How long a voice may owe audio and send none."""


def stock_voice(service: type[TTSService]) -> type[TTSService]:
    """A service of pipecat's as Viva's chain needs it; a reserve can take over from it.

    Made with ``first_audio_secs``, beside its own arguments, it waits so long for audio that it
    owes.

    Args:
        service: The class of one that gives audio while it is asked (by HTTP).
    """
    return cast("type[TTSService]", type(service.__name__, (StockVoice, service), {}))


def placed(service: type[TTSService]) -> type[TTSService]:
    """The same, of a service whose audio comes later than its text was sent (by a socket).

    Each sentence is passed on with the audio that speaks it. Where it begins is told by the words
    that the service times, or estimated from its letters.

    Args:
        service: The class of one that speaks an answer in one context.
    """
    return cast("type[TTSService]", type(service.__name__, (_Placed, service), {}))


class StockVoice(StockService, SpeechQueue):
    """Goes in front of a voice of pipecat's, by inheritance: a vendor that fails is given up.

    It fails if it refuses with a status from 400 to 499, however that is reported, or owes audio
    and sends none for a time, as one does that accepts an unknown voice and stays silent.

    Parameters:
        first_audio_secs: That time.
    """

    def __init__(self, *, first_audio_secs: float = FIRST_AUDIO_SECS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._first_audio_secs = first_audio_secs
        self._asked_at = self._heard_at = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        await self._stop_watching()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speak; nothing is owed any more of what was interrupted."""
        if isinstance(frame, InterruptionFrame):
            self._heard()
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseEndFrame):
            self._expect()

    async def tts_process_generator(
        self, context_id: str, generator: AsyncGenerator[Frame | None, None]
    ) -> None:
        """Ask the vendor, and expect audio from now on."""
        self._asked_at = _now()
        self._expect()
        await super().tts_process_generator(context_id, generator)

    async def append_to_audio_context(
        self, context_id: str | None, frame: Frame | WordTimestamp | None
    ) -> None:
        """Note that audio comes."""
        if isinstance(frame, TTSAudioRawFrame):
            self._heard()
        await super().append_to_audio_context(context_id, frame)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Note audio that a service passes on by itself."""
        if isinstance(frame, TTSAudioRawFrame):
            self._heard()
        await super().push_frame(frame, direction)

    def _heard(self) -> None:
        self._heard_at = _now()

    def _expect(self) -> None:
        if self.is_usable and (self._watching is None or self._watching.done()):
            self._watching = self.create_task(self._watch(), "first audio")

    @property
    def _owes_audio(self) -> bool:
        """Audio has not come since the last sentence, or the answer has ended and lacks some."""
        return self._asked_at > self._heard_at or (not self._answering and bool(self.unspoken()))

    async def _watch(self) -> None:
        while self.is_usable and self._owes_audio:
            left = max(self._asked_at, self._heard_at) + self._first_audio_secs - _now()
            if left > 0:
                await asyncio.sleep(left)
            else:
                await self.push_error(
                    f"{type(self).__name__} sent no audio for {self._first_audio_secs:g} s",
                    category=ErrorCategory.CONNECTIVITY,
                    force_treat_as_permanent=True,
                )
                await self._start_interruption()  # The request may never end by itself.

    async def _stop_watching(self) -> None:
        if self._watching is not None:
            watching, self._watching = self._watching, None
            await self.cancel_task(watching)


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Placed(StockVoice, TimedSpeech):
    """Puts what a service of pipecat's passes on into the order of its audio.

    The service speaks an answer in one context; here its audio meets the sentences it was given and
    the words it times.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._push_text_frames = False  # Words come from the timeline.
        self._timelines: dict[str, SpeechTimeline] = {}

    async def _register_spoken_text(
        self, src_frame: AggregatedTextFrame, text: str, context_id: str
    ) -> None:
        await super()._register_spoken_text(src_frame, text, context_id)
        timeline = self._timelines.setdefault(
            context_id, SpeechTimeline(sample_rate=self.sample_rate)
        )
        timeline.add(Sentence(src_frame, text))

    async def add_word_timestamps(
        self,
        word_times: list[tuple[str, float]],
        context_id: str | None = None,
        includes_inter_frame_spaces: bool | None = None,
        pre_merge_tokens: bool = False,
    ) -> None:
        """Learn when words begin; they are passed on with their audio."""
        if timeline := self._timelines.get(str(context_id)):
            for word, secs in word_times:
                timeline.align([word], [secs], absolute=True)

    async def append_to_audio_context(
        self, context_id: str | None, frame: Frame | WordTimestamp | None
    ) -> None:
        """Pass audio on with what begins in it."""
        timeline = self._timelines.get(str(context_id))
        if context_id is None or timeline is None:
            await super().append_to_audio_context(context_id, frame)
        elif isinstance(frame, TTSAudioRawFrame):
            self._heard()
            await self.play(context_id, timeline.take(frame.audio))
        elif frame is None or isinstance(frame, TTSStoppedFrame):
            del self._timelines[context_id]
            await self.play(context_id, timeline.finish())
            await super().append_to_audio_context(context_id, frame)
        else:
            await super().append_to_audio_context(context_id, frame)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Forget it."""
        self._timelines.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Forget it."""
        self._timelines.pop(context_id, None)
        await super().on_audio_context_completed(context_id)
