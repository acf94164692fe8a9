"""Announces sentences and words just ahead of their audio."""

from collections.abc import Iterable
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp

from processors.tts.speech_queue import SpeechQueue
from processors.tts.speech_timeline import Item, Word


class TimedSpeech(SpeechQueue):
    """A base to put before a pipecat voice's class whose audio arrives some time after its text.

    pipecat announces a sentence when its text is sent, in the middle of the previous sentence's
    audio. This class announces it just ahead of its own. It pushes downstream, all with the
    answer's ``context_id``::

        LLMFullResponseStartFrame
        SentenceFrame         the frame that came in, just ahead of its first sample
        TTSStartedFrame       once
        TTSTextFrame          a word that begins with the next sample; has pts
        TTSAudioRawFrame      split where words and sentences begin
        ...
        TTSStoppedFrame
        LLMFullResponseEndFrame
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._announcing: AggregatedTextFrame | None = None
        self._begun: set[str] = set()  # Contexts whose TTSStartedFrame was pushed.

    async def _announce_text(self, src_frame: AggregatedTextFrame, context_id: str) -> None:
        """Hold the announcement until its audio arrives."""
        self._track_request(src_frame)
        src_frame.append_to_context = False
        src_frame.context_id = context_id
        src_frame.will_be_spoken = True
        self._announcing = src_frame
        # Created here and not with the request, so that what follows an answer waits for it even
        # if the service has become unusable, until another voice takes over.
        if not self.audio_context_available(context_id):
            await self.create_audio_context(context_id)
            await self.start_ttfb_metrics()

    async def play(self, context_id: str, items: Iterable[Item]) -> None:
        """Pass on the items of a timeline."""
        if not self.audio_context_available(context_id):
            await self.create_audio_context(context_id)
        for item in items:
            match item:
                case bytes():
                    if context_id not in self._begun:
                        self._begun.add(context_id)
                        started = TTSStartedFrame(context_id=context_id)
                        await super().append_to_audio_context(context_id, started)
                    audio = TTSAudioRawFrame(item, self.sample_rate, 1, context_id=context_id)
                    await super().append_to_audio_context(context_id, audio)
                case Word():
                    word = WordTimestamp(item.text, item.secs, context_id)
                    await super().append_to_audio_context(context_id, word)
                case _:
                    await super().append_to_audio_context(context_id, item)

    async def finish(self, context_id: str, rest: Iterable[Item] = ()) -> None:
        """Pass on the last items, and end the audio context."""
        await self.play(context_id, rest)
        if context_id in self._begun:
            stopped = TTSStoppedFrame(context_id=context_id)
            await super().append_to_audio_context(context_id, stopped)
        await self.remove_audio_context(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Allow the context to start again, if more arrives for an answer that was idle."""
        self._begun.discard(context_id)
        await super().on_audio_context_completed(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Drop the context's state."""
        self._begun.discard(context_id)
        await super().on_audio_context_interrupted(context_id)
