"""Where in an answer's audio each of its sentences and words begins.

No I/O: a vendor's text to speech tells it what was sent, which letters are heard when and what
audio has come; it gives back sentences, words and audio in the order in which to pass them on.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pipecat.frames.frames import AggregatedTextFrame

from conversation.alignment import WordAlignment

AUDIBLE = 100
"""Samples above it (of 32,767; -50 dB) are not silence."""

LEAD_SECS = 0.02
"""Silence that is left before the first audible sample."""

SECS_A_LETTER = 0.075
"""How fast a voice speaks, for a vendor that does not say which letter is heard when."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word begins with the next sample.

    Parameters:
        text: The word, with its punctuation.
        secs: Where it begins, from the start of the audio passed on.
    """

    text: str
    secs: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence to be spoken.

    Parameters:
        frame: Its announcement.
        text: What the vendor is given to say: the frame's, pronunciations written into it.
    """

    frame: AggregatedTextFrame
    text: str


Item = AggregatedTextFrame | Word | bytes


class SpeechTimeline:
    """One answer as a vendor speaks it.

    Letters are counted without white space, which vendors add and leave out. Where the vendor gives
    no times at all, they are estimated from the letters.

    Args:
        sample_rate: Of the audio, in Hz; it is s16le, one channel.
        trim_leading_silence: Leave out silence before the answer's first audible sample, but 20 ms.
    """

    def __init__(self, *, sample_rate: int, trim_leading_silence: bool = True) -> None:
        self._rate = sample_rate
        self._sentences: list[Sentence] = []
        self._said: set[int] = set()
        self._passed = 0  # Samples passed on.
        self._begin(trim=trim_leading_silence)

    def _begin(self, *, trim: bool) -> None:
        self._begins: dict[int, list[AggregatedTextFrame | str]] = {}
        self._marks: deque[tuple[int, AggregatedTextFrame | str]] = deque()
        self._letters = 0  # Sent.
        self._timed = 0  # Letters whose time is known.
        self._came = 0  # Samples that came.
        self._odd = b""
        self._fresh = True  # None of it was passed on.
        self._silence: bytes | None = b"" if trim else None

    @property
    def heard(self) -> bool:
        """Whether any audio was passed on."""
        return self._passed > 0

    @property
    def unsaid(self) -> tuple[Sentence, ...]:
        """The sentences of which nothing was passed on, in order."""
        return tuple(s for s in self._sentences if s.frame.id not in self._said)

    def add(self, sentence: Sentence) -> None:
        """A sentence is to be spoken after those before it."""
        self._sentences.append(sentence)
        self._place(sentence)

    def _place(self, sentence: Sentence) -> None:
        self._begins.setdefault(self._letters, []).append(sentence.frame)
        words = sentence.frame.text.split()
        aligned = WordAlignment(sentence.text, sentence.frame.text)
        for number, given in enumerate(sentence.text.split()):
            begun = words[aligned.words_after(number) : aligned.words_after(number + 1)]
            self._begins.setdefault(self._letters, []).extend(begun)
            self._letters += len(given)

    def restart(self) -> tuple[Sentence, ...]:
        """The vendor begins anew, with what it has said nothing of.

        Returns:
            The sentences that must be sent again.
        """
        unsaid = self.unsaid
        self._begin(trim=self._silence is not None and not self.heard)
        for sentence in unsaid:
            self._place(sentence)
        return unsaid

    def align(
        self, letters: Sequence[str], begin_secs: Sequence[float], *, absolute: bool = False
    ) -> None:
        """Take the vendor's word for when letters are heard; before the audio that came with it.

        Args:
            letters: The next letters of the text, white space included.
            begin_secs: When each begins.
            absolute: From the first sample of all, not from the first sample that comes next.
        """
        origin = 0 if absolute else self._came
        for letter, secs in zip(letters, begin_secs, strict=False):
            for _ in "".join(letter.split()):
                self._mark(origin + round(secs * self._rate))

    def _mark(self, sample: int) -> None:
        for item in self._begins.pop(self._timed, ()):
            last = self._marks[-1][0] if self._marks else 0
            self._marks.append((max(sample, last), item))
        self._timed += 1

    def take(self, pcm: bytes) -> list[Item]:
        """Take audio that came, and give what can be passed on now."""
        pcm = self._odd + pcm
        whole = len(pcm) // 2 * 2
        pcm, self._odd = pcm[:whole], pcm[whole:]
        start = self._came
        self._came += whole // 2
        if self._silence is not None:
            pcm = self._silence + pcm
            start = self._came - len(pcm) // 2
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
            self._open(start)
        items: list[Item] = []
        at = start
        while self._marks and self._marks[0][0] < end:
            sample, item = self._marks.popleft()
            if sample > at:
                items.append(self._sound(pcm[2 * (at - start) : 2 * (sample - start)]))
                at = sample
            items.append(self._name(item))
        items.append(self._sound(pcm[2 * (at - start) :]))
        return items

    def _open(self, start: int) -> None:
        """There is no audio without a sentence that it belongs to."""
        if self._marks:
            self._marks[0] = (start, self._marks[0][1])
        elif self._begins:
            self._marks += ((start, item) for item in self._begins.pop(min(self._begins)))

    def _estimate(self, end: int) -> None:
        """Place what begins before a sample by its letters alone."""
        for letter in sorted(self._begins):
            sample = round(letter * SECS_A_LETTER * self._rate)
            if sample >= end:
                break
            self._marks += ((sample, item) for item in self._begins.pop(letter))

    def _sound(self, pcm: bytes) -> bytes:
        self._passed += len(pcm) // 2
        return pcm

    def _name(self, item: AggregatedTextFrame | str) -> AggregatedTextFrame | Word:
        if isinstance(item, str):
            return Word(item, self._passed / self._rate)
        self._said.add(item.id)
        return item

    def finish(self) -> list[Item]:
        """Give what is left to be named once all audio has come."""
        left = [item for _, item in self._marks]
        left += [item for letter in sorted(self._begins) for item in self._begins[letter]]
        self._marks.clear()
        self._begins.clear()
        return [self._name(item) for item in left]
