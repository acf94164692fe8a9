"""A server without keys answers a caller, opens no connection, looks up no host and leaves nothing
in the home."""

import asyncio
import json
import os
import re
import shutil
import signal
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.wav import OUTPUT_RATE
from tests.conftest import AUDIO
from tests.end_to_end.running import Viva, recognised, viva_call
from tests.lateness import in_time

STRACE = shutil.which("strace")

# What a call of the C library sends somewhere on a network: connect(3, {sa_family=AF_INET, …}).
NETWORK = re.compile(r"sa_family=AF_INET6?\b.*")


def elsewhere(trace: str) -> list[str]:
    """The calls in a trace that look a host up, or go to an address other than loopback's.

    A resolver may itself be on loopback: 127.0.0.53, or 127.0.0.11 in a container.
    """
    calls = (line for line in trace.splitlines() if NETWORK.search(line))
    here = ('"127.0.0.1"', '"::1"')
    return [
        line
        for line in calls
        if "htons(53)" in line or not any(address in line for address in here)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of whoever runs the server, which has nothing in it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's calls of the C library are noted, if there is a tracer."""
    return tmp_path_factory.mktemp("trace") / "trace"


@pytest.fixture(scope="module")
def server(home: Path, trace: Path) -> Iterator[Viva]:
    """A server without keys, in an environment that says nothing of telemetry."""
    tracer = (
        STRACE, "-f", "-qq", "--seccomp-bpf", "-s", "200", "-o", str(trace),
        "-e", "trace=connect,sendto,sendmsg,sendmmsg",
    ) if STRACE else ()  # fmt: skip
    with pytest.MonkeyPatch.context() as environment:
        for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "DO_NOT_TRACK"):
            environment.delenv(name, raising=False)
        environment.setenv("HOME", str(home))
        environment.setenv("XDG_CACHE_HOME", str(home / ".cache"))
        viva = Viva(*tracer, REPORTS="off")
    with viva:
        yield viva.loaded()


@pytest.mark.real_time
async def test_a_caller_without_a_browser(server: Viva, engines: Any, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    wav = AUDIO / "where-studied.wav"
    out_to = ("--out", str(heard))
    status, out, _ = await asyncio.to_thread(viva_call, server.socket_url, wav, *out_to)
    assert status == 0
    call = json.loads(out)
    assert set(call) == {"call", "turns", "ended"}
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
    assert turn["e2e_latency_ms"] > 0
    with in_time():
        assert turn["e2e_latency_ms"] < 5000
    assert turn["interrupted"] is False
    with wave.open(str(heard)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    said = await recognised(engines, audio[-10 * OUTPUT_RATE :], OUTPUT_RATE)
    assert "yale" in said
    assert "mathematics" in said


@pytest.mark.skipif(STRACE is None, reason="no strace (apt-get install strace)")
def test_a_server_without_keys_talks_to_nobody(server: Viva, home: Path, trace: Path) -> None:
    """From its start to its end, a call included. onnxruntime's telemetry looks its host up within
    the first second after the import, and then again and again."""
    os.killpg(server.process.pid, signal.SIGINT)
    server.process.wait(60)
    assert elsewhere(trace.read_text(errors="replace")) == []
    assert [str(path) for path in home.rglob("*") if path.is_file()] == []


def test_the_trace_is_read_for_what_goes_elsewhere() -> None:
    trace = """
    12 connect(9, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16) = 0
    12 sendmmsg(9, [{msg_hdr={msg_name=NULL, msg_iov=[{iov_base="\\6mobile\\6events"}]}}], 2) = 2
    13 connect(7, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT
    14 connect(7, {sa_family=AF_INET, sin_port=htons(5432), sin_addr=inet_addr("127.0.0.1")}) = 0
    15 connect(9, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}) = 0
    16 connect(9, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.11")}) = 0
    14 connect(8, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "::2")}) = 0
    """
    assert [line.split()[0] for line in elsewhere(trace)] == ["12", "15", "16", "14"]
