"""Deepgram in the chain: one call's speech, as interim and final transcripts and ends of turn.

Built on Deepgram's SDK (`/v1/listen <https://developers.deepgram.com/reference/speech-to-text/
listen-streaming>`_) and pipecat's ``STTService``. pipecat's own ``DeepgramSTTService`` ignores
``UtteranceEnd``, loses the audio of a dropped connection, holds the call's start until it is
connected, and makes an HTTP client of its own for every call.
"""

from collections.abc import Sequence
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.listen.v1.types import ListenV1Error, ListenV1Results, ListenV1UtteranceEnd
from pipecat.frames.frames import (
    Frame,
    ProposedUserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import TranscribeNowFrame
from processors.stt.deepgram.connection import (
    BYTES_A_SEC,
    SAMPLE_RATE,
    LineTimes,
    Unanswered,
    keyterms_within_limit,
)
from processors.stt.deepgram.session import DeepgramService, bytes_of, now

_LEEWAY = BYTES_A_SEC // 4  # less than the shortest silence between two stretches of speech


class DeepgramSTT(DeepgramService):
    """Transcribes one call with Nova.

    Downstream go ``InterimTranscriptionFrame`` while the caller speaks and a
    ``TranscriptionFrame`` for every segment that will not change any more. Whether the turn is
    over is for others to judge: Deepgram's ``speech_final`` says that there was a silence, which
    may be a pause for thought, and on the answer to a ``Finalize`` it says nothing at all. Only
    ``UtteranceEnd``, which comes a second and more after the last word, is handed on, as
    ``ProposedUserStoppedSpeakingFrame``: the turn is over though nobody noticed.

    Each ``VADUserStoppedSpeakingFrame`` asks for the words so far by ``Finalize`` and is followed
    by a ``finalized`` segment with all of them, whether that is answered with ``speech_final``,
    without, by a message that holds nothing else, or not at all. Its text is empty when there was
    nothing more to say: it was a cough, or the words had come before the speech stopped.
    ``TranscribeNowFrame`` asks in the midst of speech, for somebody speaks over the voice.
    ``result`` of a frame is Deepgram's own message.
    """

    def __init__(
        self,
        *,
        client: AsyncDeepgramClient,
        model: str = "nova-3",
        language: str = "en-GB",
        keyterms: Sequence[str] = (),
        endpointing_ms: int = 150,
        utterance_end_ms: int = 1000,
        times: LineTimes | None = None,
        name: str | None = None,
    ) -> None:
        """Listen to one call.

        Args:
            client: From :func:`processors.stt.deepgram.connection.connect_to`.
            model: Deepgram's model.
            language: A BCP-47 tag that the model knows.
            keyterms: Names that may be said, the most useful first; see
                :func:`~processors.stt.deepgram.connection.keyterms_within_limit`.
            endpointing_ms: Silence after which Deepgram gives a segment's final words; the page
                (https://developers.deepgram.com/docs/endpointing) has 10 for short utterances and
                300 to 500 for conversation. It does not end the turn here.
            utterance_end_ms: Gap after the last word for ``UtteranceEnd``, 1000 to 5000.
            times: The connection's waits.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A number is out of its range.
        """
        if not endpointing_ms > 0:
            raise ValueError(f"endpointing_ms is {endpointing_ms}: it must be more than 0")
        if not 1000 <= utterance_end_ms <= 5000:
            raise ValueError(f"utterance_end_ms is {utterance_end_ms}: it must be 1000 to 5000")
        times = times or LineTimes()
        query: dict[str, Any] = {
            "model": model,
            "language": language,
            "encoding": "linear16",
            "sample_rate": str(SAMPLE_RATE),
            "channels": "1",
            "endpointing": str(endpointing_ms),
            "utterance_end_ms": str(utterance_end_ms),
            "interim_results": "true",
            "vad_events": "true",
            "punctuate": "true",
            "smart_format": "false",
        }
        if kept := keyterms_within_limit(keyterms):
            query["keyterm"] = list(kept)
        super().__init__(
            client=client, query=query, version="v1", language=language, times=times, name=name
        )
        self._forget_secs = times.forget
        self._vad_speaking = False
        self._speech_ended = 0  # where in the audio, in bytes
        self._speech_ended_at = 0.0  # when
        self._awaiting = False  # the speech has ended; no finalized segment has followed
        self._speech_began = 0  # where in the audio, in bytes
        self._transcribed = 0  # up to where words are final
        self._interim = ""
        self._interim_upto = 0
        self._asked = 0  # how many answers to Finalize may come
        self._held: list[str] = []  # final words of speech that has ended; more are to come
        self._words = False  # there were words since an end of turn was last proposed

    async def _follow(self, frame: Frame) -> None:
        match frame:
            case VADUserStartedSpeakingFrame():
                self._vad_speaking = True
                self._speech_began = self._line.untranscribed.end - bytes_of(frame.start_secs)
                if self._awaiting and now() - self._speech_ended_at >= self._forget_secs:
                    self._line.forget()
                if self._held:  # the same turn goes on
                    await self._segment("", finalized=False, result=None)
                self._awaiting = False
                self._line.expect(True)
            case VADUserStoppedSpeakingFrame():
                self._vad_speaking = False
                self._awaiting = True
                self._speech_ended = self._line.untranscribed.end
                self._speech_ended_at = now()
                self._line.expect(True)
                self._finalize()
                if self._transcribed >= self._speech_ended - _LEEWAY and not self._interim:
                    await self._no_more_words()  # all of it came before voice activity noticed
            case TranscribeNowFrame():
                self._finalize()

    async def _heard(self, event: Any) -> None:
        match event:
            case ListenV1Results():
                await self._results(event)
            case ListenV1UtteranceEnd():
                await self._utterance_ended(event)
            case Unanswered():
                await self._unanswered()
            case ListenV1Error():
                await self.push_error(f"Deepgram reports: {str(event.description)[:200]}")

    async def _connected(self) -> None:
        self._interim = ""
        self._transcribed = self._line.origin
        self._asked = 0
        if self._awaiting:
            self._finalize()
        await super()._connected()

    async def _results(self, message: ListenV1Results) -> None:
        if getattr(message, "channel", None) is None:
            return  # the bare {"from_finalize": true} may come ahead of the words
        text = message.channel.alternatives[0].transcript.strip()
        upto = self._line.origin + 2 * round((message.start + message.duration) * SAMPLE_RATE)
        if not message.is_final:
            if text and text != self._interim:
                await self._guess(self._with_held(text), result=message)
            self._interim, self._interim_upto = text, upto
            return
        if text and upto <= self._transcribed:
            return  # its interim result was taken for final when nothing else came
        self._interim = ""
        self._transcribed = upto
        self._line.untranscribed.heard(upto)
        answers = bool(message.from_finalize)
        self._asked = max(0, self._asked - answers)
        ended = upto >= self._speech_ended - _LEEWAY or (answers and not self._asked)
        if self._awaiting and not ended:
            # An earlier part of the speech that has ended, cut off by its length or by an earlier
            # Finalize: what follows comes with the next result.
            if text:
                self._words = True
                self._held.append(text)
                await self._guess(self._with_held(""), result=message)
        elif text:
            self._words = True
            finalized = answers or bool(message.speech_final) or self._awaiting
            await self._segment(text, finalized=finalized, result=message)
        else:
            await self._no_more_words(message)

    async def _segment(self, text: str, *, finalized: bool, result: Any) -> None:
        text = self._with_held(text)
        self._held.clear()
        if finalized:
            self._awaiting = False
            self._line.expect(self._vad_speaking)
        await self._final(text, finalized=finalized, result=result)

    def _with_held(self, text: str) -> str:
        return " ".join([*self._held, *filter(None, [text])])

    async def _no_more_words(self, result: Any = None) -> None:
        """The speech that ended held no words, or none that had not come before."""
        if self._awaiting:
            await self._segment("", finalized=True, result=result)

    def _finalize(self) -> None:
        self._asked += 1
        self._line.finalize()

    async def _unanswered(self) -> None:
        """Nothing came of ``Finalize``: what was last guessed is all that there will be."""
        self._asked = 0
        guess, self._interim = self._interim, ""
        if not self._awaiting:
            self._interim = guess
        elif guess:
            self._words = True
            self._transcribed = self._interim_upto
            await self._segment(guess, finalized=True, result=None)
        else:
            await self._no_more_words()

    async def _utterance_ended(self, message: ListenV1UtteranceEnd) -> None:
        """The backstop; it may be late, and of words before those that are being said now.

        ``last_word_end`` is -1 where Deepgram knows none.
        """
        last_word = self._line.origin + 2 * round(message.last_word_end * SAMPLE_RATE)
        if message.last_word_end < 0 or not self._words or last_word < self._speech_began:
            return
        self._words = False
        await self.push_frame(ProposedUserStoppedSpeakingFrame())
