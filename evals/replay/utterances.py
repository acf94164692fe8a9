"""A recorded caller, cut into utterances, each with its place relative to the agent's voice."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from recording.message import Message
from recording.recording import AGENT_RATE, Recording

PREROLL_SECS = 0.3
"""How much before its onset an utterance is taken to begin: voice activity hears late."""

CONTINUES_SECS = 1.5
"""After a shorter pause, speech over the voice belongs to that before it, if its cue is missed."""

Cue = Literal["with", "after", "over"]
"""When an utterance begins: so long after the one before it, after the end of the voice, or at a
point of one of its sentences."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something that the caller did stands, relative to the agent's voice.

    A *burst* is what the agent says from one ``bot-started-speaking`` to its
    ``bot-stopped-speaking``.

    Parameters:
        cue: What it is placed by.
        bursts: How many bursts have begun since the end of the utterance before.
        secs: After the onset of the utterance before, the end of the burst, or the sentence's
            first sample.
        sentence: Index of the sentence in its burst.
        longest_silence: Longest silence of the agent since the utterance before.
    """

    cue: Cue
    bursts: int = 0
    secs: float = 0.0
    sentence: int = 0
    longest_silence: float = 0.0


@dataclass(slots=True)
class Utterance:
    """One utterance, in seconds of the recording.

    Parameters:
        number: From 1; 0 is the silence before the first.
        onset: Its first sound.
        end: Its last sound.
        place: Where it stands.
        pause: Between the end of the utterance before and its onset.
        messages: What the stages gave while it lasted, until the next one.
    """

    number: int
    onset: float
    end: float
    place: Place
    pause: float = 0.0
    messages: list[Message] = field(default_factory=list)

    @property
    def preroll(self) -> float:
        """How much before its onset it begins."""
        return min(PREROLL_SECS, max(0.0, self.pause), self.onset)

    @property
    def start(self) -> float:
        """Where its audio begins."""
        return self.onset - self.preroll


@dataclass(frozen=True, slots=True)
class RecordedCaller:
    """What the caller did.

    Parameters:
        utterances: In order; the first is the silence before them.
        leaves: When they left, relative to the voice; ``None`` if they stayed to the end.
        left_at: The same, in seconds of the recording.
        reason: Why the call ended then.
        median_gap: From the end of the agent's voice to their next utterance, usually.
    """

    utterances: tuple[Utterance, ...]
    leaves: Place | None
    left_at: float
    reason: str
    median_gap: float

    @classmethod
    def from_recording(cls, recording: Recording, stages: Iterable[str]) -> "RecordedCaller":
        """Cut a recording.

        Args:
            recording: The recording.
            stages: Whose messages go with the utterances.
        """
        voice = RecordedVoice.from_recording(recording)
        segments = _segments(recording)
        utterances = [Utterance(0, 0.0, 0.0, Place("with"))]
        for onset, end in segments:
            last = utterances[-1]
            spoke = last.number and not voice.speaking(onset) and voice.ended(onset) <= last.end
            if spoke:
                last.end = end
                continue
            place = voice.place(onset, last)
            utterances.append(Utterance(last.number + 1, onset, end, place, pause=onset - last.end))
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
    """The agent's voice in a recording, as its page was told of it.

    Parameters:
        began: When each burst began.
        stopped: When each ended.
        sentences: When the page was told of each, and the first sample of it in its epoch.
        reports: When the page said so, epoch, and samples played.
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
        """Whether it is speaking."""
        return bisect_right(self._began, at) > bisect_right(self._stopped, at)

    def ended(self, at: float) -> float:
        """When it last fell silent before a moment; 0 if it never did."""
        count = bisect_right(self._stopped, at)
        return self._stopped[count - 1] if count else 0.0

    def place(self, at: float, last: Utterance) -> Place:
        """Where a moment stands.

        Args:
            at: The moment.
            last: The utterance before.
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
        told = [start for when, start in self._sentences if before <= when <= at]
        played = self._played(at, began)
        index = max(0, bisect_right(told, played) - 1)
        start = told[index] if told else 0
        return Place("over", bursts, (played - start) / AGENT_RATE, index, silence)

    def _played(self, at: float, began: float) -> int:
        """Samples of the epoch played at a moment of a burst."""
        reports = [report for report in self._reports if began <= report[0]]
        if not reports:
            return int((at - began) * AGENT_RATE)
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


def _segments(recording: Recording) -> list[tuple[float, float]]:
    """Where voice activity heard the caller: onset and end of each stretch."""
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
    """Give each utterance what the stages gave because of it."""
    begins = [0.0] * len(utterances)
    for message in recording.topic("/vad/VADUserStartedSpeakingFrame"):
        onset = message.at - message.data["start_secs"]
        for index, utterance in enumerate(utterances):
            if utterance.number and abs(utterance.onset - max(0.0, onset)) < 1e-6:
                begins[index] = message.at
    stopped = dict.fromkeys(range(len(utterances)), False)
    late = dict.fromkeys(range(len(utterances)), True)  # its transcript is yet to come
    for message in recording.messages:
        if message.stage not in stages or message.topic in ("/brain/Asked", "/brain/Event"):
            continue
        index = max(0, bisect_right(begins, message.at) - 1)
        if message.kind == "VADUserStoppedSpeakingFrame":
            stopped[index] = True
        elif message.kind == "TranscriptionFrame":
            # A transcript that comes just after the next onset is still of what was said before.
            before = index - 1
            if before > 0 and late[before] and stopped[before] and not stopped[index]:
                index = before
            late[index] = False
        utterances[index].messages.append(message)


def _leaving(recording: Recording) -> tuple[float, str]:
    """When the caller left, and as what that ended the call; no reason if they stayed."""
    for message in recording.topic("/caller/page"):
        if message.data["type"] == "hangup":
            return message.at, "hangup"
    for message in recording.topic("/call/End"):
        reason = str(message.data["reason"])
        return message.at, "" if reason in ("silence", "cap") else "disconnected"
    return recording.duration_secs, "disconnected"  # the recording was cut
