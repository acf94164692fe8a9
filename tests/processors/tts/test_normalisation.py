# ruff: noqa: RUF001 - phonetic letters look like others, and are meant.
"""Figures that a call shows, and says in words."""

import asyncio
from pathlib import Path

import pytest
from pipecat.frames.frames import TTSSpeakFrame

from conversation.frames import SentenceFrame
from conversation.spoken_text.normaliser import Normaliser
from evals.replay import virtual_time
from evals.replay.voice import Takes
from processors.tts.hibari.engine import mark_letters
from processors.tts.normalisation import MAX_ADDED_CHARS, SpeechNormalisation
from recording.recorder import RecordingTarget
from recording.recording import Recording
from recording.writer import InlineWriter
from tests.chain import ScriptedCall

NORMALISER = Normaliser("en")


def in_words() -> SpeechNormalisation:
    return SpeechNormalisation(lambda shown: NORMALISER(shown).text)


def held(folder: Path, prompt: str) -> tuple[list[str], Recording]:
    """A call whose voice says a prompt: its captions, and its recording."""
    captions: list[str] = []

    async def play() -> None:
        target = RecordingTarget(InlineWriter(), folder)
        async with ScriptedCall(target=target, filters=[in_words()]) as call:
            await call.push(TTSSpeakFrame(prompt))
            await asyncio.sleep(3.0)
            captions.extend(sentence["text"] for sentence in call.socket.own("sentence"))

    virtual_time.run(play())
    return captions, Recording.load(folder / "c-scripted.mcap")


def test_a_number_is_shown_in_figures_and_said_in_words(tmp_path: Path) -> None:
    captions, recording = held(tmp_path, "Call 555-0199.")
    assert captions == ["Call 555-0199."]
    (said,) = recording.topic("/tts/AggregatedTextFrame")
    assert said.data["text"] == "Call five five five, zero one nine nine."
    assert said.data["shown"] == "Call 555-0199."


def test_a_replayed_voice_is_given_the_words_of_the_recording(tmp_path: Path) -> None:
    takes = Takes.from_recording(held(tmp_path, "Call 555-0199.")[1])
    assert takes.say("Call 555-0199.") == "Call five five five, zero one nine nine."
    assert takes.say("Call 555-0100.") == "Call 555-0100."


def test_a_sentence_keeps_its_caption_turn_and_lines() -> None:
    sentence = SentenceFrame("Born in 1906.", turn=3, sections=("early",), lines=(7,))
    said = in_words().filter(sentence)
    assert (said.text, said.shown) == ("Born in nineteen oh-six.", "Born in 1906.")
    assert (said.turn, said.sections, said.lines) == (3, ("early",), (7,))


def test_plain_words_pass_as_the_frame_that_they_came_in() -> None:
    sentence = SentenceFrame("She studied at Vassar.")
    assert in_words().filter(sentence) is sentence


def test_no_answer_grows_by_more_than_a_call_is_reckoned_to_cost() -> None:
    normalisation = in_words()
    numbers = " ".join(["+44 20 7946 0000"] * 4)
    sentences = [SentenceFrame(f"Call {numbers}.", turn=1) for _ in range(9)]
    said = [normalisation.filter(sentence).text for sentence in sentences]
    added = sum(map(len, said)) - sum(len(sentence.text) for sentence in sentences)
    assert 0 < added <= MAX_ADDED_CHARS
    assert said[-1] == sentences[-1].text
    assert "four four" in normalisation.filter(SentenceFrame(f"Call {numbers}.", turn=2)).text


def test_the_point_of_a_decimal_is_not_stressed() -> None:
    assert mark_letters("It is ten point five.") == "It is ten [point](/pYnt/) five."
    assert mark_letters("That is point one.") == "That is point one."


@pytest.mark.parametrize(
    ("said", "marked"),
    [
        ("Print it on A four paper.", "Print it on [A](/ˈA/) four paper."),
        ("In the U S A today.", "In the U S [A](/ˈA/) today."),
        ("An A I call.", "An [A](/ˈA/) I call."),
        ("A P I calls fail.", "[A](/ˈA/) P I calls fail."),
        ("A P H D helps.", "A P H D helps."),
        ("A compiler.", "A compiler."),
    ],
)
def test_the_embedded_voice_tells_the_letter_from_the_article(said: str, marked: str) -> None:
    assert mark_letters(said) == marked


def test_a_sentence_that_a_rule_fails_at_is_spoken_as_it_is() -> None:
    def fail(shown: str) -> str:
        raise ValueError(shown)

    sentence = SentenceFrame("Born in 1906.", turn=3)
    assert SpeechNormalisation(fail).filter(sentence) == sentence
