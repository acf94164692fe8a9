"""A call on the page, recorded; then held again as it was, and with other vendors; what changed."""

import asyncio
import html
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from processors.brain.guardrails import Phrases
from recording.recording import Recording
from simulators.model import Reply
from simulators.simulate import Simulators
from tests.end_to_end.running import CHROMIUM, VIVA, Viva, chromium, microphone, opened, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.real_time,
    pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium"),
]

GREETING_SECS = 7.0
OTHERWISE = Phrases().unsupported


async def viva(*command: str | Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What a command prints as JSON."""
    running = await asyncio.create_subprocess_exec(
        VIVA,
        *command,
        "--json",
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaints = await running.communicate()
    assert running.returncode == 0, complaints.decode()
    result: dict[str, Any] = json.loads(told)
    return result


async def recorded_in_chromium(tmp_path: Path) -> Path:
    """The recording of a call of two questions."""
    speech = microphone(
        tmp_path / "speech.wav", GREETING_SECS, "where-studied.wav", 12.0, "first-compiler.wav"
    )
    with Viva(RECORD="all") as server:
        async with chromium(speech) as browser:
            page = await opened(browser, server.loaded().url)
            await page.get_by_role("button", name="Call Viva").click()
            answered = "viva.transcript.some((entry) => entry.turn === 2 && entry.record)"
            await until(page, answered, secs=120)
            await page.get_by_role("button", name="Hang up").click()
            await until(page, "viva.state === 'ended'")
        return await asyncio.to_thread(_kept, server.data_dir / "recordings", tmp_path)


def _kept(folder: Path, tmp_path: Path) -> Path:
    deadline = time.monotonic() + 60
    while not (found := list(folder.glob("*.mcap"))) or not Recording.load(found[0]).whole:
        assert time.monotonic() < deadline, "the recording is not whole"
        time.sleep(0.1)
    kept = tmp_path / "call.mcap"
    kept.write_bytes(found[0].read_bytes())
    return kept


async def test_a_call_on_the_page_is_held_again_and_what_another_vendor_changes_is_shown(
    engines: Any, tmp_path: Path
) -> None:
    source = await recorded_in_chromium(tmp_path)
    once, twice, brain, ears = (tmp_path / name for name in ("once", "twice", "brain", "ears"))

    first, second = await asyncio.gather(
        viva("replay", source, "--out", once), viva("replay", source, "--out", twice)
    )
    assert first["calls"][0]["digest"] == second["calls"][0]["digest"], "the same to the byte"
    assert first["calls"][0]["differs"] == [], "and as it was"
    assert first["calls"][0]["missing"] == []

    simulators = Simulators(
        engines.document,
        whisper=engines.loaded["whisper"],
        hibari=engines.loaded["hibari"],
        brain=engines.loaded["extractive"],
    )
    simulators.openai.model.brain = None
    simulators.openai.model.script = [
        Reply("escalate", {"reason": "unsupported", "message": OTHERWISE})
    ]
    async with simulators:
        cloud = simulators.environment
        await asyncio.gather(
            viva("replay", source, "--brain", "openai", "--out", brain, environment=cloud),
            viva("replay", source, "--stt", "deepgram", "--out", ears, environment=cloud),
        )
    (listen,) = simulators.deepgram.requests
    assert listen.audio_bytes > 10 * 32_000, "the recorded caller is heard by the other recogniser"

    page = tmp_path / "changed.html"
    other, heard = await asyncio.gather(
        viva("compare", once, brain, "--html", page), viva("compare", once, ears)
    )
    decisions = [turn["changes"]["decision"] for turn in other["changed"]]
    assert decisions == [["respond", "escalate"]] * 2
    assert [turn["changes"]["answer"][1] for turn in other["changed"]] == [OTHERWISE] * 2
    shown = page.read_text()
    assert OTHERWISE in html.unescape(shown)
    assert "data:audio/mpeg" in shown, "with audio"

    for turn in heard["changed"]:
        assert "reason" not in turn["changes"], "the same words, or nearly, heard elsewhere"
    turns = list(Recording.load(ears / "call.mcap").topic("/turn/TurnFrame"))
    asked = " ".join(turn.data["question"].lower() for turn in turns)
    assert "mathematics" in asked
    assert "compiler" in asked
