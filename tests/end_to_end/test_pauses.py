"""Questions that contain a pause, asked of a running server whose recogniser is in the cloud.

In real time, by ``viva call`` and by Chromium, over the vendors' real clients and simulators that
really hear. How soon they are answered, and who else is split, ``benchmarks.pauses`` measures.
"""

import asyncio
import json
import os
import subprocess
import wave
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pauses import SHORT_WORDS, Asked, outcome_of, recorded
from simulators.simulate import Simulators
from tests.conftest import AUDIO
from tests.end_to_end.running import (
    CHROMIUM,
    VIVA,
    Played,
    Viva,
    chromium,
    microphone,
    opened,
    until,
    viva_call,
)
from tests.lateness import in_time

pytestmark = [pytest.mark.thorough, pytest.mark.real_time]

AT_ONCE = 2
GREETING_SECS = 7.0
ANSWER_SECS = 11.0
"""From the end of a question to the next: an answer, and less silence than is asked about."""

MOST_SPLIT = 0.05
"""The share of questions that may become two turns; of Flux, whose simulator judges well, 0.02."""

each_recogniser = pytest.mark.parametrize(
    ("recogniser", "most_split"), [("deepgram", MOST_SPLIT), ("deepgram-flux", 0.02)]
)


def simulators_of(engines: Any) -> Simulators:
    return Simulators(
        engines.document,
        whisper=engines.loaded["whisper"],
        hibari=engines.loaded["hibari"],
        brain=engines.loaded["extractive"],
        smart_turn=engines.loaded["silero"].smart_turn,
    )


def wav_secs(path: Path) -> float:
    with wave.open(str(path)) as file:
        secs: float = file.getnframes() / file.getframerate()
        return secs


def ledger_turns(data_dir: Path) -> list[dict[str, Any]]:
    listed = subprocess.run(
        [VIVA, "ledger", "turns", "--json"],
        env={**os.environ, "DATA_DIR": str(data_dir)},
        capture_output=True,
        check=True,
    )
    turns: list[dict[str, Any]] = json.loads(listed.stdout)
    return turns


def split(questions: list[Asked], turns: list[list[dict[str, Any]]]) -> list[str]:
    """The questions of which a part was answered, and what was asked and heard of an answer.

    A turn of which nothing was heard is part of the one after it, which asks the whole question.
    """
    found = []
    for asked, told in zip(questions, turns, strict=True):
        questions_asked = [turn["question"] for turn in told]
        answered = [(turn["question"], turn["heard_text"]) for turn in told if turn["heard_text"]]
        if outcome_of(asked.text, questions_asked, answered) == "split" or not told:
            found.append(f"{asked.name}: {answered or questions_asked}")
    return found


@each_recogniser
async def test_viva_call_is_asked_each_question_once(
    engines: Any, recogniser: str, most_split: float
) -> None:
    questions = recorded()
    limit = asyncio.Semaphore(AT_ONCE)

    async def ask(viva: Viva, asked: Asked) -> str:
        async with limit:
            status, out, said = await asyncio.to_thread(
                viva_call, viva.socket_url, AUDIO / asked.name
            )
        assert status == 0, said
        return str(json.loads(out)["call"])

    async with simulators_of(engines) as simulators:
        with Viva(**simulators.environment, STT=recogniser) as viva:
            calls = await asyncio.gather(*(ask(viva.loaded(), asked) for asked in questions))
            turns = await asyncio.to_thread(ledger_turns, viva.data_dir)
    told = [[turn for turn in turns if turn["call"] == call] for call in calls]
    found = split(questions, told)
    with in_time():  # whoever is answered late hears of their pause late
        assert len(found) <= most_split * len(questions), "\n".join(found)


@each_recogniser
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium")
async def test_a_call_on_the_page_is_asked_each_question_once(
    engines: Any, tmp_path: Path, recogniser: str, most_split: float
) -> None:
    questions = recorded()
    parts = [part for asked in questions for part in (asked.name, ANSWER_SECS)]
    speech = microphone(tmp_path / "speech.wav", GREETING_SECS, *parts)
    async with simulators_of(engines) as simulators:
        environment = {**simulators.environment, "STT": recogniser, "CALL_SECS": "600"}
        with Viva(**environment) as viva:
            async with chromium(speech) as browser:
                page = await opened(browser, viva.loaded().url)
                await page.get_by_role("button", name="Call Viva").click()
                # Until all is said and answered, however many turns it took.
                await page.wait_for_timeout(1000 * wav_secs(speech))
                await page.get_by_role("button", name="Hang up").click()
                await until(page, "viva.state === 'ended'")
                call = await Played.on(page)
    turns = [(turn["data"]["question"], turn["data"]["heard_text"]) for turn in call.all("turn")]
    answered = [question for question, heard in turns if len(heard.split()) > SHORT_WORDS]
    told = "\n".join(f"{question} -> {heard}" for question, heard in turns)
    with in_time():
        assert abs(len(answered) - len(questions)) <= most_split * len(questions), told
