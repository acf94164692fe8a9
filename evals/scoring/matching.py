"""Matches truth and facts: which turns, if any, each utterance became."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evals.scoring.facts import Facts, TurnFacts, Voice
from evals.scoring.intervals import Interval, clipped, merged, without
from evals.scoring.truth import EARLY_SECS, CallTruth, Utterance

JITTER_SECS = 0.05
"""Tolerance of voice activity detection against the truth."""

LATE_SECS = 1.0
"""Maximum time from the end of an utterance to the end of its turn's speech."""

FAIR_CHANCE_SECS = 1.5
"""A caller who continues sooner than this did not wait for an answer."""

RESPONSE_SECS = 2.0
"""How long the agent must stay silent after a noise to have ignored it (τ-voice)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance of the truth, at its time in this run, with the turns it became.

    Parameters:
        index: Its index among the call's utterances, from 0.
        truth: The utterance.
        turns: The turns made of it, oldest first.
        over: The agent's voice that held the floor when it began, if any.
        joined: Whether the caller continued before an answer, so that one turn holds it and the
            next utterance.
    """

    index: int
    truth: Utterance
    turns: tuple[TurnFacts, ...] = ()
    over: Voice | None = None
    joined: bool = False

    @property
    def answer(self) -> TurnFacts | None:
        """The turn that answers it."""
        return next((turn for turn in reversed(self.turns) if not turn.withdrawn), None)

    @property
    def understood(self) -> str:
        """Its transcript, without turns that a later turn repeats."""
        asked = [turn.question for turn in self.turns if not turn.withdrawn]
        said = [
            question
            for question, after in itertools.pairwise(asked)
            if not after.startswith(question)
        ]
        return " ".join(said + asked[-1:])

    @property
    def speech(self) -> tuple[Interval, ...]:
        """When it was audible: the utterance without its pauses."""
        return without([Interval(self.truth.start, self.truth.end)], self.truth.pauses)


@dataclass(frozen=True, slots=True)
class MatchedCall:
    """One call of a run, its facts matched with its truth.

    Parameters:
        facts: What happened.
        truth: What should have happened; ``None`` without ground truth.
        heard: Its utterances; empty without truth.
        spurious: Turns that no utterance explains.
    """

    facts: Facts
    truth: CallTruth | None = None
    heard: tuple[Heard, ...] = ()
    spurious: tuple[TurnFacts, ...] = field(default=())

    def wanted(self) -> tuple[Heard, ...]:
        """The utterances that the agent must answer."""
        return tuple(heard for heard in self.heard if heard.truth.takes_turn)

    def after(self, heard: Heard) -> float:
        """When the next utterance that must be answered begins, or the call ends."""
        return min(
            (other.truth.start for other in self.wanted() if other.index > heard.index),
            default=self.facts.seconds,
        )

    def had_a_chance(self, heard: Heard) -> bool:
        """Whether the caller waited for an answer for :data:`FAIR_CHANCE_SECS`."""
        return self.after(heard) - heard.truth.end >= FAIR_CHANCE_SECS

    def of_turn(self, number: int) -> Heard | None:
        """The utterance that became the turn with this number."""
        return next(
            (heard for heard in self.heard if any(turn.number == number for turn in heard.turns)),
            None,
        )


def match(facts: Facts, truth: CallTruth | None) -> MatchedCall:
    """Match a call's truth with its facts.

    A turn belongs to the last utterance since the previous turn that must be answered, otherwise
    to the last utterance of any kind since then.
    """
    if truth is None:
        return MatchedCall(facts)
    placed = [_placed(utterance, facts) for utterance in truth.utterances]
    turns: dict[int, list[TurnFacts]] = {}
    joined: set[int] = set()
    spurious: list[TurnFacts] = []
    before = -1.0
    for turn in facts.turns:
        within = [
            index
            for index, utterance in enumerate(placed)
            if utterance.start < turn.at + JITTER_SECS and utterance.end > before + JITTER_SECS
        ]
        if not within:
            # A restarted turn has the same speech as the one before.
            within = [
                index
                for index, utterance in enumerate(placed)
                if utterance.start < turn.at + JITTER_SECS and utterance.end > turn.at - LATE_SECS
            ]
        asked = [index for index in within if placed[index].takes_turn]
        if not within:
            spurious.append(turn)
        else:
            turns.setdefault((asked or within)[-1], []).append(turn)
            joined.update(asked[:-1])
        before = turn.at
    heard = [
        Heard(
            index=index,
            truth=utterance,
            turns=tuple(turns.get(index, ())),
            over=facts.holding(utterance.start),
            joined=_went_on(turns.get(index, []), facts.turns, covered=index in joined),
        )
        for index, utterance in enumerate(placed)
    ]
    return MatchedCall(facts, truth, tuple(heard), tuple(spurious))


def _went_on(mine: Sequence[TurnFacts], turns: Sequence[TurnFacts], *, covered: bool) -> bool:
    """Whether a later turn also contains the utterance, as the one after a withdrawn turn does."""
    if not mine:
        return covered
    withdrawn = all(turn.withdrawn for turn in mine)
    return withdrawn and any(turn.number > mine[-1].number for turn in turns)


def _placed(utterance: Utterance, facts: Facts) -> Utterance:
    start = facts.replayed(utterance.start, slack=EARLY_SECS)
    pauses = [
        Interval(
            begin := max(start, facts.replayed(pause.start)), max(begin, facts.replayed(pause.end))
        )
        for pause in utterance.pauses
    ]
    return utterance.moved(start, facts.replayed(utterance.end), pauses)


def taken_over(voices: Iterable[Voice]) -> bool:
    """Whether a voice took the turn by Full-Duplex-Bench's rule: a second long, or four words."""
    voices = list(voices)
    if not voices:
        return False
    return voices[-1].end - voices[0].start >= 1.0 or sum(voice.words for voice in voices) > 3


def talking(heard: Sequence[Heard]) -> tuple[Interval, ...]:
    """When any of the utterances was audible."""
    return merged(part for utterance in heard for part in utterance.speech)


def spoken_over(call: MatchedCall, heard: Heard) -> tuple[Interval, ...]:
    """When the agent and the utterance were audible at once."""
    return tuple(
        part
        for stretch in heard.speech
        for voice in call.facts.voice
        for part in clipped(voice.audible, stretch.start, stretch.end)
    )
