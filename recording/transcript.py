"""The transcript of a recording: who said what, when, and what was heard of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from conversation.playback import Span
from recording.message import Message
from recording.recording import Recording


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance of the transcript.

    Parameters:
        at: When it began, seconds after the call's start.
        who: ``caller`` or ``agent``.
        text: The words; of an answer, all that were meant to be spoken.
        heard: The part that was played; of the caller, all.
        interrupted: The caller cut it short.
        turn: Number of the caller's turn that it is or answers; 0 outside turns.
        sections: Ids of the sections that an answer cites.
    """

    at: float
    who: Literal["caller", "agent"]
    text: str
    heard: str
    interrupted: bool = False
    turn: int = 0
    sections: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Answer:
    """What the page received as one answer or one prompt."""

    at: float
    turn: int
    spans: list[tuple[int, Span]] = field(default_factory=list)
    sections: dict[str, None] = field(default_factory=dict)


def transcript(recording: Recording) -> list[Said]:
    """All utterances, in order."""
    return sorted((*_of_caller(recording), *_of_agent(recording)), key=lambda said: said.at)


def _of_caller(recording: Recording) -> Iterator[Said]:
    began: float | None = None
    for message in recording.topic("/vad/VADUserStartedSpeakingFrame", "/turn/TurnFrame"):
        if message.kind == "VADUserStartedSpeakingFrame":
            if began is None:
                began = max(0.0, message.at - message.data["start_secs"])
        elif not message.data["speculation"]:
            text = message.data["question"]
            at = message.at if began is None else began
            yield Said(at, "caller", text, text, turn=message.data["turn"])
            began = None


def _of_agent(recording: Recording) -> Iterator[Said]:
    records = {message.data["number"]: message.data for message in recording.topic("/call/Turn")}
    answers, played, cut = _answers(recording)
    for answer in answers:
        text = " ".join(span.text for _, span in answer.spans)
        record = records.get(answer.turn) if answer.turn else None
        if record is not None:
            heard, interrupted = record["heard_text"], record["interrupted"]
        else:
            parts = (span.heard(played.get(epoch, 0)) for epoch, span in answer.spans)
            heard = " ".join(part for part in parts if part)
            interrupted = heard != text and answer.spans[-1][0] in cut
        yield Said(
            answer.at,
            "agent",
            record["answer"] if record is not None and record["answer"] else text,
            heard,
            interrupted,
            answer.turn,
            tuple(answer.sections),
        )


def _answers(recording: Recording) -> tuple[list[_Answer], dict[int, int], set[int]]:
    """Collect answers in order, played samples by epoch, and the interrupted epochs."""
    answers: list[_Answer] = []
    played: dict[int, int] = {}
    cut: set[int] = set()
    epoch = 0
    for message in recording.topic("/agent/page", "/agent/audio", "/caller/page"):
        match message.topic, message.data.get("type"):
            case "/agent/page", "sentence":
                _add_sentence(answers, message)
            case "/agent/page", "bot-interrupted":
                cut.add(epoch)
                epoch += 1
            case "/caller/page", "playback":
                number, samples = message.data["epoch"], message.data["samples"]
                played[number] = max(played.get(number, 0), samples)
            case "/agent/audio", _ if answers:
                answers[-1].spans[-1][1].samples += message.samples
            case _:
                pass
    return answers, played, cut


def _add_sentence(answers: list[_Answer], message: Message) -> None:
    told = message.data
    last = answers[-1] if answers else None
    if last is None or not told["turn"] or last.turn != told["turn"]:
        last = _Answer(message.at, told["turn"])
        answers.append(last)
    last.spans.append((told["epoch"], Span(told["turn"], told["text"], told["start"])))
    last.sections.update(dict.fromkeys(told["sections"]))
