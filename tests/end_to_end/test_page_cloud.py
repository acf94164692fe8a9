"""A call on the page over the cloud stack: its vendors' real clients, in Chromium's own sound."""

from pathlib import Path
from typing import Any

import pytest

from client.wav import OUTPUT_RATE
from simulators.simulate import Simulators
from tests.end_to_end.running import (
    CHROMIUM,
    Played,
    Viva,
    chromium,
    microphone,
    opened,
    recognised,
    until,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.real_time,
    pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium"),
]

GREETING_SECS = 7.0


async def test_a_call_on_the_page_is_heard_decided_and_spoken_by_the_vendors(
    engines: Any, tmp_path: Path
) -> None:
    simulators = Simulators(
        engines.document,
        whisper=engines.loaded["whisper"],
        hibari=engines.loaded["hibari"],
        brain=engines.loaded["extractive"],
    )
    speech = microphone(
        tmp_path / "speech.wav", GREETING_SECS, "where-studied.wav", 14.0, "first-compiler.wav"
    )
    async with simulators:
        with Viva(**simulators.environment, DATA_DIR=str(tmp_path / "data")) as viva:
            async with chromium(speech) as browser:
                page = await opened(browser, viva.loaded().url)
                await page.get_by_role("button", name="Call Viva").click()
                await until(
                    page,
                    "viva.transcript.some((entry) => entry.turn === 2 && entry.record)",
                    secs=120,
                )
                await page.get_by_role("button", name="Hang up").click()
                await until(page, "viva.state === 'ended'")
                call = await Played.on(page)

        turns = [turn["data"] for turn in call.all("turn")]
        assert [turn["decision"] for turn in turns] == ["respond", "respond"]
        assert "mathematics" in turns[0]["question"].lower()
        assert "compiler" in turns[1]["question"].lower()
        for turn in turns:
            assert turn["heard_text"] == turn["answer"]
        begun = call.when("bot-started-speaking", nth=1)
        answer = call.samples[begun : begun + 8 * OUTPUT_RATE]
        heard = await recognised(engines, answer, OUTPUT_RATE)
        assert "yale" in heard

        # The first asks at the start whether the account has Flux, and hears nothing.
        asked, listen = simulators.deepgram.requests
        assert (asked.audio_bytes, dict(asked.query)["model"]) == (0, "flux-general-en")
        assert listen.audio_bytes > 10 * 32_000
        assert dict(listen.query)["model"] == "flux-general-en"
        for request in simulators.anthropic.messages:
            assert request.body["tool_choice"]["type"] == "any"
        assert [request.query["model_id"] for request in simulators.elevenlabs.requests] == [
            "eleven_flash_v2_5"
        ]
