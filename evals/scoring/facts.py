"""Reads the facts of a recorded call: who spoke when, and what was decided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conversation.frames import LookedUp
from evals.scoring.intervals import Interval, clipped, merged
from evals.scoring.playback_timeline import Epoch, epochs_of
from processors.brain.tools import PREFIX
from recording.message import Message
from recording.recording import Recording

HELD_SECS = 1.0
"""Silence within an answer that divides the agent's voice into two stretches."""


@dataclass(frozen=True, slots=True)
class PlayedSentence:
    """A sentence of the agent, as far as it was played.

    Parameters:
        turn: The turn that it answers; 0 outside a turn.
        epoch: The number of interruptions before it.
        text: The whole sentence.
        sections: Ids of the sections that it cites.
        audible: When it was audible; empty if it never was.
        share: The share of its audio that was played, 0 to 1.
    """

    turn: int
    epoch: int
    text: str
    sections: tuple[str, ...]
    audible: tuple[Interval, ...]
    share: float

    @property
    def words(self) -> int:
        """The number of its words that were heard, rounded."""
        return round(len(self.text.split()) * self.share)


@dataclass(frozen=True, slots=True)
class Voice:
    """A stretch in which the agent held the floor: one answer or prompt, as it was heard.

    Parameters:
        turn: The turn that it answers; 0 for the greeting and for prompts.
        span: From its first audible sample to its last.
        audible: When it was audible within that.
        text: Its sentences.
        words: The number of words heard.
        cut: Whether an interruption ended it.
    """

    turn: int
    span: Interval
    audible: tuple[Interval, ...]
    text: str
    words: int
    cut: bool

    @property
    def start(self) -> float:
        """When its first audible sample was played."""
        return self.span.start

    @property
    def end(self) -> float:
        """When its last audible sample was played."""
        return self.span.end


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """One turn, from its last record.

    Parameters:
        record: :meth:`conversation.records.TurnRecord.as_dict` without ``call``, with ``at`` in
            seconds after the call's start.
        voice: The stretches in which its answer was heard.
        sentences: The sentences of its answer.
        calls: The brain's tool calls and their results, as in ``/brain/Asked``.
    """

    record: Mapping[str, Any]
    voice: tuple[Voice, ...]
    sentences: tuple[PlayedSentence, ...]
    calls: tuple[Mapping[str, Any], ...] = ()

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return int(self.record["number"])

    @property
    def at(self) -> float:
        """When the caller's speech ended."""
        return float(self.record["at"])

    @property
    def question(self) -> str:
        """What the recogniser understood."""
        return str(self.record.get("question", ""))

    @property
    def decision(self) -> str | None:
        """``respond``, ``escalate``, or ``None``."""
        decision: str | None = self.record.get("decision")
        return decision

    @property
    def sections(self) -> tuple[str, ...]:
        """Ids of the cited sections."""
        return tuple(self.record.get("sections", ()))

    @property
    def looked_up(self) -> tuple[LookedUp, ...]:
        """Of the cited sections, those that tools gave."""
        if "looked_up" in self.record:
            return tuple(LookedUp(**given) for given in self.record["looked_up"])
        # Recordings of formats 1 and 2 have only what was given to the brain.
        gave = {id: self._given(id.removeprefix(PREFIX)) for id in self.sections}
        return tuple(LookedUp(id, id, text) for id, text in gave.items() if text)

    def _given(self, tool: str) -> str:
        gave = (call["result"] for call in self.calls if call["tool"] == tool and call["ok"])
        return "\n".join(gave)

    @property
    def withdrawn(self) -> bool:
        """Whether the next turn contains it."""
        return bool(self.record.get("withdrawn", False))

    @property
    def begins(self) -> float | None:
        """When its answer was first heard."""
        return min((voice.start for voice in self.voice), default=None)

    def seconds(self, name: str) -> float | None:
        """A delay of its record, such as ``e2e_latency``, in seconds."""
        value = self.record.get(name)
        return None if value is None else float(value)

    @property
    def micros(self) -> int:
        """Its cost, in micro-dollars."""
        cost: Mapping[str, int] = self.record.get("cost") or {}
        return sum(cost.values())


