"""Divides a recorded caller into utterances, each placed relative to the agent's voice."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from recording.message import Message
from recording.recording import AGENT_RATE, Recording

PREROLL_SECS = 0.3
"""Audio before an utterance's onset that belongs to it, since voice activity reacts late."""

CONTINUES_SECS = 1.5
"""Speech over the voice after a shorter pause continues the speech before, if its cue is missed."""

INSTANT_SECS = 1e-6
"""Less than lies between any two samples of the voice."""

BY_HAND = ("typed", "typing", "address", "talk")
"""Types of the page's messages about what a caller does by hand."""

Cue = Literal["with", "after", "over"]
"""What an utterance's start is relative to: the previous utterance, the end of the agent's voice,
or a point within one of the agent's sentences."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a caller's action relative to the agent's voice.

    A *burst* is what the agent says from one ``bot-started-speaking`` to its
    ``bot-stopped-speaking``.

    Parameters:
        cue: What ``secs`` is relative to.
        bursts: The number of bursts begun since the end of the previous utterance.
        secs: Seconds after the previous utterance's onset, the burst's end, or the sentence's
            first sample.
        sentence: The index of the sentence in its burst.
        longest_silence: The agent's longest silence since the previous utterance, in seconds.
        into: Seconds after the burst's start, by the clock.
    """

    cue: Cue
    bursts: int = 0
    secs: float = 0.0
    sentence: int = 0
    longest_silence: float = 0.0
    into: float = 0.0


@dataclass(slots=True)
class Utterance:
    """One utterance, in seconds of the recording.

    Parameters:
        number: Its number, from 1; 0 is the silence before the first.
        typed: Whether it was typed, and so has no sound.
        onset: When it starts to sound.
        end: When it stops sounding.
        place: Its place.
        pause: The time between the end of the previous utterance and its onset.
        messages: The stages' recorded output from its onset to the next one's.
    """

    number: int
    onset: float
    end: float
    place: Place
    pause: float = 0.0
    typed: bool = False
    messages: list[Message] = field(default_factory=list)

    @property
    def preroll(self) -> float:
        """Length of the audio before its onset that belongs to it."""
        if self.typed:
            return 0.0
        return min(PREROLL_SECS, max(0.0, self.pause), self.onset)

    @property
    def start(self) -> float:
        """Where its audio starts."""
        return self.onset - self.preroll


@dataclass(frozen=True, slots=True)
class RecordedCaller:
    """The recorded caller.

    Parameters:
        utterances: The utterances, in order; the first is the silence before them.
        leaves: The place where they hung up; ``None`` if the agent ended the call.
        left_at: When they hung up, in seconds of the recording.
        reason: The end reason of the call.
        median_gap: The median time from the end of the agent's voice to the next utterance.
    """

    utterances: tuple[Utterance, ...]
    leaves: Place | None
    left_at: float
    reason: str
    median_gap: float

    @classmethod
    def from_recording(cls, recording: Recording, stages: Iterable[str]) -> "RecordedCaller":
        """Divide a recording.

        Args:
            recording: The recording.
            stages: The stages whose output goes with the utterances.
        """
        voice = RecordedVoice.from_recording(recording)
        spoken = [(onset, end, False) for onset, end in _segments(recording)]
        typed = [(at, at, True) for at in _typed(recording)]
        utterances = [Utterance(0, 0.0, 0.0, Place("with"))]
        for onset, end, by_hand in sorted(spoken + typed):
            last = utterances[-1]
            on = last.number and not voice.speaking(onset) and voice.ended(onset) <= last.end
            if on and not by_hand and not last.typed:
                last.end = end
                continue
            # A typed question stops the voice at once, so its place is just before.
            place = voice.place(onset - INSTANT_SECS if by_hand else onset, last)
            pause = onset - last.end
            utterances.append(
                Utterance(last.number + 1, onset, end, place, pause=pause, typed=by_hand)
            )
        _share_out(recording, utterances, frozenset(stages))
        left_at, reason = _leaving(recording)
        gaps = [utterance.place.secs for utterance in utterances if utterance.place.cue == "after"]
        return cls(
            utterances=tuple(utterances),
            leaves=voice.place(left_at, utterances[-1]) if reason else None,
            left_at=left_at,
            reason=reason,
            median_gap=median(gaps) if gaps else 0.5,
        )


