"""Whole calls that are recorded: agreed to or not, on the page or without one, cut by kill -9."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from loguru import logger
from mcap.reader import make_reader
from playwright.async_api import expect
from pydantic import SecretStr

from client.caller import Caller, HeardCall
from evals.scoring.facts import facts_of
from recording.recording import Recording
from recording.transcript import transcript
from tests.conftest import AUDIO, ServerFactory, in_virtual_time
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

KEY = "a-token-that-reads-metrics"
QUESTION = "Where did she study mathematics?"


def recordings(data_dir: Path) -> list[Path]:
    return sorted((data_dir / "recordings").glob("*"))


def finished(data_dir: Path) -> Recording:
    """A server's only recording, once it is whole."""
    deadline = time.monotonic() + 60
    while not recordings(data_dir) or not all(map(_whole, recordings(data_dir))):
        assert time.monotonic() < deadline, recordings(data_dir)
        time.sleep(0.05)
    (path,) = recordings(data_dir)
    return Recording.load(path)


def _whole(path: Path) -> bool:
    return path.stat().st_size > 0 and Recording.load(path).whole


async def call(listening: Any, *, record: bool = False) -> HeardCall:
    url = str(listening.make_url("/call")).replace("http", "ws", 1)
    return await Caller(url, [AUDIO / "where-studied.wav"], record=record).call()


@in_virtual_time
@pytest.mark.thorough
async def test_a_caller_is_recorded_only_if_they_agree(
    serving: ServerFactory, engines: Any, tmp_path: Path
) -> None:
    asking = {"record": "calls", "admins": "ada@example.com", "metrics_token": SecretStr(KEY)}
    async with serving(**asking) as (_, listening):
        await call(listening)
        assert recordings(tmp_path) == []
        heard = await call(listening, record=True)
        recording = await asyncio.to_thread(finished, tmp_path)
    assert heard.call == recording.call
    (stretch,) = facts_of(recording).speech
    # As long after the call's begin as the recording has it, for `viva call --truth`.
    assert heard.turns[0].spoken == pytest.approx((stretch.start, stretch.end), abs=0.15)
    assert recording.metadata["consent"] == "asked"
    assert recording.vendors == {
        "vad": "silero",
        "stt": "whisper",
        "brain": "extractive",
        "tts": "hibari",
    }
    said = transcript(recording)
    assert [utterance.who for utterance in said] == ["agent", "caller", "agent"]
    assert said[1].text == QUESTION
    assert said[2].heard == heard.turns[0].heard_text
    (decision,) = recording.topic("/brain/DecisionFrame")
    assert decision.data["sections"] == ["education"]
    _is_what_its_schemas_say(recording.path)
    voice = np.frombuffer(recording.agent_audio(), "<i2") / 32768
    assert "yale" in await recognised(engines, voice[round(said[2].at * 24_000) :], 24_000)
    caller = np.frombuffer(recording.caller_audio(), "<i2") / 32768
    assert "mathematics" in await recognised(engines, caller, 16_000)
    content = recording.path.read_bytes()
    everything = json.dumps([dict(recording.metadata), *(m.data for m in recording.messages)])
    for secret in (KEY, "ada@example.com", str(tmp_path)):
        assert secret not in everything
        assert secret.encode() not in content


def _is_what_its_schemas_say(path: Path) -> None:
    with path.open("rb") as stream:
        for schema, _, message in make_reader(stream, validate_crcs=True).iter_messages():
            assert schema is not None
            jsonschema.validate(json.loads(message.data), json.loads(schema.data))


@pytest.mark.thorough
@pytest.mark.real_time
def test_a_server_that_is_killed_in_a_call_leaves_a_recording_that_can_be_repaired() -> None:
    with Viva(RECORD="all") as viva:
        viva.loaded()
        wav = str(AUDIO / "where-studied.wav")
        with subprocess.Popen(
            [VIVA, "call", "--wav", wav, "--url", viva.socket_url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ):
            deadline = time.monotonic() + 60
            while not _decided(viva):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            viva.process.send_signal(signal.SIGKILL)
            viva.process.wait()
        (path,) = recordings(viva.data_dir)
        cut = Recording.load(path)
        assert not cut.whole
        assert cut.metadata["consent"] == "told"
        subprocess.run([VIVA, "recording", "repair", path, "--in-place"], check=True)
        repaired = Recording.load(path)
    assert repaired.whole
    assert repaired.digest == cut.digest
    assert (
        next(utterance.text for utterance in transcript(repaired) if utterance.who == "caller")
        == QUESTION
    )


def _decided(viva: Viva) -> bool:
    return any(
        True
        for path in recordings(viva.data_dir)
        if path.stat().st_size
        for _ in Recording.load(path).topic("/brain/DecisionFrame")
    )


@pytest.mark.browser
@pytest.mark.thorough
@pytest.mark.real_time
@pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium")
async def test_a_caller_on_the_page_is_asked_and_their_answer_is_kept_to(tmp_path: Path) -> None:
    with Viva(RECORD="calls") as asking:
        async with chromium(microphone(tmp_path / "silence.wav", 60.0)) as browser:
            page = await opened(browser, asking.loaded().url)
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
            recording = await asyncio.to_thread(finished, asking.data_dir)
    assert recording.metadata["consent"] == "asked"
    assert [utterance.who for utterance in transcript(recording)] == ["agent"]
    assert list(recording.topic("/caller/page")), "what the page reported is there"
    (end,) = recording.topic("/call/End")
    assert end.data["reason"] == "hangup"


@pytest.mark.thorough
@in_virtual_time
async def test_a_folder_that_cannot_be_written_ends_the_recording_and_not_the_call(
    serving: ServerFactory, tmp_path: Path
) -> None:
    (tmp_path / "recordings").write_text("a file where the folder should be")
    log: list[str] = []
    sink = logger.add(log.append, level="WARNING", format="{message}\n{exception}")
    async with serving(record="calls") as (_, listening):
        heard = await call(listening, record=True)
    logger.remove(sink)
    assert heard.turns[0].decision == "respond"
    assert heard.ended == "hangup"
    told = [message["data"] for _, message in heard.messages if message["type"] == "server-message"]
    assert [message["on"] for message in told if message["type"] == "recorded"][-1] is False
    assert any("ends early: " in line for line in log)
    assert not any("Traceback" in line for line in log)
