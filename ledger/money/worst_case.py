"""The worst-case cost of one call, and the budget that enforces it.

A call has a time limit, and a brain a token limit per decision. Within them, a call gets money for
more turns than people take, and for one worst-case turn. :class:`CallBudget` ends the call before
a turn that could exceed its budget.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conversation.records import MICROS, Used, in_micros
from knowledge.loading.document import Document
from ledger.money.prices import FILE, Prices
from pipeline.call import CANCEL_TIMEOUT_SECS, LAST_WORDS_SECS, START_TIMEOUT_SECS
from pipeline.choice import Choice
from pipeline.vendors import Stage, Vendor
from pipeline.vendors.elevenlabs import ElevenLabsSettings
from processors.brain.cached_prompt import (
    CHARS_PER_TOKEN_AT_MOST,
    COMPLAINT_CHARS,
    MARGIN,
    MAX_EXCHANGES,
    estimated_tokens,
    prompt,
    restatements,
)
from processors.brain.contract import MAX_DECISION_TOKENS
from processors.brain.decision_run import ATTEMPTS
from processors.brain.guardrails import Phrases
from processors.brain.prompt import call_as_text, tools
from processors.brain.tools import MAX_RESULT_CHARS, MAX_TOOL_CALLS, FunctionTool, registered
from processors.tts.elevenlabs.messages import WHOLE_ANSWER_ATTEMPTS
from processors.tts.normalisation import MAX_ADDED_CHARS
from settings import Settings, SettingsError

TURN_SECS = 5.0
"""Length of a short question with a short answer: a call has money for that many turns."""

ANSWER_CHARS = 300
"""Length of one to three short sentences, as the prompt asks of brains."""

NOTICE_CHARS = 130
"""Longest text spoken beside answers, a hedge, a prompt or a farewell, without the persona's
contact."""

QUOTED_CHARS = 400
"""Most that an extractive brain adds to the longest line that it quotes."""

SPEECH_CHARS_PER_SEC = 25
"""Faster than anyone speaks."""

SENT_AGAIN_SECS = 30.0
"""Audio that may be sent twice because connections dropped."""

_MESSAGE_TOKENS = 16  # overhead of a message


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Worst-case costs of a call, in micro-dollars.

    Parameters:
        call: The whole call.
        opening: Before the first turn.
        turn: One further turn, including what it takes to end the call after it.
    """

    call: int
    opening: int
    turn: int


@dataclass(frozen=True, slots=True)
class CallBudget:
    """The budget of one call.

    Parameters:
        cap: Spend cap of the call, in micro-dollars; ``None`` without one.
        turn: As in :class:`WorstCase`.
    """

    cap: int | None
    turn: int

    def may_continue(self, spent: int) -> bool:
        """Whether the call may have another turn; if not, it must be ended with a farewell.

        Args:
            spent: Cost so far, in micro-dollars.
        """
        return self.cap is None or spent + self.turn <= self.cap


