"""What one call can cost at worst, and the budget that holds it to that.

A call is held to its time, its brain to so many tokens a decision. Within them it is given money
for more turns than people take, and one turn at its very worst. :class:`CallBudget` ends the call
before a turn that could exceed that, whoever calls.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from conversation.records import MICROS, Used, in_micros
from knowledge.loading.document import Document
from ledger.money.prices import Prices
from pipeline.call import CANCEL_TIMEOUT_SECS, LAST_WORDS_SECS, START_TIMEOUT_SECS
from pipeline.choice import Choice
from pipeline.vendors import Stage, Vendor
from pipeline.vendors.elevenlabs import ElevenLabsSettings
from processors.brain.cached_prompt import (
    CHARS_PER_TOKEN_AT_MOST,
    MARGIN,
    MAX_EXCHANGES,
    estimated_tokens,
    prompt,
    restatements,
)
from processors.brain.contract import MAX_DECISION_TOKENS
from processors.brain.decision_run import ATTEMPTS
from processors.brain.prompt import tools
from processors.tts.elevenlabs_messages import WHOLE_ANSWER_ATTEMPTS
from settings import Settings

TURN_SECS = 5.0
"""Time of a short question and a short answer: a call has money for that many turns."""

ANSWER_CHARS = 300
"""One to three short sentences, which brains are told to answer in."""

NOTICE_CHARS = 130
"""Longest text that is said beside answers: a hedge, a prompt, a farewell."""

QUOTED_CHARS = 400
"""What an extractive brain may say beside the longest line that it quotes."""

SPEECH_CHARS_PER_SEC = 25
"""Faster than anybody speaks."""

SENT_AGAIN_SECS = 30.0
"""Audio that may be sent a second time, after connections that dropped."""

_MESSAGE_TOKENS = 16  # of a message, beside its words


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What a call can cost, in micro-dollars.

    Parameters:
        call: All of it.
        opening: Before its first turn.
        turn: Most that one more turn can add, with what it takes to end the call after it.
    """

    call: int
    opening: int
    turn: int


@dataclass(frozen=True, slots=True)
class CallBudget:
    """One call's money.

    Parameters:
        cap: Most that it may cost, in micro-dollars; ``None`` without a cap.
        turn: As in :class:`WorstCase`.
    """

    cap: int | None
    turn: int

    def may_continue(self, spent: int) -> bool:
        """Whether the call may have another turn; if not, it is to be ended with words.

        Args:
            spent: What it has cost so far, in micro-dollars.
        """
        return self.cap is None or spent + self.turn <= self.cap


def reckon(
    settings: Settings, document: Document, choices: Mapping[Stage, Choice], prices: Prices
) -> WorstCase:
    """What a call can cost by its limits, whatever it may cost by ``CALL_SPEND_CAP_USD``.

    Each vendor of a stage may be charged for: a reserve hears what the first one heard.
    """
    rates = _Rates(settings, document, prices)
    listeners, brains, voices = (choices[stage].vendors for stage in ("stt", "brain", "tts"))
    secs = START_TIMEOUT_SECS + settings.call_secs + LAST_WORDS_SECS + CANCEL_TIMEOUT_SECS
    early = settings.preemptive != "off"

    longest = 2 * NOTICE_CHARS + max(_longest_answer(one, document) for one in brains)
    if settings.of(ElevenLabsSettings).tts_mode == "whole":
        longest *= WHOLE_ANSWER_ATTEMPTS
    turn = sum(rates.heard(one, secs + SENT_AGAIN_SECS) for one in listeners)
    turn += sum(rates.said(one, longest + NOTICE_CHARS) for one in voices)
    # And one decision that was begun early and thrown away.
    turn += (ATTEMPTS + early) * sum(rates.decision(one, secs) for one in brains)

    usual = max(rates.said(one, ANSWER_CHARS) for one in voices)
    decided = max(rates.usual_decision(one, secs) for one in brains)
    usual += math.ceil(decided * (1 + settings.preemptive_waste * early))
    greeting = max(rates.said(one, len(document.persona.greeting)) for one in voices)
    opening = greeting + max(map(rates.warming, brains))
    turns = math.ceil(secs / TURN_SECS)
    return WorstCase(call=opening + turns * usual + turn, opening=opening, turn=turn)


def worst_case(settings: Settings, worst: WorstCase) -> int:
    """Most that one call can cost, in micro-dollars, as :class:`CallBudget` enforces it.

    That is what its limits allow, or a cap if that is lower.
    """
    caps = (in_micros(settings.call_spend_cap_usd), in_micros(settings.daily_spend_cap_usd))
    return min(worst.call, *(cap for cap in caps if cap is not None), worst.call)


