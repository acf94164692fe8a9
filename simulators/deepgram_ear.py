"""What the simulated Deepgram hears: speech by its energy, words by a script or a recogniser."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulators.deepgram_query import Query

_FRAME_SECS = 0.01
INTERIM_SECS = 1.0
_TRANSCRIBED_INTERIM_SECS = 1.0  # a recogniser on this machine has other things to do
_IDLE_RESULT_SECS = 1.0
_MAX_SEGMENT_SECS = 5.0
_WORD_GAP_SECS = 0.05
_UNNOTICED_SECS = 0.5
_MIN_SPEECH_SECS = 0.05
_WORD_GAP = 0.15
_NEARLY_ALL = 0.95

FinalizeAnswer = Literal["speech_final", "not_final", "absent", "bare", "none"]
"""How ``Finalize`` is answered; all have been seen, and the document promises none.

``speech_final``: ``is_final``, ``from_finalize`` and ``speech_final``, in mid-word, too;
``not_final``: the same with ``speech_final`` false; ``absent``: without that field; ``bare``:
``{"from_finalize": true}`` alone, and then the words as any other final result; ``none``: the
words, and nothing that says why they came.
"""

Transcriber = Callable[[bytes], Awaitable[Any]]
"""Hears 16-bit mono audio; gives text, or something with a ``text``."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a script says at the next stretch of speech.

    Parameters:
        text: The words; empty for a noise.
        speech_secs: How long they take to say. Audio that never comes holds no words: each of N
            words takes 1/N of it, and is guessed from its middle on (the documents: guesses at the
            tip of the stream may be made in mid-word). ``None``: whatever comes, a word each
            0.3 s, and the rest when it ends.
        endpointed: Whether Deepgram notices the silence after it, or only ``UtteranceEnd`` comes.
        pauses: Whether it goes on after silences, until all its words have been heard.
    """

    text: str
    speech_secs: float | None = None
    endpointed: bool = True
    pauses: bool = False


def speech_secs(pcm: bytes, *, sample_rate: int = 16_000, rms: float = 300.0) -> float:
    """How much of 16-bit mono audio is speech, as the simulator hears it.

    Args:
        pcm: The audio.
        sample_rate: Its rate.
        rms: Louder than this is speech, of 32768.
    """
    size = int(sample_rate * _FRAME_SECS)
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    secs, silence = 0.0, 1.0
    for loud in np.sqrt((frames * frames).mean(axis=1)) > rms:
        if loud:
            secs += _FRAME_SECS + (silence if silence < _WORD_GAP else 0.0)
            silence = 0.0
        else:
            silence += _FRAME_SECS
    return secs


class Script:
    """Utterances to be heard one after another, over however many connections.

    A word that was given as final is not given again; one that was not is heard again when its
    audio comes again.
    """

    def __init__(self, utterances: Sequence[Utterance | str]) -> None:
        self._coming = deque(Utterance(one) if isinstance(one, str) else one for one in utterances)
        self._given = 0
        self._heard_secs = 0.0

    @property
    def endpointed(self) -> bool:
        """Whether a pause ends the current utterance."""
        return not self._coming or self._coming[0].endpointed

    @property
    def begun(self) -> bool:
        """Whether words of the current utterance have been given as final."""
        return self._given > 0

    def add(self, utterance: Utterance | str) -> None:
        """Append an utterance to the script."""
        self._coming.append(Utterance(utterance) if isinstance(utterance, str) else utterance)

    def words(self, speech_secs: float, *, ended: bool) -> list[str]:
        """The words of the current utterance in so much speech that has had no final words."""
        if not self._coming:
            return []
        utterance = self._coming[0]
        words = utterance.text.split()
        left = words[self._given :]
        if utterance.speech_secs is None:
            return left if ended else left[: int(speech_secs / 0.3)]
        word_secs = utterance.speech_secs / max(1, len(words))
        if utterance.pauses:
            heard = self._heard_secs + speech_secs
            if heard >= _NEARLY_ALL * utterance.speech_secs:
                return left
            return left[: max(0, int(heard / word_secs + 0.5) - self._given)]
        return left[: int(speech_secs / word_secs + 0.5)]

    def complete(self, speech_secs: float) -> bool:
        """Whether so much speech that has had no final words is the rest of the utterance."""
        if not self._coming or not self._coming[0].pauses:
            return True
        left = len(self._coming[0].text.split()) - self._given
        return len(self.words(speech_secs, ended=False)) >= left

    def give(self, count: int, *, ended: bool, speech_secs: float = 0.0) -> None:
        """So many words, in so much speech, have become final; the utterance may have ended."""
        self._given += count
        self._heard_secs += speech_secs
        if self._coming and self._coming[0].pauses:
            ended = self._given >= len(self._coming[0].text.split())
        if ended and self._coming:
            self._coming.popleft()
            self._given = 0
            self._heard_secs = 0.0


@dataclass(slots=True)
class Heard:
    """A result to be sent: the words of a segment of audio, or the promise of them.

    ``speech_final`` is ``None`` where the field is left out, ``bare`` a message of nothing but
    ``from_finalize``.
    """

    start: float
    duration: float
    words: Awaitable[list[str]] | list[str]
    word_span: tuple[float, float]
    final: bool = False
    speech_final: bool | None = False
    from_finalize: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech begins, in seconds of audio."""

    timestamp: float


@dataclass(frozen=True, slots=True)
class UtteranceEnd:
    """No word has come for a while, in seconds of audio."""

    last_word_end: float


