"""Finds where in an answer's audio each of its sentences and words begins. No I/O.

A vendor's text to speech adds the sentences sent, the times of their letters and the audio
received, and gets back sentences, words and audio in the order in which to pass them on.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pipecat.frames.frames import AggregatedTextFrame

from conversation.alignment import WordAlignment

AUDIBLE = 100
"""Samples above this (of 32,767; -50 dB) are not silence."""

LEAD_SECS = 0.02
"""Silence kept before the first audible sample."""

SECS_A_LETTER = 0.075
"""Estimated duration of a letter, for vendors that send no times."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that begins with the next sample.

    Parameters:
        text: The word, with its punctuation.
        secs: When it begins, from the start of the audio passed on.
    """

    text: str
    secs: float


@dataclass(frozen=True, slots=True)
class TimedSentence:
    """A sentence to be spoken.

    Parameters:
        frame: Its announcement.
        text: The text sent to the vendor: the frame's text with pronunciations inserted.
    """

    frame: AggregatedTextFrame
    text: str


Item = AggregatedTextFrame | Word | bytes


class SpeechTimeline:
    """One answer as a vendor speaks it.

    Letters are counted without white space, which vendors add and remove. Without any times from
    the vendor, they are estimated from the number of letters.

    Args:
        sample_rate: In Hz. The audio is mono s16le.
        trim_leading_silence: Remove all but 20 ms of the silence before the first audible sample.
    """

    def __init__(self, *, sample_rate: int, trim_leading_silence: bool = True) -> None:
        self._rate = sample_rate
        self._sentences: list[TimedSentence] = []
        self._begun: set[int] = set()  # Ids of the sentences passed on.
        self._passed = 0  # Samples passed on.
        self._reset(trim=trim_leading_silence)

    def _reset(self, *, trim: bool) -> None:
        self._begins: dict[int, list[AggregatedTextFrame | str]] = {}  # By letters before it.
        self._marks: deque[tuple[int, AggregatedTextFrame | str]] = deque()  # With their sample.
        self._letters = 0  # Sent.
        self._timed = 0  # Letters whose time is known.
        self._received = 0  # Samples.
        self._odd = b""  # Half a sample.
        self._fresh = True  # No audio was passed on since the reset.
        self._silence: bytes | None = b"" if trim else None

    @property
    def has_audio(self) -> bool:
        """Whether any audio was passed on."""
        return self._passed > 0

    @property
    def unspoken(self) -> tuple[TimedSentence, ...]:
        """The sentences that were not passed on yet, in order."""
        return tuple(s for s in self._sentences if s.frame.id not in self._begun)

    def add(self, sentence: TimedSentence) -> None:
        """Append a sentence sent to the vendor."""
        self._sentences.append(sentence)
        self._place(sentence)

    def _place(self, sentence: TimedSentence) -> None:
        self._begins.setdefault(self._letters, []).append(sentence.frame)
        words = sentence.frame.text.split()
        aligned = WordAlignment(sentence.text, sentence.frame.text)
        for number, given in enumerate(sentence.text.split()):
            begin = words[aligned.words_after(number) : aligned.words_after(number + 1)]
            self._begins.setdefault(self._letters, []).extend(begin)
            self._letters += len(given)

    def restart(self) -> tuple[TimedSentence, ...]:
        """Start again with the unspoken sentences, for a new request.

        Returns:
            The sentences to send again.
        """
        unspoken = self.unspoken
        self._reset(trim=self._silence is not None and not self.has_audio)
        for sentence in unspoken:
            self._place(sentence)
        return unspoken

    def align(
        self, letters: Sequence[str], begin_secs: Sequence[float], *, absolute: bool = False
    ) -> None:
        """Add the vendor's times of letters, ahead of the audio that they came with.

        Args:
            letters: The next letters of the text, including white space.
            begin_secs: When each begins, from the next sample to be added.
            absolute: They begin from the first sample instead.
        """
        origin = 0 if absolute else self._received
        for letter, secs in zip(letters, begin_secs, strict=False):
            for _ in "".join(letter.split()):
                self._mark(origin + round(secs * self._rate))

    def _mark(self, sample: int) -> None:
        for item in self._begins.pop(self._timed, ()):
            last = self._marks[-1][0] if self._marks else 0
            self._marks.append((max(sample, last), item))
        self._timed += 1

    def add_audio(self, pcm: bytes) -> list[Item]:
        """Add received audio, s16le, and return the items to pass on now."""
        pcm = self._odd + pcm
        whole = len(pcm) // 2 * 2
        pcm, self._odd = pcm[:whole], pcm[whole:]
        start = self._received
        self._received += whole // 2
        if self._silence is not None:
            pcm = self._silence + pcm
            start = self._received - len(pcm) // 2
            loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > AUDIBLE)
            lead = round(LEAD_SECS * self._rate)
            if not len(loud):
                self._silence = pcm[-2 * lead :]
                return []
            cut = max(0, int(loud[0]) - lead)
            pcm, start = pcm[2 * cut :], start + cut
            self._silence = None
        return self._pass(pcm, start) if pcm else []

    def _pass(self, pcm: bytes, start: int) -> list[Item]:
        end = start + len(pcm) // 2
        if not self._timed:
            self._estimate(end)
        if self._fresh:
            self._fresh = False
            self._mark_first(start)
        items: list[Item] = []
        at = start
        while self._marks and self._marks[0][0] < end:
            sample, item = self._marks.popleft()
            if sample > at:
                items.append(self._pass_audio(pcm[2 * (at - start) : 2 * (sample - start)]))
                at = sample
            items.append(self._announce(item))
        items.append(self._pass_audio(pcm[2 * (at - start) :]))
        return items

    def _mark_first(self, start: int) -> None:
        """Let the first sentence begin with the first sample, so that no audio is without one."""
        if self._marks:
            self._marks[0] = (start, self._marks[0][1])
        elif self._begins:
            self._marks += ((start, item) for item in self._begins.pop(min(self._begins)))

    def _estimate(self, end: int) -> None:
        """Estimate, from the letters, which items begin before a sample."""
        for letter in sorted(self._begins):
            sample = round(letter * SECS_A_LETTER * self._rate)
            if sample >= end:
                break
            self._marks += ((sample, item) for item in self._begins.pop(letter))

    def _pass_audio(self, pcm: bytes) -> bytes:
        self._passed += len(pcm) // 2
        return pcm

    def _announce(self, item: AggregatedTextFrame | str) -> AggregatedTextFrame | Word:
        if isinstance(item, str):
            return Word(item, self._passed / self._rate)
        self._begun.add(item.id)
        return item

    def finish(self) -> list[Item]:
        """Return the remaining sentences and words, after the last audio."""
        left = [item for _, item in self._marks]
        left += [item for letter in sorted(self._begins) for item in self._begins[letter]]
        self._marks.clear()
        self._begins.clear()
        return [self._announce(item) for item in left]
