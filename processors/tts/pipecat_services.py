"""Voices that are used as pipecat has them: what Viva adds to each."""

import logging
from typing import Any, cast

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.services.tts_service import TTSService
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp

from processors.tts.speech_timeline import Sentence, SpeechTimeline
from processors.tts.timed_speech import TimedSpeech

# At DEBUG websockets writes keys and audio into the log.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 24_000


def placed(service: type[TTSService]) -> type[TTSService]:
    """A service of pipecat's that passes each sentence on with the audio that speaks it.

    Where a sentence begins is told by the words that the service times, or estimated from its
    letters.

    Args:
        service: The class of one that speaks an answer in one context.
    """
    return cast("type[TTSService]", type(service.__name__, (_Placed, service), {}))


class _Placed(TimedSpeech):
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
