"""Nova's side of the simulated Deepgram: speech found by energy, words by script or recogniser."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulators.deepgram_query import Query

# Intervals and limits are the simulator's own: Deepgram documents none but INTERIM_SECS, which it
# gives as about a second.
_FRAME_SECS = 0.01
INTERIM_SECS = 1.0
_TRANSCRIBED_INTERIM_SECS = 1.0  # an embedded recogniser shares the machine: no more often
_IDLE_RESULT_SECS = 1.0  # empty results while nobody speaks
_MAX_SEGMENT_SECS = 5.0  # words become final after so much unbroken speech
_SEGMENT_GAP_SECS = 0.05  # silence at which such a segment may be cut
_UNNOTICED_SECS = 0.5  # silence after which words become final without endpointing
_MIN_SPEECH_SECS = 0.05  # shorter sounds have no words
_WORD_GAP_SECS = 0.15  # shorter silences are part of the speech around them
_NEARLY_ALL = 0.95  # share of an utterance's speech from which all its words are recognised

FinalizeAnswer = Literal["speech_final", "not_final", "absent", "bare", "none"]
"""How ``Finalize`` is answered. Each has been observed; the documentation promises none of them.

* ``speech_final``: a result with ``is_final``, ``from_finalize`` and ``speech_final``, even in
  mid-word
* ``not_final``: the same with ``speech_final`` false
* ``absent``: the same without the field ``speech_final``
* ``bare``: ``{"from_finalize": true}`` alone, then the words as an ordinary final result
* ``none``: the words as an ordinary final result, without ``from_finalize``
"""

Transcriber = Callable[[bytes], Awaitable[Any]]
"""Transcribes 16-bit mono audio; returns text, or an object with a ``text``."""

TurnJudge = Callable[[bytes], Awaitable[float]]
"""Gives the probability, 0 to 1, that a turn of 16-bit mono audio at 16 kHz is over."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One scripted utterance, recognised in the next stretch of speech.

    Parameters:
        text: The words; empty for a noise.
        speech_secs: How long the words take to say, in seconds of speech. Each of N words takes
            1/N of it and is recognised from its middle on, as the documentation allows in interim
            results; words whose audio never comes are not recognised. ``None`` recognises a word
            every 0.3 s of any speech, and the rest when the speech ends.
        endpointed: Whether endpointing notices the silence after it; if not, only
            ``UtteranceEnd`` comes.
        pauses: Whether the utterance continues after silences until all its words are recognised.
    """

    text: str
    speech_secs: float | None = None
    endpointed: bool = True
    pauses: bool = False


def speech_secs(pcm: bytes, *, sample_rate: int = 16_000, rms: float = 300.0) -> float:
    """Seconds of speech in audio, as the simulator measures them.

    Args:
        pcm: 16-bit mono samples, little endian.
        sample_rate: Their rate, in Hz.
        rms: The RMS above which a 10 ms frame counts as speech, of 32768.
    """
    size = int(sample_rate * _FRAME_SECS)
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    secs, silence = 0.0, 1.0
    for loud in np.sqrt((frames * frames).mean(axis=1)) > rms:
        if loud:
            secs += _FRAME_SECS + (silence if silence < _WORD_GAP_SECS else 0.0)
            silence = 0.0
        else:
            silence += _FRAME_SECS
    return secs


class Script:
    """Utterances that are recognised one after another, across connections.

    A word that has become final is not recognised again; any other is, when its audio is sent
    again on a new connection.
    """

    def __init__(self, utterances: Sequence[Utterance | str]) -> None:
        self._coming = deque(map(_utterance, utterances))
        self._final_words = 0
        self._heard_secs = 0.0

    def state(self) -> tuple[tuple[Utterance, ...], int, float]:
        """What has been recognised so far, for :meth:`restore`."""
        return tuple(self._coming), self._final_words, self._heard_secs

    def restore(self, state: tuple[tuple[Utterance, ...], int, float]) -> None:
        """Go back to an earlier :meth:`state`, since the same audio is heard again."""
        coming, self._final_words, self._heard_secs = state
        self._coming = deque(coming)

    @property
    def endpointed(self) -> bool:
        """Whether a pause ends the current utterance."""
        return not self._coming or self._coming[0].endpointed

    @property
    def pauses(self) -> bool:
        """Whether the current utterance goes on after silences."""
        return bool(self._coming) and self._coming[0].pauses

    @property
    def begun(self) -> bool:
        """Whether words of the current utterance have become final."""
        return self._final_words > 0

    def add(self, utterance: Utterance | str) -> None:
        """Append an utterance to the script."""
        self._coming.append(_utterance(utterance))

    def words(self, speech_secs: float, *, ended: bool) -> list[str]:
        """The current utterance's words in so much speech since its last final word."""
        if not self._coming:
            return []
        utterance = self._coming[0]
        words = utterance.text.split()
        left = words[self._final_words :]
        if utterance.speech_secs is None:
            return left if ended else left[: int(speech_secs / 0.3)]
        word_secs = utterance.speech_secs / max(1, len(words))
        if utterance.pauses:
            heard = self._heard_secs + speech_secs
            if heard >= _NEARLY_ALL * utterance.speech_secs:
                return left
            return left[: max(0, int(heard / word_secs + 0.5) - self._final_words)]
        return left[: int(speech_secs / word_secs + 0.5)]

    def complete(self, speech_secs: float) -> bool:
        """Whether so much speech since the last final word is the rest of the utterance."""
        if not self._coming or not self._coming[0].pauses:
            return True
        left = len(self._coming[0].text.split()) - self._final_words
        return len(self.words(speech_secs, ended=False)) >= left

    def mark_final(self, count: int, *, ended: bool, speech_secs: float = 0.0) -> None:
        """Record that words have become final.

        Args:
            count: How many words.
            ended: Whether the utterance has ended; one with ``pauses`` ends with its last word.
            speech_secs: The speech that they were recognised in.
        """
        self._final_words += count
        self._heard_secs += speech_secs
        if self._coming and self._coming[0].pauses:
            ended = self._final_words >= len(self._coming[0].text.split())
        if ended and self._coming:
            self._coming.popleft()
            self._final_words = 0
            self._heard_secs = 0.0


