"""The commands ``viva serve`` and ``viva call``, as somebody types them."""

import asyncio
import json
import signal
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import AUDIO
from tests.end_to_end.conftest import Servers
from tests.end_to_end.running import VIVA, Viva, recognised, spoken
from transports.wav import OUTPUT_RATE


def test_a_caller_without_a_browser(servers: Servers, engines: Any, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    wav = AUDIO / "where-studied.wav"
    status, out, _ = _viva_call(servers("").socket_url, wav, "--out", str(heard))
    assert status == 0
    call = json.loads(out)
    assert set(call) == {"turns", "ended"}
    assert call["ended"] == "hangup"
    (turn,) = call["turns"]
    fields = (
        "said transcript decision confidence sections answer e2e_latency_ms interrupted heard_text"
    )
    assert set(turn) >= set(fields.split())
    assert turn["said"] == "where-studied.wav"
    assert turn["transcript"] == "Where did she study mathematics?"
    assert turn["decision"] == "respond"
    assert turn["confidence"] in ("high", "medium", "low")
    assert turn["sections"] == ["education"]
    assert turn["heard_text"] == turn["answer"]
    assert 0 < turn["e2e_latency_ms"] < 5000
    assert turn["interrupted"] is False
    with wave.open(str(heard)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    said = asyncio.run(recognised(engines, audio[-10 * OUTPUT_RATE :], OUTPUT_RATE))
    assert "yale" in said
    assert "mathematics" in said


def test_a_caller_to_whom_nobody_answers_is_told_what_to_do() -> None:
    status, out, error = _viva_call("ws://127.0.0.1:9/call", AUDIO / "where-studied.wav")
    assert status == 2
    assert out == ""
    assert "nobody answers at ws://127.0.0.1:9/call" in error
    assert "Is `viva serve` running?" in error
    assert "Traceback" not in error


async def test_any_document_can_be_called(
    servers: Servers, lighthouse: Path, engines: Any, tmp_path: Path
) -> None:
    viva = servers(str(lighthouse))
    question = await spoken(engines, "Who built the tower of the lighthouse?")
    wav = _pcm_wav(tmp_path / "question.wav", question)
    status, out, _ = await asyncio.to_thread(_viva_call, viva.socket_url, wav)
    (turn,) = json.loads(out)["turns"]
    assert status == 0
    assert turn["decision"] == "respond"
    assert len(turn["sections"]) == 1
    (section,) = (
        one for one in viva.get("document.json")["sections"] if one["id"] == turn["sections"][0]
    )
    assert section["title"] == "The tower"
    assert "Margaret Dunmore" in turn["heard_text"]


def test_a_document_is_shown_before_the_models_are_there_and_ctrl_c_is_obeyed_at_once() -> None:
    with Viva(KNOWLEDGE="README.md") as viva:
        document = viva.get("document.json")
        assert viva.get("healthz") == {"calls": 0, "ready": False}
        assert document["title"] == "Viva"
        shown = [line["text"] for section in document["sections"] for line in section["lines"]]
        assert any("make run" in text for text in shown)
        assert viva.stop(signal.SIGINT, timeout_secs=10.0) == 0
        assert viva.left == []
        assert "Traceback" not in viva.stderr


def _viva_call(url: str, wav: Path, *options: str) -> tuple[int, str, str]:
    made = subprocess.run(
        [VIVA, "call", "--wav", wav, "--json", "--url", url, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return made.returncode, made.stdout, " ".join(made.stderr.split())


def _pcm_wav(path: Path, pcm: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm)
    return path