def call_budget(settings: Settings, worst: WorstCase) -> CallBudget:
    """The budget of each call: its worst case where there is any cap."""
    capped = settings.call_spend_cap_usd is not None or settings.daily_spend_cap_usd is not None
    return CallBudget(worst_case(settings, worst) if capped else None, worst.turn)


def cap_warnings(settings: Settings, worst: WorstCase) -> list[str]:
    """What is to be said at start about caps that leave no call a turn, in sentences."""
    caps = {
        "CALL_SPEND_CAP_USD": settings.call_spend_cap_usd,
        "DAILY_SPEND_CAP_USD": settings.daily_spend_cap_usd,
    }
    least = worst.opening + worst.turn
    return [
        f"{name}={usd} ends every call before its first answer, which may cost "
        f"{_dollars(least)} at worst; allowed: that or more. A whole call may cost "
        f"{_dollars(worst.call)}."
        for name, usd in caps.items()
        if usd is not None and (in_micros(usd) or 0) < least
    ]


def _dollars(micros: int) -> str:
    """At least so much, in whole cents."""
    return f"{math.ceil(micros * 100 / MICROS) / 100:.2f} USD"


class _Rates:
    """What vendors charge for the parts of a call."""

    def __init__(self, settings: Settings, document: Document, prices: Prices) -> None:
        self._settings = settings
        self._document = document
        self._prices = prices

    def heard(self, listener: Vendor, secs: float) -> int:
        """For so much audio."""
        return self._cost(listener, Used(audio_seconds=secs))

    def said(self, voice: Vendor, chars: int) -> int:
        """For so many characters."""
        return self._cost(voice, Used(characters=chars))

    def warming(self, brain: Vendor) -> int:
        """For having a brain read the document before the first turn."""
        tokens, cached = self._cached_prompt(brain)
        return self._cost(brain, Used(cache_write_tokens=tokens)) if cached else 0

    def decision(self, brain: Vendor, secs: float) -> int:
        """For one decision at its worst in a call of so long: the document is read anew."""
        tokens, _ = self._cached_prompt(brain)
        said, out = _conversation(secs, _longest_answer(brain, self._document)), MAX_DECISION_TOKENS
        written = Used(said, out, cache_write_tokens=tokens)
        return max(self._cost(brain, written), self._cost(brain, Used(said + tokens, out)))

    def usual_decision(self, brain: Vendor, secs: float) -> int:
        """For one decision as most are."""
        tokens, cached = self._cached_prompt(brain)
        said, out = _conversation(secs, ANSWER_CHARS), MAX_DECISION_TOKENS // 2
        read = Used(said, out, cache_read_tokens=tokens) if cached else Used(said + tokens, out)
        return self._cost(brain, read)

    def _cached_prompt(self, brain: Vendor) -> tuple[int, bool]:
        """Tokens of what stands before every conversation, and whether they are surely cached."""
        text = prompt(self._document)
        around = sum(len(str(tool)) for tool in tools(self._document))
        cached = False
        if brain.caches_from is not None:
            minimum = brain.caches_from(brain.model_of(self._settings))
            for restated in restatements(self._document):
                if estimated_tokens(len(text) + around, low=True) >= math.ceil(minimum * MARGIN):
                    break
                text += f"\n{restated}\n"
            cached = estimated_tokens(len(text) + around, low=True) >= minimum
        return estimated_tokens(len(text.encode()) + around), cached

    def _cost(self, vendor: Vendor, used: Used) -> int:
        return self._prices.cost(vendor.name, vendor.model_of(self._settings), used)


def _longest_answer(brain: Vendor, document: Document) -> int:
    """Characters of the longest answer that a brain can give."""
    if brain.kind == "embedded":
        lines = (line.text for section in document.sections for line in section.lines)
        return max(map(len, lines), default=0) + QUOTED_CHARS
    return math.ceil(MAX_DECISION_TOKENS * CHARS_PER_TOKEN_AT_MOST)


def _conversation(secs: float, answer_chars: int) -> int:
    """Tokens of the turns before, and of the question: no more than can be said in the time."""
    chars = min(2 * secs * SPEECH_CHARS_PER_SEC, 2 * MAX_EXCHANGES * answer_chars)
    return estimated_tokens(math.ceil(chars)) + (2 * MAX_EXCHANGES + 1) * _MESSAGE_TOKENS