@dataclass(slots=True)
class Result:
    """A ``Results`` message to send; times are seconds of the connection's audio.

    Parameters:
        start: Where its segment starts.
        duration: The segment's length.
        words: The words, or an awaitable of them while a recogniser works.
        word_span: Where the first word starts and the last one ends.
        final: ``is_final``.
        speech_final: ``speech_final``; ``None`` leaves the field out.
        from_finalize: ``from_finalize``.
        bare: Whether the message has no field but ``from_finalize``.
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
    """Speech began; ``timestamp`` is in seconds of audio."""

    timestamp: float


@dataclass(frozen=True, slots=True)
class UtteranceEnd:
    """No word for ``utterance_end_ms``; ``last_word_end`` is in seconds of audio."""

    last_word_end: float


class NovaRecogniser:
    """Turns one connection's audio into events, timed in seconds of that audio."""

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
        self._pending = False  # whether there is speech since the last speech_final
        self._silence = 0.0
        self._last_result = 0.0
        self._last_word_end: float | None = None
        # The latest finalized audio, and the script's state before it: it may be sent again.
        self._finalized: tuple[bytes, Any] | None = None

    def add_audio(self, audio: bytes) -> list[Result | SpeechStarted | UtteranceEnd]:
        """Process the next audio; return the events that it causes."""
        results: list[Result | SpeechStarted | UtteranceEnd] = []
        if self._finalized is not None:
            finalized, state = self._finalized
            self._finalized = None
            if any(audio) and audio in finalized:
                self._script.restore(state)
        data = self._rest + audio
        size = 2 * self._frame
        whole = len(data) // size * size
        self._rest = data[whole:]
        for at in range(0, whole, size):
            results += self._hear_frame(data[at : at + size])
        return results

    def finalize(self, answer: FinalizeAnswer = "speech_final") -> list[Result]:
        """Make pending words final; no result if under 20 ms of audio is pending.

        Args:
            answer: The shape of the answer.
        """
        if self.time - self._segment_start < 0.02:
            return []
        self._finalized = bytes(self._segment), self._script.state()
        result = self._final(ended=self._pending and not self._speaking, from_finalize=True)
        if answer in ("bare", "none"):
            result.from_finalize = False
            if not result.words:
                return [Result(0.0, 0.0, [], (0.0, 0.0), bare=True)] if answer == "bare" else []
            bare = Result(0.0, 0.0, [], (0.0, 0.0), bare=True)
            return [bare, result] if answer == "bare" else [result]
        result.speech_final = {"speech_final": True, "not_final": False, "absent": None}[answer]
        return [result]

    def _hear_frame(self, frame: bytes) -> list[Result | SpeechStarted | UtteranceEnd]:
        query = self._query
        results: list[Result | SpeechStarted | UtteranceEnd] = []
        self._segment += frame
        self.time += _FRAME_SECS
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        loud = float(np.sqrt(np.mean(samples * samples))) > self._speech_rms
        if loud:
            if not self._pending:
                self._pending = True
                self._span = (self.time, self.time)
                if query.vad_events:
                    results.append(SpeechStarted(self.time))
            if self._speech_secs == 0.0:
                self._span = (self.time - _FRAME_SECS, self.time)
            self._speaking = True
            # A gap between words counts as speech, once speech follows it.
            gap = self._silence if self._silence < _WORD_GAP_SECS else 0.0
            self._speech_secs += _FRAME_SECS + gap
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
            results.append(self._final(ended=True, speech_final=True))
        elif self._pending and self._silence >= _UNNOTICED_SECS:
            results.append(self._final(ended=True))
        elif self._segment_is_full():
            results.append(self._final(ended=False))
        elif query.interim_results and self.time - self._last_result >= (
            self._interim_secs if self._pending else _IDLE_RESULT_SECS
        ):
            results.append(self._interim())
        results += self._utterance_end()
        return results

    def _segment_is_full(self) -> bool:
        """Whether the words so far become final, although speech goes on."""
        if not self._speech_secs:
            return self.time - self._segment_start >= _MAX_SEGMENT_SECS
        secs = self.time - self._span[0]
        between_words = self._silence >= _SEGMENT_GAP_SECS
        return secs >= _MAX_SEGMENT_SECS and (between_words or secs >= 2 * _MAX_SEGMENT_SECS)

    def _utterance_end(self) -> list[UtteranceEnd]:
        gap, last = self._query.utterance_end_secs, self._last_word_end
        if gap is None or last is None or self._pending or self.time - last < gap:
            return []
        self._last_word_end = None
        return [UtteranceEnd(last)]

    def _interim(self) -> Result:
        self._last_result = self.time
        return Result(
            self._segment_start,
            self.time - self._segment_start,
            self._words(ended=False, final=False),
            self._span,
        )

    def _final(
        self, *, ended: bool, speech_final: bool = False, from_finalize: bool = False
    ) -> Result:
        result = Result(
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
        return result

    def _words(self, *, ended: bool, final: bool) -> Awaitable[list[str]] | list[str]:
        if self._speech_secs <= _MIN_SPEECH_SECS:
            if final and ended:
                self._script.mark_final(0, ended=self._script.begun)
            return []
        if self._transcriber is not None:
            return _transcribed(self._transcriber, bytes(self._segment))
        words = self._script.words(self._speech_secs, ended=ended)
        if final:
            self._script.mark_final(len(words), ended=ended, speech_secs=self._speech_secs)
        return words


def _utterance(utterance: Utterance | str) -> Utterance:
    return Utterance(utterance) if isinstance(utterance, str) else utterance


async def _transcribed(transcriber: Transcriber, audio: bytes) -> list[str]:
    heard = await transcriber(audio)
    return str(getattr(heard, "text", heard)).split()
