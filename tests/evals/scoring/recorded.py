"""A call written by hand: what would be in its recording if it had gone so."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from evals.scoring.calls import Run
from evals.scoring.facts import Facts, facts_of
from evals.scoring.matching import MatchedCall, match
from evals.scoring.truth import CallTruth, Utterance
from recording.message import Message
from recording.recording import Recording
from recording.schemas import TOPICS
from recording.writer import InlineWriter

RATE = 24_000
STARTED_NS = 1_000_000_000 * 10**9


def tone(secs: float, *, lead: float = 0.0, tail: float = 0.0) -> bytes:
    """A voice of so many seconds, with silence before and after it."""
    voice = np.tile(np.array([8000, -8000], dtype="<i2"), round(secs * RATE) // 2)
    quiet = [np.zeros(round(part * RATE), dtype="<i2") for part in (lead, tail)]
    return b"".join(part.tobytes() for part in (quiet[0], voice, quiet[1]))


EMPTY = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {}}


def whole(schema: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A message with the fields that a test does not care for: null where it may be, or empty."""
    fields = dict(data)
    for name in schema["required"]:
        kind = schema["properties"][name]["type"]
        fields.setdefault(name, None if isinstance(kind, list) else EMPTY[kind])
    for name, field in schema["properties"].items():
        if isinstance(fields.get(name), dict) and "properties" in field:
            fields[name] = whole(field, fields[name])
    return fields


class Recorded:
    """Writes a recording message by message, in any order of time.

    Parameters:
        name: Its file's name.
        document_hash: Of the document it is answered from.
    """

    def __init__(self, name: str = "call.mcap", *, document_hash: str = "") -> None:
        self.name = name
        self._hash = document_hash
        self._messages: list[Message] = []
        self._epoch = 0
        self._sent = 0

    def put(self, at: float, topic: str, data: Mapping[str, Any] | None = None) -> Self:
        """One message."""
        self._messages.append(Message(at, topic, data or {}))
        return self

    def speaks(self, start: float, end: float) -> Self:
        """The caller speaks, as voice activity detection has it 0.1 s and 0.2 s late."""
        self.put(start + 0.1, "/vad/VADUserStartedSpeakingFrame", {"start_secs": 0.1})
        return self.put(end + 0.2, "/vad/VADUserStoppedSpeakingFrame", {"stop_secs": 0.2})

    def says(
        self,
        at: float,
        text: str,
        secs: float,
        *,
        turn: int = 0,
        sections: Sequence[str] = (),
        lead: float = 0.0,
        tail: float = 0.0,
        removed: bool = False,
    ) -> Self:
        """The agent sends a sentence, all of it at once; it is played at once, or queued."""
        audio = tone(secs, lead=lead, tail=tail)
        sentence = {
            "type": "sentence",
            "turn": turn,
            "epoch": self._epoch,
            "start": self._sent,
            "text": text,
            "sections": list(sections),
            "lines": [],
        }
        self.put(at, "/agent/page", sentence)
        data: dict[str, Any] = {"sample_rate": RATE, "number_of_channels": 1}
        if removed:
            data |= {"data": "", "samples": len(audio) // 2}
        else:
            data["data"] = base64.b64encode(audio).decode()
        self.put(at, "/agent/audio", data)
        self._sent += len(audio) // 2
        return self

    def interrupted(self, at: float, *, played: float | None = None) -> Self:
        """The page is told to drop the voice; it says how many seconds of it were played."""
        self.put(at, "/agent/page", {"type": "bot-interrupted"})
        if played is not None:
            told = {"epoch": self._epoch, "samples": round(played * RATE), "final": True}
            self.put(at, "/caller/page", {"type": "playback", **told})
        self._epoch += 1
        self._sent = 0
        return self

    def played(self, at: float, secs: float) -> Self:
        """The page says how much of the present epoch it has played."""
        told = {"epoch": self._epoch, "samples": round(secs * RATE), "final": False}
        return self.put(at, "/caller/page", {"type": "playback", **told})

    def duck(self, on: float, off: float | None = None) -> Self:
        """The voice is lowered, and brought back."""
        self.put(on, "/agent/page", {"type": "duck", "on": True})
        return self if off is None else self.put(off, "/agent/page", {"type": "duck", "on": False})

    def turn(self, number: int, at: float, question: str = "", **record: Any) -> Self:
        """A turn's record is written down once its answer is over."""
        data = {"number": number, "at": at, "question": question, "decision": "respond"} | record
        return self.put(at, "/call/Turn", data)

    def ends(self, at: float, reason: str = "hangup", **cost: int) -> Self:
        """The call is over."""
        return self.put(at, "/call/End", {"reason": reason, "cost": cost})

    @property
    def recording(self) -> Recording:
        """The recording."""
        return Recording(Path(self.name), self._metadata, self._in_order)

    def write(self, folder: Path) -> Path:
        """Write it to a file of its name."""
        path = folder / self.name
        file = InlineWriter().open(path, self._metadata)
        for message in self._in_order:
            data = whole(TOPICS[message.topic], message.data)
            file.write(STARTED_NS + round(message.at * 1e9), message.topic, data)
        file.close()
        return path

    @property
    def _in_order(self) -> tuple[Message, ...]:
        return tuple(sorted(self._messages, key=lambda message: message.at))

    @property
    def _metadata(self) -> dict[str, str]:
        return {
            "call": "c-1",
            "started_at": repr(STARTED_NS / 1e9),
            "format": "1",
            "document_hash": self._hash,
        }

    @property
    def facts(self) -> Facts:
        """Its facts."""
        return facts_of(self.recording)

    def matched(self, *utterances: Utterance, tags: tuple[str, ...] = ()) -> MatchedCall:
        """The call with its truth."""
        return match(self.facts, CallTruth(self.name, "", tags, "heart", utterances))


def run_of(*calls: Recorded, name: str = "run") -> Run:
    """A run of these calls."""
    return Run(name, tuple(call.facts for call in calls), (), {})


def question(
    start: float, end: float, text: str = "Where did she study?", **more: Any
) -> Utterance:
    """An utterance that must be answered."""
    return Utterance(kind="question", text=text, start=start, end=end, **more)


def backchannel(start: float, end: float, text: str = "Mm-hm.") -> Utterance:
    """An utterance that must not be."""
    return Utterance("backchannel", text, start, end, over_agent=True, takes_turn=False)


def noise(start: float, end: float, kind: str = "noise", text: str = "") -> Utterance:
    """A sound that is not meant for the agent."""
    return Utterance(kind, text, start, end, takes_turn=False)


def bargein(start: float, end: float, text: str = "And then?", **more: Any) -> Utterance:
    """A question over the agent's voice."""
    return Utterance("bargein", text, start, end, over_agent=True, **more)
