"""A caller who pauses in the middle of a turn: the recogniser with Viva's turn taking behind it.

What is checked is what a caller notices: that an answer is to all that they said. An answer sounds
:data:`ANSWER_AFTER_SECS` after its turn was begun, so a turn that was
begun too early and is continued in time counts as one.

Each question is spoken whole and cut afterwards (:func:`spoken_in_pieces`): a piece that is spoken
by itself ends in a falling tone, and the turn model is right to take it for the end.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from conversation.frames import TurnFrame
from conversation.turns import INPUT_SAMPLE_RATE, Conversation
from evals.conformance.check import Check, VendorUnderTest, word_error_rate
from evals.conformance.harness import NonconformanceError, StageHarness
from evals.conformance.turns import Answers
from processors.contract import in_order
from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking

SENTENCE = ("What I would like to know is,", "what the navy asked her to do.")
HESITATION = ("Please tell me about the, um,", "machines that she programmed.")
NUMBER = ("Her number is zero two zero,", "seven nine four six,", "zero nine five eight.")
CONTINUED = ("Please tell me where she studied, and also,", "who taught her physics.")

ANSWER_AFTER_SECS = 0.4
"""From the end of a turn to the first sound of its answer: about what the embedded chain takes,
which is the soonest."""

MOST_WORD_ERRORS = 0.3
"""Of a question in pieces, per word: the words beside a pause are transcribed less well."""

MOST_DIGIT_ERRORS = 0.2
"""Of a number, per digit."""

TURN_SECS = 8.0
"""Maximum time from the last word to a turn that holds the whole question."""

_GAP_SECS = 0.05
"""A question is cut in the middle of a stretch this long, the quietest near where a piece ends."""

_NEAR_SECS = 0.35
"""How far from its share of the letters the end of a piece is looked for: the bundled voice was
found 0.15 s from it at most, in these questions."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


async def pause_in_a_sentence(subject: VendorUnderTest) -> str:
    """A pause of 0.5 s in a sentence does not divide it."""
    return await _one_question(subject, SENTENCE, 0.5)


async def hesitation(subject: VendorUnderTest) -> str:
    """Neither does an "um" and 0.8 s."""
    return await _one_question(subject, HESITATION, 0.8)


async def number_in_groups(subject: VendorUnderTest) -> str:
    """A telephone number dictated in groups is one number."""
    return await _one_question(
        subject, NUMBER, 0.6, errors=digit_error_rate, most=MOST_DIGIT_ERRORS
    )


async def continued_question(subject: VendorUnderTest) -> str:
    """A question that is continued after 1.2 s is answered as a whole."""
    return await _one_question(subject, CONTINUED, 1.2)


PAUSE_CHECKS: tuple[Check[VendorUnderTest], ...] = (
    Check(
        "pause in a sentence",
        pause_in_a_sentence,
        timeout_secs=40.0,
        failure="degrades",
        loses="callers who pause are answered in mid-sentence",
    ),
    Check(
        "hesitation",
        hesitation,
        timeout_secs=40.0,
        failure="degrades",
        loses="callers who hesitate are answered in mid-sentence",
    ),
    Check(
        "number in groups",
        number_in_groups,
        timeout_secs=40.0,
        failure="degrades",
        loses="of a dictated number only a part is understood",
    ),
    Check(
        "continued question",
        continued_question,
        timeout_secs=40.0,
        failure="degrades",
        loses="only the last part of a question is answered",
    ),
)


async def spoken_in_pieces(subject: VendorUnderTest, pieces: Sequence[str]) -> list[bytes]:
    """Speak a question in one breath, and cut it where its pieces end.

    Args:
        subject: Whose embedded voice speaks.
        pieces: The question in pieces; a comma follows each but the last.

    Returns:
        16-bit mono at 16 kHz, a part of the whole for each piece.
    """
    samples = np.frombuffer(await subject.synthesise(" ".join(pieces)), "<i2")
    letters = np.cumsum([len(piece) for piece in pieces])
    cuts = [_quiet_place(samples, share) for share in letters[:-1] / letters[-1]]
    return [part.tobytes() for part in np.split(samples, cuts)]


def _quiet_place(samples: np.ndarray, share: float) -> int:
    """The middle of the quietest stretch around a share of the samples."""
    size, near = (round(secs * INPUT_SAMPLE_RATE) for secs in (_GAP_SECS, _NEAR_SECS))
    at = round(share * len(samples))
    low, high = max(0, at - near), min(len(samples), at + near)
    energy = np.convolve(samples[low:high].astype(np.float64) ** 2, np.ones(size), "valid")
    return low + int(energy.argmin()) + size // 2


def digit_error_rate(said: str, heard: str) -> float:
    """Digits that are wrong, missing or superfluous, per digit said; in words or in figures."""
    reference = _digits(said)
    return Levenshtein.distance(reference, _digits(heard)) / max(1, len(reference))


def _digits(text: str) -> str:
    words = re.findall(r"[a-z]+|\d", text.lower())
    numbers = {**{word: str(digit) for digit, word in enumerate(_DIGITS)}, "oh": "0", "o": "0"}
    return "".join(numbers.get(word, word if word.isdigit() else "") for word in words)


async def _one_question(
    subject: VendorUnderTest,
    pieces: Sequence[str],
    pause_secs: float,
    *,
    errors: Callable[[str, str], float] = word_error_rate,
    most: float = MOST_WORD_ERRORS,
) -> str:
    speech = await spoken_in_pieces(subject, pieces)
    pause = bytes(2 * round(pause_secs * INPUT_SAMPLE_RATE))
    whole = " ".join(pieces)
    conversation = Conversation()
    ends_turns = subject.vendor.ends_turns
    stages = in_order(
        subject.build(subject.engines.choices["vad"].vendor),
        subject.build(),
        TurnTaking(conversation, ending="recogniser" if ends_turns else "model"),
        Answers(ANSWER_AFTER_SECS),
        TurnKeeper(conversation),
    )
    async with StageHarness(*stages) as harness:

        def asked() -> list[TurnFrame]:
            return [turn for _, turn in harness.received(TurnFrame) if not turn.speculation]

        def complete() -> bool:
            return bool(asked()) and errors(whole, asked()[-1].question) <= most

        await harness.say(pause.join(speech))
        try:
            await harness.wait_for(complete, TURN_SECS, "")
        except NonconformanceError:
            questions = " | ".join(turn.question for turn in asked()) or "nothing"
            raise NonconformanceError(
                f"{whole!r} was said with pauses of {pause_secs:g} s; asked was "
                f"{questions!r}{harness.reported}"
            ) from None
        count = len(asked())
    begun = "" if count == 1 else f", begun {count} times before any of it was answered"
    return f"one question over pauses of {pause_secs:g} s{begun}"
