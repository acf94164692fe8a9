"""Makes a recording of another system's call: turns, decisions and voice as they were heard.

What only that system knew, such as its delays within a turn, is left empty. An answer cites what of
the document supports its sentences; without a document it cites nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conversation.frames import Exchange
from conversation.records import TurnRecord
from evals.foreign.sound import Samples, Voices
from evals.foreign.speech import Stretch
from knowledge.check.support import entails
from knowledge.loading.document import Document
from processors.brain.fixed_sentences import split
from recording.frames import of_history, raw_audio
from recording.message import Message
from recording.metadata import metadata
from recording.recording import AGENT_RATE, CALLER_RATE
from settings import Settings

BRAIN = "imported"
"""Name of the vendor of what the other system did: its brain and its voice."""

BURST_GAP_SECS = 1.0
"""Silence of the agent that divides what it says in two."""

BACKCHANNEL_SECS = 1.0
"""Longest talk within the agent's speech that is taken for a backchannel."""

YIELD_SECS = 2.0
"""An agent that falls silent this soon after a caller began to talk over it was interrupted."""

OVERLAP_SECS = 0.3
"""Shorter overlaps are the end of one turn and the beginning of the next."""

EDGE_SECS = 0.1
"""Sent before and after a voice, whose edges voice activity hears late and early."""

CUT_SECS = 0.15
"""The last of an interrupted voice is dropped, as by a page: so a turn counts as interrupted."""

AHEAD_SECS = 0.2
"""How long before it is played the agent's sound is sent."""

CHUNK_SECS = 0.1
"""Length of a piece of either voice in the recording."""

UNCLEAR = "…"
"""Stands for words of the agent that nobody understood."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the agent.

    Parameters:
        start: When it begins, in seconds of the call.
        text: Its words.
    """

    start: float
    text: str


@dataclass(frozen=True, slots=True)
class Burst:
    """What the agent says without a pause of :data:`BURST_GAP_SECS`.

    Parameters:
        start: Its onset.
        end: Its end.
        sentences: Its sentences, at least one.
        cut: Whether the caller interrupted it.
    """

    start: float
    end: float
    sentences: tuple[Sentence, ...]
    cut: bool = False

    @property
    def text(self) -> str:
        """Its words."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def sent_until(self) -> float:
        """Where the sound that was sent of it ends."""
        return self.end if self.cut else self.end + EDGE_SECS

    @property
    def over_at(self) -> float:
        """When it is over for those who listen."""
        return self.end - CUT_SECS if self.cut else self.end + EDGE_SECS


@dataclass(slots=True)
class Turn:
    """A turn of the call.

    Parameters:
        number: Its number, from 1; 0 for what the agent says before the first.
        asked: The caller's speech.
        answers: The agent's.
    """

    number: int
    asked: list[Stretch]
    answers: list[Burst] = field(default_factory=list)

    @property
    def question(self) -> str:
        """What the caller said."""
        return " ".join(stretch.text for stretch in self.asked if stretch.text)

    @property
    def answer(self) -> str:
        """What the agent said."""
        return " ".join(burst.text for burst in self.answers)

    @property
    def at(self) -> float:
        """The end of the caller's speech, or the answer's begin if that comes first."""
        end = max(stretch.end for stretch in self.asked)
        return min(end, self.answers[0].start) if self.answers else end

    @property
    def decided_at(self) -> float:
        """When the turn is taken to be over."""
        closed = max(stretch.closed_at for stretch in self.asked)
        return min(closed, self.answers[0].start) if self.answers else closed


def bursts_of(agent: Sequence[Stretch], caller: Sequence[Stretch]) -> list[Burst]:
    """The agent's speech by bursts, each with its sentences."""
    groups: list[list[Stretch]] = []
    for stretch in agent:
        if groups and stretch.start - groups[-1][-1].end < BURST_GAP_SECS:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    found = [Burst(group[0].start, group[-1].end, tuple(_sentences(group))) for group in groups]
    return [replace(burst, cut=_is_cut(burst, caller)) for burst in found]