class RecordedVoice:
    """The agent's voice in a recording, from the page's messages.

    Parameters:
        began: The start of each burst.
        stopped: The end of each burst.
        sentences: For each sentence, when the page was told of it, and its first sample in its
            epoch.
        reports: The page's reports: time, epoch, and samples played.
    """

    def __init__(
        self,
        began: Sequence[float],
        stopped: Sequence[float],
        sentences: Sequence[tuple[float, int]],
        reports: Sequence[tuple[float, int, int]],
    ) -> None:
        self._began = began
        self._stopped = stopped
        self._sentences = sentences
        self._reports = reports

    @classmethod
    def from_recording(cls, recording: Recording) -> "RecordedVoice":
        """Read it off a recording."""
        began: list[float] = []
        stopped: list[float] = []
        sentences: list[tuple[float, int]] = []
        reports: list[tuple[float, int, int]] = []
        for message in recording.topic("/agent/page", "/caller/page"):
            match message.data["type"]:
                case "bot-started-speaking":
                    began.append(message.at)
                case "bot-stopped-speaking" | "bot-interrupted" if len(began) > len(stopped):
                    stopped.append(message.at)
                case "sentence":
                    sentences.append((message.at, int(message.data["start"])))
                case "playback" if not message.data["final"]:
                    data = message.data
                    reports.append((message.at, int(data["epoch"]), int(data["samples"])))
                case _:
                    pass
        return cls(began, stopped, sentences, reports)

    def speaking(self, at: float) -> bool:
        """Whether the agent is speaking at a time."""
        return bisect_right(self._began, at) > bisect_right(self._stopped, at)

    def ended(self, at: float) -> float:
        """When the agent last fell silent before a time; 0 if it never did."""
        count = bisect_right(self._stopped, at)
        return self._stopped[count - 1] if count else 0.0

    def place(self, at: float, last: Utterance) -> Place:
        """The place of a time.

        Args:
            at: The time.
            last: The previous utterance.
        """
        silence = self._longest_silence(last.end, at)
        bursts = bisect_right(self._began, at) - bisect_right(self._began, last.end)
        if self.speaking(at):
            return self._over(at, bursts, silence)
        if self.ended(at) > last.end:
            return Place("after", bursts, at - self.ended(at), longest_silence=silence)
        return Place("with", secs=at - last.onset, longest_silence=silence)

    def _over(self, at: float, bursts: int, silence: float) -> Place:
        began = self._began[bisect_right(self._began, at) - 1]
        before = self.ended(began)
        starts = [start for when, start in self._sentences if before <= when <= at]
        played = self._played(at, began, starts[0] if starts else 0)
        index = max(0, bisect_right(starts, played) - 1)
        start = starts[index] if starts else 0
        return Place("over", bursts, (played - start) / AGENT_RATE, index, silence, at - began)

    def _played(self, at: float, began: float, first: int) -> int:
        """Samples of the epoch that had been played at a time within a burst.

        Args:
            at: The time.
            began: When the burst began.
            first: The burst's first sample, from which a page that reports nothing is counted.
        """
        reports = [report for report in self._reports if began <= report[0]]
        if not reports:
            return first + int((at - began) * AGENT_RATE)
        before = [report for report in reports if report[0] <= at]
        when, _, samples = before[-1] if before else reports[0]
        return max(0, samples + int((at - when) * AGENT_RATE))

    def _longest_silence(self, since: float, until: float) -> float:
        edges = [since]
        for start, stop in zip(self._began, [*self._stopped, until], strict=False):
            if since <= stop and start <= until:
                edges += [max(since, start), min(until, stop)]
        edges.append(until)
        return max((edges[at + 1] - edges[at] for at in range(0, len(edges) - 1, 2)), default=0.0)


def _typed(recording: Recording) -> list[float]:
    """When the caller sent each question that they typed."""
    told = recording.topic("/caller/page")
    return [message.at for message in told if message.data["type"] == "typed"]


def _segments(recording: Recording) -> list[tuple[float, float]]:
    """Onset and end of each stretch of speech, by voice activity."""
    found: list[tuple[float, float]] = []
    onset: float | None = None
    for message in recording.topic(
        "/vad/VADUserStartedSpeakingFrame", "/vad/VADUserStoppedSpeakingFrame"
    ):
        if message.kind == "VADUserStartedSpeakingFrame":
            onset = max(0.0, message.at - message.data["start_secs"])
        elif onset is not None:
            found.append((onset, max(onset, message.at - message.data["stop_secs"])))
            onset = None
    if onset is not None:
        found.append((onset, max(onset, recording.duration_secs)))
    return found


def _share_out(
    recording: Recording, utterances: Sequence[Utterance], stages: frozenset[str]
) -> None:
    """Assign the stages' recorded output to the utterances that caused it."""
    begins = [0.0] * len(utterances)
    for message in recording.topic("/vad/VADUserStartedSpeakingFrame"):
        onset = message.at - message.data["start_secs"]
        for index, utterance in enumerate(utterances):
            if utterance.number and abs(utterance.onset - max(0.0, onset)) < 1e-6:
                begins[index] = message.at
    for index, utterance in enumerate(utterances):
        if utterance.typed:
            begins[index] = utterance.onset
    stopped = dict.fromkeys(range(len(utterances)), False)
    late = dict.fromkeys(range(len(utterances)), True)  # whether its transcript is still to come
    for message in recording.messages:
        by_hand = message.topic == "/caller/page" and message.data["type"] in BY_HAND
        if message.stage not in stages and not by_hand:
            continue
        if message.topic in ("/brain/Asked", "/brain/Event"):
            continue
        index = max(0, bisect_right(begins, message.at) - 1)
        if message.kind == "VADUserStoppedSpeakingFrame":
            stopped[index] = True
        elif message.kind == "TranscriptionFrame":
            # A transcript just after the next onset belongs to the speech before.
            before = index - 1
            if before > 0 and late[before] and stopped[before] and not stopped[index]:
                index = before
            late[index] = False
        utterances[index].messages.append(message)


def _leaving(recording: Recording) -> tuple[float, str]:
    """When the caller hung up, and the end reason; no reason if the agent ended the call."""
    for message in recording.topic("/caller/page"):
        if message.data["type"] == "hangup":
            return message.at, "hangup"
    for message in recording.topic("/call/End"):
        reason = str(message.data["reason"])
        return message.at, "" if reason in ("silence", "cap") else "disconnected"
    return recording.duration_secs, "disconnected"  # the recording was cut
