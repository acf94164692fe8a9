"""Sentences that a filter respells or redacts, through a whole call and into its recording."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from pipecat.frames.frames import TTSSpeakFrame

from conversation.records import TurnRecord
from evals.replay import virtual_time
from examples.respelling import Redaction, Respelling
from processors.text_filter import TextFilter
from recording.recorder import RecordingTarget
from recording.recording import Recording
from recording.transcript import transcript
from recording.writer import InlineWriter
from tests.chain import ScriptedCall

ANSWER = "She studied at Vassar. Then she went to Yale."

Story = Callable[[ScriptedCall], Coroutine[Any, Any, None]]


async def to_the_end(call: ScriptedCall) -> None:
    await call.ask("Where did she study?")
    await asyncio.sleep(6.0)


async def interrupted(call: ScriptedCall) -> None:
    await call.ask("Where did she study?")
    await asyncio.sleep(1.6)
    await call.speak_over("No, where did she work?")
    await asyncio.sleep(1.0)


class Played:
    """A call with a filter: what its page was sent, its turns' records and its recording."""

    def __init__(self, folder: Path, text_filter: TextFilter, story: Story) -> None:
        self.turns: list[TurnRecord] = []

        async def play() -> None:
            target = RecordingTarget(InlineWriter(), folder)
            async with ScriptedCall(target=target, filters=[text_filter]) as call:
                record = call.conversation.kept

                def kept(turn: TurnRecord) -> None:
                    self.turns.append(turn)
                    record(turn)

                call.conversation.kept = kept
                await story(call)
                self.captions = [sentence["text"] for sentence in call.socket.own("sentence")]
                self.decided = [decision["answer"] for decision in call.socket.own("decision")]

        virtual_time.run(play())
        self.recording = Recording.load(folder / "c-scripted.mcap")

    def told(self, topic: str, name: str) -> list[Any]:
        return [message.data.get(name) for message in self.recording.topic(topic)]


def test_a_respelling_is_spoken_and_shown_nowhere(tmp_path: Path) -> None:
    call = Played(tmp_path, Respelling({"Vassar": "Vass-er", "Yale": "Yay-ell"}), to_the_end)
    assert call.told("/brain/SentenceFrame", "text") == [
        "She studied at Vass-er.",
        "Then she went to Yay-ell.",
    ]
    assert " ".join(call.captions) == ANSWER
    assert call.decided == [ANSWER]
    assert {(turn.answer, turn.heard_text) for turn in call.turns} == {(ANSWER, ANSWER)}
    assert " ".join(call.told("/tts/SentenceFrame", "shown")) == ANSWER
    assert {*call.told("/call/Turn", "answer"), *call.told("/call/Turn", "heard_text")} == {ANSWER}
    assert transcript(call.recording)[-1].text == ANSWER


def test_who_interrupts_a_respelled_answer_heard_the_words_that_are_shown(tmp_path: Path) -> None:
    respelling = Respelling({"Vassar": "Vass-er College, in Poughkeepsie", "Yale": "Yay-ell"})
    call = Played(tmp_path, respelling, interrupted)
    first = next(turn for turn in call.turns if turn.interrupted)
    assert first.heard_text == "She studied at"
    assert transcript(call.recording)[1].heard == first.heard_text


def test_a_redacted_word_is_neither_spoken_nor_shown_anywhere(tmp_path: Path) -> None:
    call = Played(tmp_path, Redaction("Vassar", instead="a college"), to_the_end)
    answer = ANSWER.replace("Vassar", "a college")
    assert " ".join(call.captions) == answer
    assert call.decided == [answer]
    assert {(turn.answer, turn.heard_text) for turn in call.turns} == {(answer, answer)}
    # The brain's own words are what a replay decides with; nothing else has them.
    leaks = {m.topic for m in call.recording.messages if "Vassar" in str(m.data)}
    assert leaks <= {"/brain/Event"}


def test_who_interrupts_a_redacted_answer_heard_what_was_said(tmp_path: Path) -> None:
    call = Played(tmp_path, Redaction("studied", "Vassar"), interrupted)
    first = next(turn for turn in call.turns if turn.interrupted)
    assert first.heard_text.startswith("She something at")
    assert "She something at something. Then she".startswith(first.heard_text)


@pytest.mark.parametrize(
    ("text_filter", "caption"),
    [
        (Respelling({"Viva": "Veeva"}), "This is Viva."),
        (Redaction("Viva", instead="nobody"), "This is nobody."),
    ],
)
def test_a_greeting_is_filtered_as_an_answer_is(
    tmp_path: Path, text_filter: TextFilter, caption: str
) -> None:
    async def greet(call: ScriptedCall) -> None:
        await call.push(TTSSpeakFrame("This is Viva."))
        await asyncio.sleep(2.0)

    assert Played(tmp_path, text_filter, greet).captions == [caption]
