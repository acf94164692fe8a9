"""A vendor that fails each call is noticed, and further callers need not find out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from loguru import logger

from operating.breaker import MOST_FAILURES, TRIAL_SECS, Breaker
from tests.operating.calls import call, over, turn

REFUSED = "DeepgramSTT: HTTP 401 INVALID_AUTH"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}", level="ERROR")
    yield lines
    logger.remove(sink)


def fails(breaker: Breaker, count: int = 1, *, why: str = "fault", **record: Any) -> None:
    """So many calls that end in the same way."""
    for _ in range(count):
        breaker.begun(call())
        breaker.turn(turn(**record))
        breaker.ended(over(call(), why))


def test_calls_are_refused_once_a_recogniser_has_failed_several_until_one_is_answered(
    told: list[str],
) -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    failed: dict[str, Any] = {"number": 0, "decision": None, "errors": (REFUSED,)}
    fails(breaker, MOST_FAILURES - 1, **failed)
    fails(breaker, why="hangup", number=0, decision=None)  # nobody spoke, which shows nothing
    assert not breaker.trouble
    fails(breaker, **failed)
    assert (breaker.failing, breaker.refuses) == (("stt", "deepgram"), True)
    assert breaker.trouble.startswith("Speech recognition (deepgram) failed 3 calls")
    assert "401" not in breaker.trouble  # it is public
    clock.now += TRIAL_SECS
    open_to = [breaker.refuses]
    breaker.begun(call())  # let through, and the next one is not
    open_to.append(breaker.refuses)
    breaker.turn(turn())
    breaker.ended(over(call()))
    assert [*open_to, breaker.refuses] == [False, True, False]
    assert [line.split(" failed ")[0] for line in told if "one after another" in line] == [
        "Speech recognition (deepgram)"
    ]


def test_failures_of_different_vendors_and_calls_between_them_that_work_are_no_pattern() -> None:
    breaker = Breaker()
    for _ in range(MOST_FAILURES):
        fails(breaker, MOST_FAILURES - 1, errors=(REFUSED,))
        fails(breaker, errors=("ElevenLabsTTS: HTTP 401",))
        fails(breaker, MOST_FAILURES - 1, errors=(REFUSED,))
        fails(breaker, why="hangup", errors=(REFUSED,))  # recovered, and answered
    assert breaker.failing is None


def test_a_brain_that_fails_is_told_of_and_refuses_nobody() -> None:
    breaker = Breaker()
    errors = ("GroundedResponder: Claude refuses the key",)
    person: dict[str, Any] = {"decision": "escalate", "reason": "fault", "errors": errors}
    fails(breaker, MOST_FAILURES, why="hangup", **person)
    assert breaker.failing == ("brain", "claude")
    assert not breaker.refuses
    assert not breaker.trouble
