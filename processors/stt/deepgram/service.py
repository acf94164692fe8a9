"""Deepgram's Nova as a pipecat service: interim and final transcripts of one call.

Built on Deepgram's SDK (`/v1/listen <https://developers.deepgram.com/reference/speech-to-text/
listen-streaming>`_) and pipecat's ``STTService``. pipecat's own ``DeepgramSTTService`` ignores
``UtteranceEnd``, loses audio when a connection drops, delays the start of the call until it is
connected, and creates an HTTP client for every call.
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
    ConnectionTimes,
    FinalizeUnanswered,
    keyterms_within_limit,
)
from processors.stt.deepgram.session import DeepgramService, bytes_of, now

# Tolerance between voice activity's end of speech and Deepgram's: shorter than the shortest silence
# between two stretches of speech.
_TOLERANCE = BYTES_A_SEC // 4

# Audio ahead of the speech that is sent again, so that its first sound is heard.
_AHEAD = BYTES_A_SEC // 5


class DeepgramSTT(DeepgramService):
    """Transcribes one call with Nova.

    Pushes ``InterimTranscriptionFrame`` while the caller speaks and a ``TranscriptionFrame`` for
    every final segment, each with Deepgram's message as ``result``. It does not end turns:
    Deepgram's ``speech_final`` means that there was a silence, which may be a pause for thought,
    and on the answer to a ``Finalize`` it means nothing. Only ``UtteranceEnd``, which arrives a
    second or more after the last word, becomes a ``ProposedUserStoppedSpeakingFrame``, in case the
    turn model has missed the end.

    Each ``VADUserStoppedSpeakingFrame`` sends ``Finalize`` and is followed by one ``finalized``
    segment with the words so far, whether Deepgram answers with ``speech_final``, without it, with
    a bare ``from_finalize``, or not at all. Its text is empty if there are no more words: the
    speech was a cough, or its words had already arrived.

    ``TranscribeNowFrame`` sends ``Finalize`` while the caller speaks over the voice. Its answer may
    end in mid-word, and Deepgram would hear the rest of the word without its beginning ("Ma", "the
    map", "attics" for "mathematics"). So it becomes an interim transcript, and the speech is sent
    again from its beginning, faster than real time.
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
        times: ConnectionTimes | None = None,
        name: str | None = None,
    ) -> None:
        """Create the recogniser of one call.

        Args:
            client: From :func:`processors.stt.deepgram.connection.create_client`.
            model: The Nova model.
            language: A BCP-47 tag that the model supports, or "multi".
            keyterms: Names that callers may say, the most useful first; see
                :func:`~processors.stt.deepgram.connection.keyterms_within_limit`.
            endpointing_ms: Silence after which Deepgram finalizes a segment. It does not end the
                turn here. Deepgram's default is 10, and it recommends 300 to 500 for conversations
                (https://developers.deepgram.com/docs/endpointing).
            utterance_end_ms: Gap after the last word until ``UtteranceEnd``, 1000 to 5000.
            times: The connection's timeouts and waits.
            name: pipecat's name for the processor.

        Raises:
            ValueError: An argument is out of range.
        """
        if not endpointing_ms > 0:
            raise ValueError(f"endpointing_ms is {endpointing_ms}: it must be more than 0")
        if not 1000 <= utterance_end_ms <= 5000:
            raise ValueError(f"utterance_end_ms is {utterance_end_ms}: it must be 1000 to 5000")
        times = times or ConnectionTimes()
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
        # Positions in the call's audio are in bytes, times on the event loop's clock.
        self._speech_began = 0
        self._speech_ended = 0
        self._speech_ended_at = 0.0
        self._transcribed = 0  # position up to which words are final
        self._interim = ""
        self._interim_upto = 0
        self._awaiting = False  # whether speech has ended without a finalized segment
        self._finalizes_unanswered = 0
        self._held: list[str] = []  # final words of ended speech, of which more are to come
        self._words = False  # whether there were words since an end of turn was last proposed

    async def _on_speech_frame(self, frame: Frame) -> None:
        match frame:
            case VADUserStartedSpeakingFrame():
                self._vad_speaking = True
                self._speech_began = self._connection.untranscribed.end - bytes_of(frame.start_secs)
                if self._awaiting and now() - self._speech_ended_at >= self._forget_secs:
                    self._connection.discard_audio()
                if self._held:  # the same turn goes on
                    await self._segment("", finalized=False, result=None)
                self._awaiting = False
                self._connection.expect_words(True)
            case VADUserStoppedSpeakingFrame():
                self._vad_speaking = False
                self._awaiting = True
                self._speech_ended = self._connection.untranscribed.end
                self._speech_ended_at = now()
                self._connection.expect_words(True)
                self._finalize()
                if self._transcribed >= self._speech_ended - _TOLERANCE and not self._interim:
                    await self._no_more_words()  # Deepgram was quicker than voice activity
            case TranscribeNowFrame():
                self._finalizes_unanswered += 1
                self._connection.peek()

    async def _on_message(self, event: Any) -> None:
        match event:
            case ListenV1Results():
                await self._results(event)
            case ListenV1UtteranceEnd():
                await self._utterance_ended(event)
            case FinalizeUnanswered():
                await self._unanswered()
            case ListenV1Error():
                await self.push_error(f"Deepgram reports: {str(event.description)[:200]}")

    async def _on_connected(self) -> None:
        self._interim = ""
        self._transcribed = self._connection.origin
        self._finalizes_unanswered = 0
        if self._awaiting:
            self._finalize()
        await super()._on_connected()

    async def _results(self, message: ListenV1Results) -> None:
        if getattr(message, "channel", None) is None:
            return  # a bare {"from_finalize": true} may arrive ahead of the words
        text = message.channel.alternatives[0].transcript.strip()
        upto = self._connection.origin + 2 * round((message.start + message.duration) * SAMPLE_RATE)
        if not message.is_final:
            if text and text != self._interim:
                await self._push_interim(self._with_held(text), result=message)
            self._interim, self._interim_upto = text, upto
            return
        if text and upto <= self._transcribed:
            return  # after a timeout, its interim result was used as final
        if self._connection.peeking and (
            message.from_finalize or upto >= self._connection.untranscribed.sent - _TOLERANCE
        ):
            await self._peeked(text, upto, message)
            return
        self._interim = ""
        self._transcribed = upto
        self._connection.untranscribed.mark_transcribed(upto)
        answers = bool(message.from_finalize)
        self._finalizes_unanswered = max(0, self._finalizes_unanswered - answers)
        ended = upto >= self._speech_ended - _TOLERANCE or (
            answers and not self._finalizes_unanswered
        )
        if self._awaiting and not ended:
            # An earlier part of the ended speech, split off by its length or by an earlier
            # Finalize: the rest follows with the next result.
            if text:
                self._words = True
                self._held.append(text)
                await self._push_interim(self._with_held(""), result=message)
        elif text:
            self._words = True
            finalized = answers or bool(message.speech_final) or self._awaiting
            await self._segment(text, finalized=finalized, result=message)
        else:
            await self._no_more_words(message)

    async def _peeked(self, text: str, upto: int, message: ListenV1Results) -> None:
        """Take the words of unfinished speech as interim, and have it heard again as a whole."""
        if message.from_finalize:
            self._finalizes_unanswered = max(0, self._finalizes_unanswered - 1)
        self._connection.hear_again(self._speech_began - _AHEAD)
        self._interim, self._interim_upto = text, upto
        if text:
            await self._push_interim(self._with_held(text), result=message)

    async def _segment(self, text: str, *, finalized: bool, result: Any) -> None:
        text = self._with_held(text)
        self._held.clear()
        if finalized:
            self._awaiting = False
            self._connection.expect_words(self._vad_speaking)
        await self._push_final(text, finalized=finalized, result=result)

    def _with_held(self, text: str) -> str:
        return " ".join([*self._held, *filter(None, [text])])

    async def _no_more_words(self, result: Any = None) -> None:
        """Finish the ended speech with the words so far, if any."""
        if self._awaiting:
            await self._segment("", finalized=True, result=result)

    def _finalize(self) -> None:
        self._finalizes_unanswered += 1
        self._connection.finalize()

    async def _unanswered(self) -> None:
        """Use the last interim result as final, because ``Finalize`` has timed out."""
        self._finalizes_unanswered = 0
        interim, self._interim = self._interim, ""
        if not self._awaiting:
            self._interim = interim
        elif interim:
            self._words = True
            self._transcribed = self._interim_upto
            await self._segment(interim, finalized=True, result=None)
        else:
            await self._no_more_words()

    async def _utterance_ended(self, message: ListenV1UtteranceEnd) -> None:
        """Propose the end of the turn, unless the message is about words before the current speech.

        ``last_word_end`` is -1 if Deepgram knows no last word.
        """
        last_word = self._connection.origin + 2 * round(message.last_word_end * SAMPLE_RATE)
        if message.last_word_end < 0 or not self._words or last_word < self._speech_began:
            return
        self._words = False
        await self.push_frame(ProposedUserStoppedSpeakingFrame())