class Ear:
    """Hears one connection's audio; its results are in the audio's own time."""

    def __init__(
        self,
        query: Query,
        *,
        script: Script,
        transcriber: Transcriber | None,
        speech_rms: float,
        interim_secs: float = INTERIM_SECS,
    ) -> None:
        self._query = query
        self._script = script
        self._transcriber = transcriber
        self._interim_secs = _TRANSCRIBED_INTERIM_SECS if transcriber else interim_secs
        self._speech_rms = speech_rms
        self._frame = int(query.sample_rate * _FRAME_SECS)
        self._rest = b""
        self._segment = bytearray()
        self.time = 0.0
        self._segment_start = 0.0
        self._speech_secs = 0.0
        self._span = (0.0, 0.0)
        self._speaking = False
        self._pending = False  # speech that has had no speech_final
        self._silence = 0.0
        self._last_result = 0.0
        self._last_word_end: float | None = None

    def hear(self, audio: bytes) -> list[Heard | SpeechStarted | UtteranceEnd]:
        """The next audio, and what is to be said about it."""
        told: list[Heard | SpeechStarted | UtteranceEnd] = []
        data = self._rest + audio
        size = 2 * self._frame
        whole = len(data) // size * size
        self._rest = data[whole:]
        for at in range(0, whole, size):
            told += self._hear_frame(data[at : at + size])
        return told

    def finalize(self, answer: FinalizeAnswer = "speech_final") -> list[Heard]:
        """Flush what has no final words; nothing when there is next to nothing.

        Args:
            answer: How it is answered. Without words, any but ``speech_final`` may be ``bare`` or
                nothing; words are always sent.
        """
        if self.time - self._segment_start < 0.02:
            return []
        heard = self._final(ended=self._pending and not self._speaking, from_finalize=True)
        if answer in ("bare", "none"):
            heard.from_finalize = False
            if not heard.words:
                return [Heard(0.0, 0.0, [], (0.0, 0.0), bare=True)] if answer == "bare" else []
            bare = Heard(0.0, 0.0, [], (0.0, 0.0), bare=True)
            return [bare, heard] if answer == "bare" else [heard]
        heard.speech_final = {"speech_final": True, "not_final": False, "absent": None}[answer]
        return [heard]

    def _hear_frame(self, frame: bytes) -> list[Heard | SpeechStarted | UtteranceEnd]:
        query = self._query
        told: list[Heard | SpeechStarted | UtteranceEnd] = []
        self._segment += frame
        self.time += _FRAME_SECS
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        loud = float(np.sqrt(np.mean(samples * samples))) > self._speech_rms
        if loud:
            if not self._pending:
                self._pending = True
                self._span = (self.time, self.time)
                if query.vad_events:
                    told.append(SpeechStarted(self.time))
            if self._speech_secs == 0.0:
                self._span = (self.time - _FRAME_SECS, self.time)
            self._speaking = True
            # A gap between words is part of speech; the frame after it makes it so.
            self._speech_secs += _FRAME_SECS + (self._silence if self._silence < _WORD_GAP else 0.0)
            self._silence = 0.0
            self._span = (self._span[0], self.time)
        else:
            self._silence += _FRAME_SECS
            self._speaking = self._speaking and self._silence < 0.05
        endpointing = query.endpointing_secs
        if (
            self._pending
            and endpointing is not None
            and self._silence >= endpointing
            and self._script.endpointed
        ):
            told.append(self._final(ended=True, speech_final=True))
        elif self._pending and self._silence >= _UNNOTICED_SECS:
            told.append(self._final(ended=True))
        elif self._segment_is_full():
            told.append(self._final(ended=False))
        elif query.interim_results and self.time - self._last_result >= (
            self._interim_secs if self._pending else _IDLE_RESULT_SECS
        ):
            told.append(self._interim())
        told += self._utterance_end()
        return told

    def _segment_is_full(self) -> bool:
        """Whether the words so far become final though speech goes on, which is between words."""
        if not self._speech_secs:
            return self.time - self._segment_start >= _MAX_SEGMENT_SECS
        secs = self.time - self._span[0]
        between_words = self._silence >= _WORD_GAP_SECS
        return secs >= _MAX_SEGMENT_SECS and (between_words or secs >= 2 * _MAX_SEGMENT_SECS)

    def _utterance_end(self) -> list[UtteranceEnd]:
        gap, last = self._query.utterance_end_secs, self._last_word_end
        if gap is None or last is None or self._pending or self.time - last < gap:
            return []
        self._last_word_end = None
        return [UtteranceEnd(last)]

    def _interim(self) -> Heard:
        self._last_result = self.time
        return Heard(
            self._segment_start,
            self.time - self._segment_start,
            self._words(ended=False, final=False),
            self._span,
        )

    def _final(
        self, *, ended: bool, speech_final: bool = False, from_finalize: bool = False
    ) -> Heard:
        heard = Heard(
            self._segment_start,
            self.time - self._segment_start,
            self._words(ended=ended, final=True),
            self._span,
            final=True,
            speech_final=speech_final,
            from_finalize=from_finalize,
        )
        if self._speech_secs > _MIN_SPEECH_SECS:
            self._last_word_end = self._span[1]
        self._segment = bytearray()
        self._segment_start = self._last_result = self.time
        self._speech_secs = 0.0
        if ended:
            self._pending = self._speaking = False
        return heard

    def _words(self, *, ended: bool, final: bool) -> Awaitable[list[str]] | list[str]:
        if self._speech_secs <= _MIN_SPEECH_SECS:
            if final and ended:
                self._script.give(0, ended=self._script.begun)
            return []
        if self._transcriber is not None:
            return _transcribed(self._transcriber, bytes(self._segment))
        words = self._script.words(self._speech_secs, ended=ended)
        if final:
            self._script.give(len(words), ended=ended, speech_secs=self._speech_secs)
        return words


async def _transcribed(transcriber: Transcriber, audio: bytes) -> list[str]:
    heard = await transcriber(audio)
    return str(getattr(heard, "text", heard)).split()
