"""hibari as a pipecat service: speaks sentence by sentence, in one context per answer."""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace

from pipecat.frames.frames import AggregatedTextFrame, ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.utils.errors import ErrorCategory

from conversation.alignment import WordAlignment
from conversation.frames import SentenceFrame
from processors.tts.hibari.engine import (
    FRAME_BYTES,
    SAMPLE_RATE,
    HibariEngine,
    UnspeakableTextError,
    markup,
)
from processors.tts.speech_queue import SpeechQueue

_WORD = re.compile(r"\S+")

UNSPEAKABLE = "I'm sorry, I can't say that aloud."
"""Spoken instead of words that this voice cannot pronounce, such as those of another script."""


class HibariTTS(SpeechQueue):
    """Speaks one call with the engine that all calls share.

    Speaks every ``SentenceFrame`` (or other ``AggregatedTextFrame``) between
    ``LLMFullResponseStartFrame`` and ``LLMFullResponseEndFrame`` as it arrives. Pushes for one
    answer, in this order and all with its ``context_id`` unless noted::

        LLMFullResponseStartFrame                    (no context_id)
        SentenceFrame         will_be_spoken=True    the frame that came in
        TTSStartedFrame
        TTSAudioRawFrame      60 ms each             the first sentence's audio
        TTSTextFrame          segment_id             id of the SentenceFrame whose audio is complete
        SentenceFrame, TTSAudioRawFrame …, TTSTextFrame    for each further sentence
        TTSStoppedFrame
        LLMFullResponseEndFrame                      (no context_id)

    A ``TTSSpeakFrame`` (a greeting, a prompt) is a context of its own, without the two LLM frames
    and with one ``AggregatedTextFrame`` for all of its text. ``LLMTextFrame`` is aggregated into
    sentences first, as in pipecat. After an ``InterruptionFrame``, nothing of the context follows,
    not even ``TTSStoppedFrame``, nor of text that arrived before the interruption.

    Text that cannot be pronounced causes an ``ErrorFrame`` upstream, and a ``TTSTextFrame`` without
    audio before it; the answer continues. If it has letters or digits, so that a caller would miss
    something, :data:`UNSPEAKABLE` is spoken once an answer, as a sentence of its own. If it is part
    of a sentence, that is spoken as several ``SentenceFrame``, so that only what has a sound counts
    as heard.
    """

    def __init__(
        self,
        *,
        engine: HibariEngine,
        pronunciations: Mapping[str, str] | None = None,
        context_idle_secs: float = 10.0,
        name: str | None = None,
    ) -> None:
        """Create the voice of one call.

        Args:
            engine: The engine, shared by all calls.
            pronunciations: Words and their IPA.
            context_idle_secs: An answer without a next sentence or end for this long is stopped
                downstream; a later sentence starts it again.
            name: pipecat's name for the processor.
        """
        super().__init__(
            name=name,
            sample_rate=SAMPLE_RATE,
            push_start_frame=True,
            push_stop_frames=True,
            stop_frame_timeout_s=context_idle_secs,
            # Three answers of "…" in a row are no fault of the voice.
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model="hibari", voice=engine.voice, language="en"),
            text_transforms=[("*", self.pronunciation_transform_ipa(pronunciations))]
            if pronunciations
            else None,
        )
        self._engine = engine
        self._pronounced = tuple(map(str.casefold, pronunciations or ()))
        self._asked: AggregatedTextFrame | None = None  # the text being synthesised
        self._apologised = ""  # the context that has an apology

    @classmethod
    def format_pronunciation(cls, word: str, ipa: str) -> str | None:
        """Return hibari's markup of a word, or ``None`` if the voice lacks one of the sounds."""
        return markup(word, ipa)

    def can_generate_metrics(self) -> bool:
        """Reports the time to the first audio, and the characters used."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence or prompt, in frames of 60 ms.

        Args:
            text: The text, with pronunciations inserted.
            context_id: The context of its answer.
        """
        await self.start_tts_usage_metrics(text)
        asked = self._asked
        try:
            async for pcm in self._engine.synthesise(text):
                for frame in _frames(pcm, context_id):
                    yield frame
        except UnspeakableTextError as error:
            yield _failure(error)
            if any(map(str.isalnum, text)) and self._apologised != context_id:
                self._apologised = context_id
                yield _apology(asked, context_id)
                for frame in _frames(await self._engine.synthesise_whole(UNSPEAKABLE), context_id):
                    yield frame
        except Exception as error:  # the rest of the answer must still be spoken
            yield _failure(error)

    async def parts(self, frame: Frame) -> Sequence[Frame]:
        """Split a sentence into what this voice can pronounce and what it cannot."""
        if not isinstance(frame, SentenceFrame) or frame.text.isascii():
            return (frame,)
        words = list(_WORD.finditer(frame.text))
        silent = await self._engine.silent([word[0] for word in words])
        places = [
            word.start()
            for word, is_silent, was_silent in zip(words, silent, silent[:1] + silent, strict=False)
            if is_silent != was_silent
        ]
        named = any(word in frame.text.casefold() for word in self._pronounced)
        return (frame,) if named or not places else _split(frame, places)

    async def _announce_text(self, src_frame: AggregatedTextFrame, context_id: str) -> None:
        self._asked = src_frame
        await super()._announce_text(src_frame, context_id)

    async def on_turn_context_completed(self) -> None:
        """Close the answer's context, even if its last sentence had no audio."""
        self._is_yielding_frames_synchronously = True
        await super().on_turn_context_completed()


def _split(sentence: SentenceFrame, places: Sequence[int]) -> list[SentenceFrame]:
    """The parts of a sentence between these places of its text, each with its part of the caption.

    A part that has no words of the caption is spoken with the one before it.
    """
    alignment = WordAlignment(sentence.text, sentence.shown)
    parts: list[SentenceFrame] = []
    begin = shown_begin = 0
    for end in (*places, len(sentence.text)):
        text = sentence.text[begin:end].strip()
        shown_end = alignment.end_after(end)
        shown = sentence.shown[shown_begin:shown_end].strip()
        if shown or not parts:
            parts.append(replace(sentence, text=text, shown=shown))
        else:
            parts[-1] = replace(parts[-1], text=f"{parts[-1].text} {text}")
        begin, shown_begin = end, shown_end
    return parts


def _frames(pcm: bytes, context_id: str) -> Iterator[TTSAudioRawFrame]:
    for start in range(0, len(pcm), FRAME_BYTES):
        yield TTSAudioRawFrame(
            pcm[start : start + FRAME_BYTES], SAMPLE_RATE, 1, context_id=context_id
        )


def _failure(error: Exception) -> ErrorFrame:
    return ErrorFrame(
        error=f"speech failed: {error}", exception=error, category=ErrorCategory.APPLICATION
    )


def _apology(asked: AggregatedTextFrame | None, context_id: str) -> SentenceFrame:
    """The sentence that is heard in place of the one that was asked for, in its turn."""
    turn = asked.turn if isinstance(asked, SentenceFrame) else 0
    apology = SentenceFrame(text=UNSPEAKABLE, turn=turn)
    apology.context_id = context_id
    return apology