@dataclass(frozen=True, slots=True)
class Shift:
    """A point where the replayed caller's timing changes against the recording.

    Parameters:
        recorded: Seconds of the recording.
        replayed: The same moment in seconds of the replay.
    """

    recorded: float
    replayed: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one call; times are in seconds after its start.

    Parameters:
        name: Its file's name.
        source: The name of the file that it was replayed from; its own for a recording.
        digest: The recording's digest.
        call: The call's id.
        document_hash: SHA-256 of the document that it was answered from.
        seconds: Its length.
        speech: When the caller spoke, according to voice activity detection.
        sentences: The agent's sentences.
        voice: When the agent held the floor.
        turns: The turns.
        ducks: When the voice was lowered.
        interruptions: When the page was told to drop the voice.
        micros: The call's cost, in micro-dollars.
        reason: Why it ended; empty if its end was not recorded.
        errors: Errors of the stages.
        missing: What a replay needed and the recording lacked: stage and text.
        shifts: How a replay moved the caller's speech; empty for a recording.
    """

    name: str
    source: str
    digest: str
    call: str
    document_hash: str
    seconds: float
    speech: tuple[Interval, ...]
    sentences: tuple[PlayedSentence, ...]
    voice: tuple[Voice, ...]
    turns: tuple[TurnFacts, ...]
    ducks: tuple[Interval, ...]
    interruptions: tuple[float, ...]
    micros: int
    reason: str
    errors: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    shifts: tuple[Shift, ...]

    def holding(self, moment: float) -> Voice | None:
        """The stretch in which the agent held the floor at a moment."""
        return next((voice for voice in self.voice if voice.span.holds(moment)), None)

    def replayed(self, recorded: float, *, slack: float = 0.0) -> float:
        """Convert a time of the recording to this replay's.

        Args:
            recorded: Seconds of the recording.
            slack: How far before a shift a moment already follows it, in seconds.
        """
        offset = 0.0
        for shift in self.shifts:
            if shift.recorded <= recorded + slack:
                offset = shift.replayed - shift.recorded
        return recorded + offset

    def recorded(self, replayed: float) -> float:
        """Convert a time of this replay to the recording's."""
        offset = 0.0
        for shift in self.shifts:
            if shift.replayed <= replayed:
                offset = shift.replayed - shift.recorded
        return replayed - offset


def facts_of(recording: Recording, *, name: str = "", source: str = "") -> Facts:
    """The facts of a recording, original or replayed.

    Args:
        recording: The recording.
        name: Its file's name, if not that of its path.
        source: The name of the file that it was replayed from.
    """
    messages = recording.messages
    seconds = recording.duration_secs
    sentences = _sentences(messages, epochs := epochs_of(messages), seconds)
    records = _records(messages)
    voice = _voice(sentences, epochs, records)
    calls = {
        str(message.data["question"]): tuple(message.data["calls"])
        for message in messages
        if message.topic == "/brain/Asked" and message.data.get("calls")
    }
    end = next((message.data for message in messages if message.topic == "/call/End"), {})
    cost: Mapping[str, int] = end.get("cost") or {}
    turns = tuple(
        TurnFacts(
            record,
            tuple(stretch for stretch in voice if stretch.turn == number),
            tuple(sentence for sentence in sentences if sentence.turn == number),
            calls.get(str(record.get("question")), ()),
        )
        for number, record in sorted(records.items())
        if number >= 1
    )
    return Facts(
        name=name or recording.path.name,
        source=source or name or recording.path.name,
        digest=recording.digest,
        call=recording.call,
        document_hash=recording.metadata.get("document_hash", ""),
        seconds=seconds,
        speech=_speech(messages, seconds),
        sentences=sentences,
        voice=voice,
        turns=turns,
        ducks=_ducks(messages, seconds),
        interruptions=tuple(epoch.cut_at for epoch in epochs if epoch.cut_at is not None),
        micros=sum(cost[stage] for stage in ("stt", "brain", "tts") if stage in cost)
        or sum(sum((record.get("cost") or {}).values()) for record in records.values()),
        reason=str(end.get("reason", "")),
        errors=tuple(
            f"{message.stage}: {message.data.get('error', '')}"
            for message in messages
            if message.kind == "ErrorFrame"
        ),
        missing=tuple(
            (str(message.data["stage"]), str(message.data["what"]))
            for message in messages
            if message.topic == "/replay/Missing"
        ),
        shifts=tuple(
            Shift(float(message.data["recorded"]), float(message.data["replayed"]))
            for message in messages
            if message.topic == "/replay/Shift"
        ),
    )