def compute_worst_case(
    settings: Settings,
    document: Document,
    choices: Mapping[Stage, Choice],
    prices: Prices,
    offered: Sequence[FunctionTool] | None = None,
) -> WorstCase:
    """The worst-case cost of a call by its limits, before ``CALL_SPEND_CAP_USD`` applies.

    Counts every vendor of a stage: after a failover, the reserve processes the same audio again.
    A tool that a brain may call costs another request to it.

    Args:
        settings: The settings.
        document: What calls are answered from.
        choices: The vendor of each stage.
        prices: What vendors charge.
        offered: The tools that brains may call; ``None`` for those that are registered.
    """
    offered = registered() if offered is None else offered
    lookups = MAX_TOOL_CALLS if offered else 0
    said_waiting = max((len(tool.said) for tool in offered), default=0)
    rates = _Rates(settings, document, prices, offered)
    listeners, brains, voices = (choices[stage].vendors for stage in ("stt", "brain", "tts"))
    secs = _longest_secs(settings)
    early = settings.preemptive != "off"

    notice = NOTICE_CHARS + len(document.persona.contact)
    longest = (
        said_waiting
        + len(Phrases().looking)
        + 2 * notice
        + max(_longest_answer(brain, document) for brain in brains)
    )
    if settings.for_vendor(ElevenLabsSettings).tts_mode == "whole":
        longest *= WHOLE_ANSWER_ATTEMPTS
    turn = sum(rates.heard(listener, secs + SENT_AGAIN_SECS) for listener in listeners)
    turn += sum(rates.said(voice, _spoken(longest + NOTICE_CHARS)) for voice in voices)
    # Plus one speculative decision that is discarded; it calls no tool.
    turn += (ATTEMPTS + early + lookups) * sum(rates.decision(brain, secs) for brain in brains)

    usual = max(rates.said(voice, said_waiting + ANSWER_CHARS) for voice in voices)
    decided = max(rates.usual_decision(brain, secs) for brain in brains)
    usual += math.ceil(decided * (1 + settings.preemptive_waste * early + bool(offered)))
    greeted = _spoken(len(document.persona.greeting))
    greeting = max(rates.said(voice, greeted) for voice in voices)
    opening = greeting + max(map(rates.warming, brains))
    turns = math.ceil(secs / TURN_SECS)
    return WorstCase(call=opening + turns * usual + turn, opening=opening, turn=turn)


def check_prompt(
    settings: Settings, document: Document, choices: Mapping[Stage, Choice], prices: Prices
) -> None:
    """Refuse to start under a spend cap if a prompt may exceed the length that its price covers.

    Raises:
        SettingsError: A cap is set and a brain's prompt may cost more than is known.
    """
    if settings.daily_spend_cap_usd is None and settings.call_spend_cap_usd is None:
        return
    rates = _Rates(settings, document, prices, registered())
    for brain in choices["brain"].vendors:
        model = brain.model_of(settings)
        price = prices.price(brain.name, model)
        longest = rates.longest_prompt(brain, _longest_secs(settings))
        if price is not None and 0 < price.up_to_prompt_tokens < longest:
            raise SettingsError(
                f"A prompt about this document may have {longest:,} tokens, and the price of "
                f"{model or brain.name} is for at most {price.up_to_prompt_tokens:,}: no spending "
                "cap can be kept. Set another model, shorten the document, or add the price of "
                f"long prompts to {settings.data_dir / FILE}."
            )


def worst_case(settings: Settings, worst: WorstCase) -> int:
    """The most that one call can cost, in micro-dollars, as :class:`CallBudget` enforces it.

    The worst case by its limits, or the cap if that is lower.
    """
    caps = (in_micros(settings.call_spend_cap_usd), in_micros(settings.daily_spend_cap_usd))
    return min([worst.call, *(cap for cap in caps if cap is not None)])


def call_budget(settings: Settings, worst: WorstCase) -> CallBudget:
    """The budget of each call: its worst case if any cap is set."""
    capped = settings.call_spend_cap_usd is not None or settings.daily_spend_cap_usd is not None
    return CallBudget(worst_case(settings, worst) if capped else None, worst.turn)


def cap_warnings(settings: Settings, worst: WorstCase) -> list[str]:
    """Warnings at start about caps too low for a single turn."""
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
    """Dollars, rounded up to whole cents."""
    return f"{math.ceil(micros * 100 / MICROS) / 100:.2f} USD"