def _sentences(group: Sequence[Stretch]) -> Iterator[Sentence]:
    """The sentences of some stretches; where one begins within a stretch follows from its words."""
    begins = [
        stretch.start + (stretch.end - stretch.start) * index / len(words)
        for stretch in group
        for words in [stretch.text.split()]
        for index in range(len(words))
    ]
    said = split(" ".join(stretch.text for stretch in group))
    if not said:
        yield Sentence(group[0].start, UNCLEAR)
        return
    first = 0
    for text in said:
        # Splitting may join words or drop marks: the last of them stands for those beyond the end.
        yield Sentence(begins[min(first, len(begins) - 1)], text)
        first += len(text.split())


def _is_cut(burst: Burst, caller: Sequence[Stretch]) -> bool:
    return any(
        burst.start <= stretch.start < burst.end - OVERLAP_SECS
        and burst.end - stretch.start <= YIELD_SECS
        and stretch.end > burst.end
        for stretch in caller
    )


def turns_of(caller: Sequence[Stretch], bursts: Sequence[Burst]) -> list[Turn]:
    """The turns, the first of them number 0: what the agent says unasked.

    A turn is what the caller says until the agent begins to speak. A short stretch within the
    agent's speech is a backchannel and makes none.
    """
    left = [stretch for stretch in caller if not _is_backchannel(stretch, bursts)]
    turns = [Turn(0, [])]
    for burst in bursts:
        asked = [stretch for stretch in left if stretch.start < burst.start]
        if asked:
            turns.append(Turn(len(turns), asked))
            left = left[len(asked) :]
        turns[-1].answers.append(burst)
    if turns[0].answers:
        turns[0].answers = [_opening(turns[0].answers)]
    if any(stretch.text for stretch in left):
        turns.append(Turn(len(turns), left))
    return turns


def _opening(bursts: Sequence[Burst]) -> Burst:
    """What the agent says before anybody else, as one text: a call speaks its greeting as one."""
    first, last = bursts[0], bursts[-1]
    text = " ".join(burst.text for burst in bursts)
    return Burst(first.start, last.end, (Sentence(first.start, text),), last.cut)


def _is_backchannel(stretch: Stretch, bursts: Sequence[Burst]) -> bool:
    return stretch.end - stretch.start <= BACKCHANNEL_SECS and any(
        burst.start <= stretch.start and stretch.end <= burst.end for burst in bursts
    )


