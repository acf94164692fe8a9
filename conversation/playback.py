"""Tracks which part of the voice was sent and played, and which words are in it.

No I/O: the transport reports what it sends, the page what it has played. Samples are counted from
the start of an *epoch*, the stretch between two interruptions.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

from conversation.alignment import WordAlignment

AHEAD_SECS = 0.5
"""How far a report may be ahead of playback in real time: clocks of sound cards differ, and the
network delays what is sent."""


@dataclass(slots=True)
class Span:
    """A sentence and the samples of its audio.

    Parameters:
        turn: The caller's turn it answers; 0 outside a turn (greeting, prompts).
        text: The sentence, as it is shown.
        start: First sample, from the start of the epoch.
        samples: Samples sent so far.
        voice: Samples of its audio that the voice has produced, sent or not.
        words: Its words by the vendor's times: first sample in the span, end in ``spoken``.
        spoken: The sentence as the voice speaks it; empty if that is ``text``.
        sent_at: When its first sample was sent; ``None`` before.
    """

    turn: int
    text: str
    start: int
    samples: int = 0
    voice: int = 0
    words: list[tuple[int, int]] = field(default_factory=list)
    spoken: str = ""
    sent_at: float | None = None

    def __post_init__(self) -> None:
        self.spoken = self.spoken or self.text

    @property
    def end(self) -> int:
        """First sample after the audio known so far."""
        return self.start + max(self.samples, self.voice)

    def heard(self, played: int) -> str:
        """The words that had begun when ``played`` samples of the epoch were played.

        A sentence without any audio is not heard: it has not come yet, or the voice could not
        pronounce it.
        """
        if self.end == self.start:
            return ""
        if played >= self.end:
            return self.text
        if self.words:
            begun = [end for first, end in self.words if self.start + first < played]
            return self._shown(max(begun, default=0))
        if played <= self.start:
            return ""
        reached = (played - self.start) / (self.end - self.start) * len(self.spoken)
        return self._shown(len(_whole_words(self.spoken, reached)))

    def spoken_between(self, first: int, last: int) -> str:
        """The words of ``spoken`` that overlap the audio between two samples of the epoch."""
        length = self.end - self.start
        begin, stop = max(first, self.start) - self.start, min(last, self.end) - self.start
        if stop <= begin or not length:
            return ""
        letters = len(self.spoken)
        left = self.spoken.rfind(" ", 0, begin * letters // length + 1) + 1
        right = self.spoken.find(" ", stop * letters // length)
        return self.spoken[left : right if right >= 0 else None]

    def _shown(self, spoken_end: int) -> str:
        return self.text[: WordAlignment(self.spoken, self.text).end_after(spoken_end)]


@dataclass(slots=True)
class Epoch:
    """The voice between two interruptions."""

    spans: list[Span] = field(default_factory=list)
    sent: int = 0
    played: int = 0
    closed: bool = False
    moved_at: float | None = None
    """When ``played`` last grew."""
    playable: tuple[int, float] = (0, 0.0)
    """A sample, and when a page that plays in real time plays it."""


class Playback:
    """The voice of one call, as sent and as played.

    A page that reports nothing is assumed to play in real time what it was sent. A page's report
    takes precedence, but never counts more than was sent, nor more than can have been played since.
    """

    def __init__(self, *, sample_rate: int) -> None:
        self._rate = sample_rate
        self._epochs = [Epoch()]
        self._reported_at: float | None = None

    @property
    def epoch(self) -> int:
        """Number of the present epoch, from 0."""
        return len(self._epochs) - 1

    @property
    def sent(self) -> int:
        """Samples sent in the present epoch."""
        return self._epochs[-1].sent

    @property
    def reported(self) -> int:
        """Samples of the present epoch that the page last reported as played."""
        return self._epochs[-1].played

    def begin_sentence(self, turn: int, text: str, spoken: str = "") -> Span:
        """Start a sentence: the audio sent from now on speaks it.

        Args:
            turn: The caller's turn it answers; 0 for none.
            text: The sentence, as it is shown.
            spoken: The sentence as the voice speaks it; empty for the same.
        """
        span = Span(turn, text, self.sent, spoken=spoken)
        self._epochs[-1].spans.append(span)
        return span

    def word(self, word: str) -> None:
        """Start a word: the audio sent from now on speaks it."""
        spans = self._epochs[-1].spans
        if not spans:
            return
        span = spans[-1]
        at = span.spoken.find(word, span.words[-1][1] if span.words else 0)
        if at >= 0:
            span.words.append((span.samples, at + len(word)))

    def send(self, samples: int, now: float) -> None:
        """Record that samples have been sent."""
        epoch = self._epochs[-1]
        if self.played(now) >= epoch.sent:
            # The page's buffer was empty: it plays these from now on.
            epoch.played = epoch.sent
            epoch.moved_at = self._reported_at = now
        if self._playable(epoch, now) >= epoch.sent:
            epoch.playable = (epoch.sent, now)
        epoch.sent += samples
        if epoch.spans:
            span = epoch.spans[-1]
            span.sent_at = now if span.sent_at is None else span.sent_at
            span.samples += samples

    def report(self, epoch: int, samples: int, now: float, *, final: bool = False) -> bool:
        """Record what the page reports to have played.

        Returns:
            Whether the report counts; one of a closed or a future epoch does not.
        """
        if epoch > self.epoch or self._epochs[epoch].closed:
            return False
        told = self._epochs[epoch]
        most = min(told.sent, self._playable(told, now) + int(AHEAD_SECS * self._rate))
        played = max(0, min(samples, most))
        if played != told.played or told.moved_at is None:
            told.moved_at = now
        told.played = played
        if epoch == self.epoch:
            self._reported_at = now
        elif final:
            told.closed = True
        return True

    def played(self, now: float) -> int:
        """Samples of the present epoch played by now, extrapolated from the last report."""
        epoch = self._epochs[-1]
        if self._reported_at is None:
            return epoch.played
        since = int((now - self._reported_at) * self._rate)
        return min(epoch.sent, epoch.played + max(0, since))

    def pause(self, since: float) -> None:
        """Assume that nothing is played from a time on: the page cannot be reached."""
        epoch = self._epochs[-1]
        epoch.played, epoch.moved_at = self.played(since), since
        self._reported_at = None

    def go_on(self, now: float) -> None:
        """Assume again that what was sent is played in real time, unless the page reports."""
        if self._reported_at is None:
            self._reported_at = now

    def _playable(self, epoch: Epoch, now: float) -> int:
        """Samples of an epoch played by now, had the page played each as soon as it could."""
        sample, since = epoch.playable
        return min(epoch.sent, sample + int(max(0.0, now - since) * self._rate))

    def spoken_between(self, since: float, until: float) -> str:
        """The words that were played between two times, as the voice speaks them.

        Args:
            since: The first moment.
            until: The last, which is now or shortly before.
        """
        words = []
        for epoch in self._epochs[-2:]:
            if epoch.moved_at is None:
                continue
            last = epoch.sent if epoch is self._epochs[-1] else epoch.played
            first, end = (
                epoch.played + int((moment - epoch.moved_at) * self._rate)
                for moment in (since, until)
            )
            words += [span.spoken_between(first, min(end, last)) for span in epoch.spans]
        return " ".join(filter(None, words))

    def remaining_secs(self, now: float) -> float:
        """Seconds of audio that the page still has to play."""
        return (self.sent - self.played(now)) / self._rate

    def interrupt(self, now: float) -> int:
        """Start a new epoch; the unplayed part of the old one will not be heard.

        Returns:
            The new epoch's number.
        """
        ended = self._epochs[-1]
        ended.played, ended.moved_at = self.played(now), now
        self._epochs.append(Epoch())
        self._reported_at = None
        return self.epoch

    def heard(self, turn: int, now: float) -> str:
        """The part of the answer to a turn that the caller has heard, cut at a word."""
        words = []
        for number, epoch in enumerate(self._epochs):
            played = self.played(now) if number == self.epoch else epoch.played
            words += [span.heard(played) for span in epoch.spans if span.turn == turn]
        return " ".join(part for part in words if part)

    def first_span(self, turn: int) -> Span | None:
        """The first sentence of the answer to a turn in the present epoch, if there is one."""
        spans = self._epochs[-1].spans
        return next((span for span in spans if span.turn == turn), None)

    def speaking(self, now: float) -> Span | None:
        """The sentence being played now, if any."""
        if self.remaining_secs(now) <= 0:
            return None
        spans = self._epochs[-1].spans
        at = bisect_right([span.start for span in spans], self.played(now)) - 1
        return spans[at] if at >= 0 else None


def _whole_words(text: str, reached: float) -> str:
    """The words of a text that begin before a position in it."""
    cut = len(text)
    for at, letter in enumerate(text):
        if at >= reached and letter == " ":
            cut = at
            break
    return text[:cut]