class _Rates:
    """Costs of the parts of a call, by vendor."""

    def __init__(
        self,
        settings: Settings,
        document: Document,
        prices: Prices,
        offered: Sequence[FunctionTool] = (),
    ) -> None:
        self._settings = settings
        self._offered = offered
        # Each further request repeats the earlier tool calls and their results.
        given = MAX_TOOL_CALLS * (MAX_DECISION_TOKENS + estimated_tokens(MAX_RESULT_CHARS))
        self._given = given if offered else 0
        # A brain whose tools fail is told how to write a call.
        self._as_text = len(call_as_text(document, offered).encode())
        self._document = document
        self._prices = prices

    def heard(self, listener: Vendor, secs: float) -> int:
        """Cost of transcribing so much audio."""
        return self._cost(listener, Used(audio_seconds=secs))

    def said(self, voice: Vendor, chars: int) -> int:
        """Cost of speaking so many characters."""
        return self._cost(voice, Used(characters=chars))

    def warming(self, brain: Vendor) -> int:
        """Cost of warming a brain's prompt cache before the first turn."""
        tokens, cached = self._cached_prompt(brain)
        return self._cost(brain, Used(cache_write_tokens=tokens)) if cached else 0

    def decision(self, brain: Vendor, secs: float) -> int:
        """Worst-case cost of one decision, in a call of this length: the cache misses."""
        tokens, _ = self._cached_prompt(brain)
        said = self._said(brain, secs)
        out = MAX_DECISION_TOKENS
        written = Used(said, out, cache_write_tokens=tokens)
        return max(self._cost(brain, written), self._cost(brain, Used(said + tokens, out)))

    def usual_decision(self, brain: Vendor, secs: float) -> int:
        """Usual cost of one decision."""
        tokens, cached = self._cached_prompt(brain)
        said = self._tokens(brain, _conversation(secs, ANSWER_CHARS))
        out = MAX_DECISION_TOKENS // 2
        read = Used(said, out, cache_read_tokens=tokens) if cached else Used(said + tokens, out)
        return self._cost(brain, read)

    def _cached_prompt(self, brain: Vendor) -> tuple[int, bool]:
        """Tokens of the prompt before every conversation, and whether it is surely cached."""
        text = prompt(self._document, self._offered)
        around = sum(len(str(tool)) for tool in tools(self._document, self._offered))
        cached = False
        if brain.caches_from is not None:
            minimum = brain.caches_from(brain.model_of(self._settings))
            for restated in restatements(self._document):
                if estimated_tokens(len(text) + around, low=True) >= math.ceil(minimum * MARGIN):
                    break
                text += f"\n{restated}\n"
            cached = estimated_tokens(len(text) + around, low=True) >= minimum
        return self._tokens(brain, estimated_tokens(len(text.encode()) + around)), cached

    def longest_prompt(self, brain: Vendor, secs: float) -> int:
        """Most tokens of one prompt of a brain, in a call of this length."""
        return self._cached_prompt(brain)[0] + self._said(brain, secs)

    def _said(self, brain: Vendor, secs: float) -> int:
        said = _conversation(secs, _longest_answer(brain, self._document)) + self._given
        said += estimated_tokens(COMPLAINT_CHARS + self._as_text)
        return self._tokens(brain, said)

    def _tokens(self, brain: Vendor, reckoned: int) -> int:
        """Tokens of a text for a brain's model, from Viva's estimate of them."""
        return math.ceil(reckoned * brain.token_ratio(brain.model_of(self._settings)))

    def _cost(self, vendor: Vendor, used: Used) -> int:
        return self._prices.cost(vendor.name, vendor.model_of(self._settings), used)


def _longest_secs(settings: Settings) -> float:
    """The longest that a call can take, from its first vendor's connection to its end."""
    return START_TIMEOUT_SECS + settings.call_secs + LAST_WORDS_SECS + CANCEL_TIMEOUT_SECS


def _spoken(chars: int) -> int:
    """Maximum number of spoken characters for a number of shown ones."""
    return chars + MAX_ADDED_CHARS


def _longest_answer(brain: Vendor, document: Document) -> int:
    """Characters of the longest answer that a brain can give."""
    if brain.kind == "embedded":
        lines = (line.text for section in document.sections for line in section.lines)
        return max(map(len, lines), default=0) + QUOTED_CHARS
    return math.ceil(MAX_DECISION_TOKENS * CHARS_PER_TOKEN_AT_MOST)


def _conversation(secs: float, answer_chars: int) -> int:
    """Tokens of the previous turns and the question: at most what can be said in the time."""
    chars = min(2 * secs * SPEECH_CHARS_PER_SEC, 2 * MAX_EXCHANGES * answer_chars)
    return estimated_tokens(math.ceil(chars)) + (2 * MAX_EXCHANGES + 1) * _MESSAGE_TOKENS
