"""Text filters that fail: the caller hears an apology, and page, ledger and recording have it."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import TTSSpeakFrame

from conversation.frames import SentenceFrame
from conversation.records import TurnRecord
from evals.replay import virtual_time
from examples.respelling import Respelling
from processors.text_filter import APOLOGY, PROMPT_APOLOGY, TextFilter
from recording.recorder import RecordingTarget
from recording.recording import Recording
from recording.writer import InlineWriter
from tests.chain import ScriptedCall

FIRST, SECOND = "She studied at Vassar.", "Then she went to Yale."


class Applying(TextFilter):
    """Returns what a function makes of a sentence."""

    def __init__(self, function: Callable[[SentenceFrame], Any]) -> None:
        super().__init__()
        self._function = function

    def filter(self, sentence: SentenceFrame) -> SentenceFrame | None:
        found: SentenceFrame | None = self._function(sentence)
        return found


def raises(sentence: SentenceFrame) -> SentenceFrame:
    raise ValueError(sentence.text)


def ends_the_program(_sentence: SentenceFrame) -> SentenceFrame:
    raise SystemExit(3)


def cancels(_sentence: SentenceFrame) -> SentenceFrame:
    raise asyncio.CancelledError


def fails_at_the_second(sentence: SentenceFrame) -> SentenceFrame:
    return raises(sentence) if sentence.text == SECOND else sentence


def moves(sentence: SentenceFrame) -> SentenceFrame:
    return replace(sentence, turn=99)


def drops(_sentence: SentenceFrame) -> None:
    return None


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


class Held:
    """A call in which a question is asked, or a prompt spoken, with filters."""

    def __init__(self, folder: Path, *filters: TextFilter, prompt: str = "") -> None:
        turns: list[TurnRecord] = []

        async def hold() -> None:
            target = RecordingTarget(InlineWriter(), folder)
            async with ScriptedCall(target=target, filters=filters) as call:
                record = call.conversation.kept

                def kept(turn: TurnRecord) -> None:
                    turns.append(turn)
                    record(turn)

                call.conversation.kept = kept
                if prompt:
                    await call.push(TTSSpeakFrame(prompt))
                else:
                    await call.ask("Where did she study?")
                await asyncio.sleep(6.0)
                self.captions = [sentence["text"] for sentence in call.socket.own("sentence")]
                self.decisions = call.socket.own("decision")

        virtual_time.run(hold())
        self.recording = Recording.load(folder / "c-scripted.mcap")
        self.turn = turns[-1] if turns else None

    @property
    def failed_checks(self) -> list[str]:
        assert self.turn is not None
        return [check.name for check in self.turn.checks if not check.passed]


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (raises, "raised ValueError (tests/processors/test_text_filter.py, line"),
        (ends_the_program, "raised SystemExit"),
        (cancels, "raised CancelledError"),
        (lambda sentence: sentence.text, "returned str; it must return the SentenceFrame"),
        (lambda sentence: replace(sentence, text=5), "returned text of type int"),
        (lambda sentence: replace(sentence, shown=["x"]), "returned shown of type list"),
        (lambda sentence: replace(sentence, lines=7), "returned lines of type int"),
    ],
)
def test_an_answer_whose_filter_fails_is_an_apology_and_a_fault(
    tmp_path: Path, logged: list[str], function: Callable[[SentenceFrame], Any], what: str
) -> None:
    call = Held(tmp_path, Applying(function))
    assert call.captions == [APOLOGY]
    assert [decision["answer"] for decision in call.decisions] == [APOLOGY]
    turn = call.turn
    assert turn is not None
    assert (turn.answer, turn.heard_text) == (APOLOGY, APOLOGY)
    assert (turn.decision, turn.reason, turn.sections, turn.lines) == ("escalate", "fault", (), ())
    assert call.failed_checks == ["filter"]
    (escalation,) = call.recording.topic("/brain/EscalationFrame")
    assert escalation.data["question"] == "Where did she study?"
    (told,) = [line for line in logged if line.startswith("turn 1: Applying.filter")]
    assert what in told
    assert "None to omit it" in told


def test_what_a_failing_filter_was_given_is_nowhere_but_in_the_brains_words(tmp_path: Path) -> None:
    call = Held(tmp_path, Applying(raises))
    leaks = {m.topic for m in call.recording.messages if "Vassar" in str(m.data)}
    assert leaks <= {"/brain/Event"}


def test_an_answer_whose_filter_fails_midway_ends_with_an_apology(tmp_path: Path) -> None:
    call = Held(tmp_path, Applying(fails_at_the_second))
    assert call.captions == [FIRST, APOLOGY]
    assert call.turn is not None
    assert call.turn.heard_text == f"{FIRST} {APOLOGY}"
    assert call.turn.decision == "respond"
    assert call.failed_checks == ["filter"]


def test_an_apology_passes_the_filters_behind_the_one_that_failed(
    tmp_path: Path, logged: list[str]
) -> None:
    call = Held(tmp_path, Applying(raises), Applying(raises), Respelling({"Sorry": "Sore-ee"}))
    assert call.captions == [APOLOGY]
    assert [turn.data["text"] for turn in call.recording.topic("/brain/SentenceFrame")] == [APOLOGY]
    assert len([line for line in logged if line.startswith("turn 1: Applying.filter")]) == 1


def test_a_sentence_that_a_filter_moves_is_spoken_in_its_turn(
    tmp_path: Path, logged: list[str]
) -> None:
    call = Held(tmp_path, Applying(moves))
    assert call.turn is not None
    assert call.turn.heard_text == call.turn.answer == f"{FIRST} {SECOND}"
    (told,) = [line for line in logged if line.startswith("turn 1: Applying.filter")]
    assert "returned turn=99; a sentence keeps its turn" in told


def test_a_filter_that_drops_every_sentence_is_named_and_the_answer_counts_as_failed(
    tmp_path: Path, logged: list[str]
) -> None:
    call = Held(tmp_path, Applying(drops))
    assert call.captions == []
    assert [decision["answer"] for decision in call.decisions] == [""]
    failed = [check["name"] for check in call.decisions[0]["checks"] if not check["passed"]]
    assert failed == ["filter"]
    assert [line for line in logged if "Applying dropped every sentence of the answer (2)" in line]


def test_a_prompt_whose_filter_fails_is_an_apology(tmp_path: Path, logged: list[str]) -> None:
    call = Held(tmp_path, Applying(raises), prompt="This is Viva.")
    assert call.captions == [PROMPT_APOLOGY]
    assert [line for line in logged if line.startswith("turn 0: Applying.filter raised ValueError")]
