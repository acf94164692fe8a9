"""A server without keys opens no connection, looks up no host and leaves nothing in the home."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

VIVA = Path(sys.executable).with_name("viva")
STRACE = shutil.which("strace")
LOAD_SECS = 120.0
WATCH_SECS = 3.0
"""How long the loaded server is watched: onnxruntime's telemetry looks its host up within the first
second after the import, and then again and again."""

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


@pytest.mark.skipif(STRACE is None, reason="no strace (apt-get install strace)")
def test_a_server_without_keys_talks_to_nobody(tmp_path: Path) -> None:
    home, trace, log = tmp_path / "home", tmp_path / "trace", tmp_path / "log"
    home.mkdir()
    assert STRACE is not None
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ORT_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "DO_NOT_TRACK")
    }
    environment |= {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "AUTH": "off",
        "REPORTS": "off",
        "PORT": "0",
        "DATA_DIR": str(tmp_path / "data"),
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                STRACE, "-f", "-qq", "--seccomp-bpf", "-s", "200", "-o", str(trace),
                "-e", "trace=connect,sendto,sendmsg,sendmmsg", str(VIVA), "serve",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + LOAD_SECS
            while b"Models are loaded" not in log.read_bytes():
                assert server.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < deadline, log.read_text(errors="replace")
                time.sleep(0.1)
            time.sleep(WATCH_SECS)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGINT)
            server.wait(60)
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
