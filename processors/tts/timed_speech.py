"""A voice that says where in its audio each sentence and word begins."""

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
    """Announces each sentence just ahead of its own audio, and each word just ahead of its own.

    Goes in front of a pipecat text to speech whose audio comes later than its text was sent.
    pipecat itself announces a sentence when its text is sent: in the midst of the audio of the
    sentence before it. Downstream go, all with the answer's ``context_id``::

        LLMFullResponseStartFrame
        SentenceFrame         the very frame that came in, just ahead of its own first sample
        TTSStartedFrame       once
        TTSTextFrame          a word, with pts: it begins with the next sample
        TTSAudioRawFrame      cut where words and sentences begin
        ...
        TTSStoppedFrame
        LLMFullResponseEndFrame
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._announcing: AggregatedTextFrame | None = None
        self._begun: set[str] = set()  # Contexts whose TTSStartedFrame has gone ahead.

    async def _announce_text(self, src_frame: AggregatedTextFrame, context_id: str) -> None:
        """Hold the announcement until its audio comes."""
        self._note_asked(src_frame)
        src_frame.append_to_context = False
        src_frame.context_id = context_id
        src_frame.will_be_spoken = True
        self._announcing = src_frame
        # Here, and not with the request: what follows an answer waits for it even when the service
        # has become unusable, until somebody takes over.
        if not self.audio_context_available(context_id):
            await self.create_audio_context(context_id)
            await self.start_ttfb_metrics()

    async def play(self, context_id: str, items: Iterable[Item]) -> None:
        """Pass on what a timeline gave."""
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

    async def played(self, context_id: str, rest: Iterable[Item] = ()) -> None:
        """End an answer once all of it was passed on."""
        await self.play(context_id, rest)
        if context_id in self._begun:
            stopped = TTSStoppedFrame(context_id=context_id)
            await super().append_to_audio_context(context_id, stopped)
        await self.remove_audio_context(context_id)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Start again downstream if more comes of an answer that was idle for too long."""
        self._begun.discard(context_id)
        await super().on_audio_context_completed(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Nothing more comes of it."""
        self._begun.discard(context_id)
        await super().on_audio_context_interrupted(context_id)