class ImportedCall:
    """The messages of a recording.

    Parameters:
        call: Its id.
        voices: Its sound.
        heard: What the stages pushed while they heard the caller.
        turns: Its turns, from :func:`turns_of`.
        document: What the agent is held against; ``None`` if nothing is known of it.
        vendors: Name of each stage's vendor.
    """

    def __init__(
        self,
        call: str,
        voices: Voices,
        heard: Sequence[Message],
        turns: Sequence[Turn],
        *,
        document: Document | None,
        vendors: Mapping[str, str],
    ) -> None:
        self._call = call
        self._voices = voices
        self._heard = heard
        self._turns = turns
        self._document = document
        self._vendors = {"stt": BRAIN, **vendors, "brain": BRAIN, "tts": BRAIN}
        self._secs = max(voices.secs, *(message.at for message in heard), 0.0)
        self._found: list[Message] = []
        self._epoch = self._sent = self._context = 0

    def metadata(self, settings: Settings, started_at: float) -> dict[str, str]:
        """The metadata; the call's own length is the longest that a replay may take.

        Args:
            settings: Those that a replay goes by.
            started_at: When the call began, Unix seconds.
        """
        longest = max(settings.call_secs, 2 * self._secs)
        return metadata(
            call=self._call,
            started_at=started_at,
            document=self._document.title if self._document else "",
            document_hash=self._document.sha256 if self._document else "",
            settings=settings.model_copy(update={"call_secs": longest}),
            vendors=self._vendors,
            models={},
            source="import",
        )

    def messages(self) -> list[Message]:
        """All messages, in order of time; at one time, in the order of the chain."""
        self._found = []
        self._put(
            0.0,
            "/call/Begin",
            call=self._call,
            document=self._document.title if self._document else "",
            document_hash=self._document.sha256 if self._document else "",
            vendors=self._vendors,
            models={},
            ending="model",
            preemptive=False,
            limit_secs=max(120.0, 2 * self._secs),
        )
        self._hear()
        self._found += self._heard
        history: list[Exchange] = []
        for turn in self._turns:
            sections = self._cited(turn)
            if turn.number:
                self._ask(turn, sections, history)
            self._speak(turn, sections)
            if turn.number:
                self._decide(turn, sections)
                history.append(self._exchange(turn, sections))
        self._put(self._secs, "/caller/page", type="hangup")
        turns = sum(1 for turn in self._turns if turn.number)
        cost = {"stt": 0, "brain": 0, "tts": 0}
        end = {"reason": "hangup", "turns": turns, "duration_secs": self._secs, "cost": cost}
        self._put(self._secs, "/call/End", **end)
        return sorted(self._found, key=lambda message: message.at)

    def _put(self, at: float, topic: str, /, **data: Any) -> None:
        self._found.append(Message(at, topic, data))

    def _hear(self) -> None:
        step = round(CHUNK_SECS * CALLER_RATE)
        for first in range(0, len(self._voices.caller), step):
            piece = self._voices.caller[first : first + step]
            at = (first + len(piece)) / CALLER_RATE
            self._put(at, "/caller/audio", **raw_audio(piece.tobytes(), CALLER_RATE))

    # A turn.

    def _cited(self, turn: Turn) -> tuple[str, ...]:
        """The sections that by themselves support a sentence of the answer, in their order."""
        document = self._document
        if document is None or not turn.number:
            return ()
        said = [sentence.text for burst in turn.answers for sentence in burst.sentences]
        return tuple(
            section.id
            for section in document.sections
            if any(
                text != UNCLEAR and not entails(text, [section], document, turn.question).refused
                for text in said
            )
        )

    def _ask(self, turn: Turn, sections: Sequence[str], history: Sequence[Exchange]) -> None:
        first = turn.asked[0]
        self._put(first.start, "/turn/UserStartedSpeakingFrame")
        at = turn.decided_at
        self._put(at, "/turn/UserStoppedSpeakingFrame")
        self._put(at, "/turn/CallerTextFrame", text=turn.question, final=True)
        told = of_history(history)
        frame = {"turn": turn.number, "question": turn.question, "history": told}
        self._put(at, "/turn/TurnFrame", **frame, speculation=False)
        if not turn.answers:
            return
        asked = {"ask": turn.number, "brain": BRAIN}
        call = {"sections": list(sections), "confidence": "high", "answer": turn.answer}
        self._put(at, "/brain/Asked", ask=turn.number, question=turn.question, history=told)
        self._put(at, "/brain/Event", **asked, event="tool_start", name="respond")
        words = json.dumps(call, ensure_ascii=False)
        self._put(at, "/brain/Event", **asked, event="arguments", json=words)
        self._put(at, "/brain/Event", **asked, event="end")
        self._put(at, "/brain/LLMFullResponseStartFrame")

    def _speak(self, turn: Turn, sections: Sequence[str]) -> None:
        before = turn.decided_at if turn.number else 0.0
        for burst in turn.answers:
            self._context += 1
            context = str(self._context)
            start = max(before, burst.start - EDGE_SECS)
            self._put(start, "/agent/page", type="bot-started-speaking")
            self._put(start, "/tts/TTSStartedFrame", context=context)
            begins = [start, *(sentence.start for sentence in burst.sentences[1:])]
            ends = [*begins[1:], burst.sent_until]
            for sentence, begin, end in zip(burst.sentences, begins, ends, strict=True):
                ahead = max(start, begin - AHEAD_SECS)
                self._say(turn, sentence, ahead, context, sections)
                self._play(begin, end, start, context)
            self._fall_silent(turn, burst, context)

    def _say(
        self, turn: Turn, sentence: Sentence, at: float, context: str, sections: Sequence[str]
    ) -> None:
        told = {"turn": turn.number, "sections": list(sections), "lines": []}
        if turn.number:
            self._put(at, "/brain/SentenceFrame", text=sentence.text, **told)
            self._put(at, "/tts/SentenceFrame", text=sentence.text, **told, context=context)
        else:
            self._put(at, "/turn/TTSSpeakFrame", text=sentence.text)
            self._put(at, "/tts/AggregatedTextFrame", text=sentence.text, context=context)
        where = {"epoch": self._epoch, "start": self._sent}
        self._put(at, "/agent/page", type="sentence", text=sentence.text, **told, **where)

    def _play(self, start: float, end: float, not_before: float, context: str) -> None:
        """Send the agent's sound from one time to another, a little ahead of it."""
        step = round(CHUNK_SECS * AGENT_RATE)
        first, last = round(start * AGENT_RATE), round(end * AGENT_RATE)
        agent: Samples = self._voices.agent
        for begin in range(first, min(last, len(agent)), step):
            piece = agent[begin : min(begin + step, last)]
            at = max(begin / AGENT_RATE - AHEAD_SECS, not_before)
            sound = raw_audio(piece.tobytes(), AGENT_RATE)
            more = {"context": context, "samples": len(piece)}
            self._put(at, "/tts/TTSAudioRawFrame", **sound, **more)
            self._put(at, "/agent/audio", **sound)
            self._sent += len(piece)

    def _fall_silent(self, turn: Turn, burst: Burst, context: str) -> None:
        end = burst.over_at
        if burst.cut:
            self._put(end, "/turn/InterruptionFrame", turn=turn.number or None)
            self._put(end, "/agent/page", type="bot-interrupted")
            self._epoch, self._sent = self._epoch + 1, 0
            return
        self._put(end, "/tts/TTSStoppedFrame", context=context)
        self._put(end, "/agent/page", type="bot-stopped-speaking")

    def _decide(self, turn: Turn, sections: Sequence[str]) -> None:
        answers = turn.answers
        record = TurnRecord(
            call=self._call,
            number=turn.number,
            at=turn.at,
            question=turn.question,
            decision="respond" if answers else None,
            sections=tuple(sections),
            answer=turn.answer,
            heard_text=turn.answer,
            interrupted=bool(answers) and answers[-1].cut,
            e2e_latency=answers[0].start - turn.at if answers else None,
            vendors={stage: self._vendors[stage] for stage in ("stt", "brain", "tts")},
        ).as_dict()
        del record["call"]
        over = answers[-1].over_at if answers else turn.decided_at
        if answers:
            last = answers[-1].sentences[-1].start
            self._put(last, "/brain/LLMFullResponseEndFrame")
            decided = {
                "turn": turn.number,
                "decision": "respond",
                "sections": list(sections),
                "lines": [],
                "confidence": None,
                "text": turn.answer,
                "reason": "",
                "checks": [],
                "usage": dict.fromkeys(
                    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), 0
                ),
                "brain": BRAIN,
                "ttft_secs": None,
                "ttfs_secs": None,
            }
            self._put(last, "/brain/DecisionFrame", **decided)
        self._put(over, "/call/Turn", **record)

    def _exchange(self, turn: Turn, sections: Sequence[str]) -> Exchange:
        return Exchange(
            question=turn.question,
            answer=turn.answer,
            sections=tuple(sections),
            decision="respond",
            interrupted=bool(turn.answers) and turn.answers[-1].cut,
        )
