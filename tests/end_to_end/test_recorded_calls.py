"""Whole calls that are recorded: agreed to or not, on the page or without one, cut by kill -9."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from mcap.reader import make_reader
from playwright.async_api import expect

from recording.recording import Recording
from recording.transcript import transcript
from tests.conftest import AUDIO
from tests.end_to_end.running import (
    CHROMIUM,
    VIVA,
    Viva,
    chromium,
    microphone,
    opened,
    recognised,
    until,
)
from transports.caller import Caller

KEY = "a-token-that-reads-metrics"
QUESTION = "Where did she study mathematics?"


@pytest.fixture(scope="module")
def asking() -> Iterator[Viva]:
    """A server that records who agrees."""
    with Viva(RECORD="calls", ADMINS="ada@example.com", METRICS_TOKEN=KEY) as viva:
        yield viva.loaded()


def recordings(viva: Viva) -> list[Path]:
    return sorted((viva.data_dir / "recordings").glob("*"))


def finished(viva: Viva, count: int = 1) -> Recording:
    """The latest of a server's recordings, once there are so many and all are whole."""
    deadline = time.monotonic() + 10
    while len(recordings(viva)) < count or not all(map(_whole, recordings(viva))):
        assert time.monotonic() < deadline, recordings(viva)
        time.sleep(0.1)
    latest = max(recordings(viva), key=lambda path: path.stat().st_mtime_ns)
    return Recording.read(latest)


def _whole(path: Path) -> bool:
    return path.stat().st_size > 0 and Recording.read(path).whole


def call(viva: Viva, *options: str) -> dict[str, Any]:
    wav = str(AUDIO / "where-studied.wav")
    made = subprocess.run(
        [VIVA, "call", "--wav", wav, "--json", "--url", viva.socket_url, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    result: dict[str, Any] = json.loads(made.stdout)
    return result


async def test_a_caller_without_a_browser_is_recorded_only_if_they_agree(
    asking: Viva, engines: Any
) -> None:
    await asyncio.to_thread(call, asking)
    assert recordings(asking) == []
    heard = await asyncio.to_thread(call, asking, "--record")
    recording = await asyncio.to_thread(finished, asking)
    assert recording.metadata["consent"] == "asked"
    assert recording.vendors == {
        "vad": "silero",
        "stt": "whisper",
        "brain": "extractive",
        "tts": "hibari",
    }
    said = transcript(recording)
    assert [one.who for one in said] == ["agent", "caller", "agent"]
    assert said[1].text == QUESTION
    assert said[2].heard == heard["turns"][0]["heard_text"]
    (decision,) = recording.topic("/brain/DecisionFrame")
    assert decision.data["sections"] == ["education"]
    _is_what_its_schemas_say(recording.path)
    voice = np.frombuffer(recording.agent_audio(), "<i2") / 32768
    assert "yale" in await recognised(engines, voice[round(said[2].at * 24_000) :], 24_000)
    caller = np.frombuffer(recording.caller_audio(), "<i2") / 32768
    assert "mathematics" in await recognised(engines, caller, 16_000)
    content = recording.path.read_bytes()
    everything = json.dumps([dict(recording.metadata), *(m.data for m in recording.messages)])
    for secret in (KEY, "ada@example.com", str(asking.data_dir)):
        assert secret not in everything
        assert secret.encode() not in content


def _is_what_its_schemas_say(path: Path) -> None:
    with path.open("rb") as stream:
        for schema, _, message in make_reader(stream, validate_crcs=True).iter_messages():
            assert schema is not None
            jsonschema.validate(json.loads(message.data), json.loads(schema.data))


def test_a_server_that_is_killed_in_a_call_leaves_a_recording_that_can_be_repaired() -> None:
    with Viva(RECORD="all") as viva:
        viva.loaded()
        wav = str(AUDIO / "where-studied.wav")
        with subprocess.Popen(
            [VIVA, "call", "--wav", wav, "--url", viva.socket_url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ):
            deadline = time.monotonic() + 30
            while not _decided(viva):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            viva.process.send_signal(signal.SIGKILL)
            viva.process.wait()
        (path,) = recordings(viva)
        cut = Recording.read(path)
        assert not cut.whole
        assert cut.metadata["consent"] == "told"
        subprocess.run([VIVA, "recording", "repair", path, "--in-place"], check=True)
        repaired = Recording.read(path)
    assert repaired.whole
    assert repaired.digest == cut.digest
    assert next(one.text for one in transcript(repaired) if one.who == "caller") == QUESTION


def _decided(viva: Viva) -> bool:
    return any(
        True
        for path in recordings(viva)
        if path.stat().st_size
        for _ in Recording.read(path).topic("/brain/DecisionFrame")
    )


@pytest.mark.browser
@pytest.mark.sound
@pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium")
async def test_a_caller_on_the_page_is_asked_and_their_answer_is_kept_to(
    asking: Viva, tmp_path: Path
) -> None:
    before = recordings(asking)
    async with chromium(microphone(tmp_path / "silence.wav", 60.0)) as browser:
        page = await opened(browser, asking.url)
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.state === 'listening'")
        assert await page.evaluate("viva.recorded") is None
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
        await page.get_by_role("radio", name="Yes").check()
        await page.get_by_role("button", name="Call again").click()
        await until(page, "viva.state === 'speaking'")
        await expect(page.get_by_text("This call is being recorded.")).to_be_visible()
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
        recording = await asyncio.to_thread(finished, asking, len(before) + 1)
    assert recording.path not in before
    assert recording.metadata["consent"] == "asked"
    assert [one.who for one in transcript(recording)] == ["agent"]
    assert list(recording.topic("/caller/page")), "what the page reported is there"
    (end,) = recording.topic("/call/End")
    assert end.data["reason"] == "hangup"


async def test_a_folder_that_cannot_be_written_ends_the_recording_and_not_the_call(
    asking: Viva,
) -> None:
    folder, away = asking.data_dir / "recordings", asking.data_dir / "recordings-away"
    folder.mkdir(exist_ok=True)
    folder.rename(away)
    folder.write_text("a file where the folder should be")
    try:
        caller = Caller(asking.socket_url, [AUDIO / "where-studied.wav"], record=True)
        heard = await caller.call()
    finally:
        folder.unlink()
        away.rename(folder)
    assert heard.turns[0].decision == "respond"
    assert heard.ended == "hangup"
    told = [one["data"] for _, one in heard.messages if one["type"] == "server-message"]
    assert [one["on"] for one in told if one["type"] == "recorded"][-1] is False
    assert "ends early: " in asking.stderr
    assert "Traceback" not in asking.stderr