def _records(messages: Iterable[Message]) -> dict[int, Mapping[str, Any]]:
    """The last record of each turn."""
    return {
        int(message.data["number"]): message.data
        for message in messages
        if message.topic == "/call/Turn"
    }


def _speech(messages: Iterable[Message], seconds: float) -> tuple[Interval, ...]:
    found: list[Interval] = []
    began: float | None = None
    for message in messages:
        if message.topic == "/vad/VADUserStartedSpeakingFrame":
            began = max(0.0, message.at - float(message.data.get("start_secs", 0.0)))
        elif message.topic == "/vad/VADUserStoppedSpeakingFrame" and began is not None:
            ended = message.at - float(message.data.get("stop_secs", 0.0))
            found.append(Interval(began, max(began, ended)))
            began = None
    if began is not None:
        found.append(Interval(began, max(began, seconds)))
    return merged(found)


def _ducks(messages: Iterable[Message], seconds: float) -> tuple[Interval, ...]:
    found: list[Interval] = []
    began: float | None = None
    for message in messages:
        if message.topic != "/agent/page":
            continue
        kind = message.data.get("type")
        if kind == "duck" and message.data.get("on"):
            began = message.at if began is None else began
        elif kind in ("duck", "bot-interrupted") and began is not None:
            found.append(Interval(began, message.at))
            began = None
    if began is not None:
        found.append(Interval(began, max(began, seconds)))
    return tuple(found)


def _sentences(
    messages: Iterable[Message], epochs: Sequence[Epoch], seconds: float
) -> tuple[PlayedSentence, ...]:
    told: dict[int, list[Mapping[str, Any]]] = {}
    for message in messages:
        if message.topic == "/agent/page" and message.data.get("type") == "sentence":
            told.setdefault(int(message.data["epoch"]), []).append(message.data)
    found: list[PlayedSentence] = []
    for epoch in epochs:
        played = epoch.played(seconds)
        said = told.get(epoch.number, [])
        for index, sentence in enumerate(said):
            first = int(sentence["start"])
            after = int(said[index + 1]["start"]) if index + 1 < len(said) else epoch.samples
            heard = max(0, min(played, after) - first)
            found.append(
                PlayedSentence(
                    turn=int(sentence["turn"]),
                    epoch=epoch.number,
                    text=str(sentence["text"]),
                    sections=tuple(sentence["sections"]),
                    audible=epoch.audible(first, first + heard, after),
                    share=heard / (after - first) if after > first else 0.0,
                )
            )
    return tuple(found)


def _voice(
    sentences: Sequence[PlayedSentence],
    epochs: Sequence[Epoch],
    records: Mapping[int, Mapping[str, Any]],
) -> tuple[Voice, ...]:
    found: list[Voice] = []
    group: list[PlayedSentence] = []
    for sentence in sentences:
        if not sentence.audible:
            continue
        if group and not _goes_on(group[-1], sentence):
            found.append(_stretch(group, epochs, records))
            group = []
        group.append(sentence)
    if group:
        found.append(_stretch(group, epochs, records))
    return tuple(found)


def _goes_on(before: PlayedSentence, after: PlayedSentence) -> bool:
    same = (before.turn, before.epoch) == (after.turn, after.epoch)
    return same and after.audible[0].start - before.audible[-1].end <= HELD_SECS


def _stretch(
    group: Sequence[PlayedSentence],
    epochs: Sequence[Epoch],
    records: Mapping[int, Mapping[str, Any]],
) -> Voice:
    last = group[-1]
    span = Interval(group[0].audible[0].start, last.audible[-1].end)
    epoch = epochs[last.epoch]
    near = epoch.cut_at is not None and epoch.cut_at - span.end <= HELD_SECS
    unsaid = last.share < 1.0 or bool(records.get(last.turn, {}).get("interrupted"))
    return Voice(
        turn=last.turn,
        span=span,
        audible=merged(part for sentence in group for part in sentence.audible),
        text=" ".join(sentence.text for sentence in group),
        words=sum(sentence.words for sentence in group),
        cut=near and unsaid,
    )


def speaking(facts: Facts, start: float, end: float) -> tuple[Interval, ...]:
    """When the agent was audible between two times."""
    return clipped((part for voice in facts.voice for part in voice.audible), start, end)
