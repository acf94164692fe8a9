"""Measures what callers notice of others who send as much as they can.

    viva bench flood [--calls N] [--flooders N] [--seconds S] [--json]

Callers ask recorded questions over real sockets, first alone, then beside flooders. Each flooder is
a process: it opens a call, sends one kind of small, valid message as fast as its socket takes
it until the server ends the call, and opens the next one. Only the vendors are scripted.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import aiohttp

from benchmarks.side import Side, machine, tails
from client.protocol import ClientProtocol

PACK = 20
"""Messages that a flooder sends before it lets its reader run."""

ENDED_SECS = 2.0
"""Longest time from the first message of a flood to the end of its call."""

BEGIN_SECS = 0.5
"""What a flooder waits for its call to begin."""

WAIT_SECS = 10.0
"""Maximum wait of a flooder for a server to end its call."""

NICENESS = 19
"""Of flooders. Their own work would take the server's cores, which it does not from elsewhere."""

LIBRARY = "flood"


def _client_message(kind: str, data: dict[str, Any]) -> str:
    payload = {"t": kind, "d": data}
    return json.dumps({"label": "rtvi-ai", "type": "client-message", "id": "1", "data": payload})


def _ready() -> str:
    wire = ClientProtocol()
    wire.ready(LIBRARY)
    (message,) = wire.data_to_send()
    return str(message)


KINDS: dict[str, str | bytes] = {
    "questions of the time": _client_message("clock", {"sent": 1.0}),
    "empty audio": b"",
    "reports of playback": _client_message("playback", {"epoch": 0, "samples": 1}),
    "starts": _ready(),
    "reports of what is audible": _client_message("audible", {"epoch": 0, "sample": 0, "at": 0.0}),
}


async def flood(port: int, kind: str, over: asyncio.Event) -> dict[str, Any]:
    """Flood one call after the other.

    Args:
        port: The server's port on loopback.
        kind: A key of :data:`KINDS`.
        over: Set when no further call is to be flooded.

    Returns:
        The messages sent, the seconds each flood lasted, and how often each reason ended one.
    """
    sent = 0
    lasted: list[float] = []
    reasons: Counter[str] = Counter()
    async with aiohttp.ClientSession() as session:
        while not over.is_set():
            messages, reason, secs = await _once(session, port, KINDS[kind])
            sent += messages
            reasons[reason] += 1
            lasted.append(secs)
    return {"kind": kind, "sent": sent, "lasted_secs": lasted, "reasons": reasons}


async def _once(
    session: aiohttp.ClientSession, port: int, message: str | bytes
) -> tuple[int, str, float]:
    """Open a call and flood it; returns messages sent, the reason for its end, and seconds."""
    reason = "none was given"
    socket = await session.ws_connect(f"ws://127.0.0.1:{port}/call", max_msg_size=0)

    async def listen() -> None:
        nonlocal reason
        async for heard in socket:
            if heard.type is not aiohttp.WSMsgType.TEXT:
                continue
            data = json.loads(heard.data).get("data") or {}
            if data.get("type") == "end":
                reason = data["reason"]
                return

    async with socket:
        listening = asyncio.create_task(listen())
        with suppress(ConnectionError):
            await socket.send_str(_ready())
        await asyncio.sleep(BEGIN_SECS)
        began, sent = time.monotonic(), 0
        with suppress(ConnectionError):
            while not listening.done() and time.monotonic() < began + WAIT_SECS:
                for _ in range(PACK):
                    await (
                        socket.send_str(message)
                        if isinstance(message, str)
                        else socket.send_bytes(message)
                    )
                sent += PACK
                await asyncio.sleep(0)
        await asyncio.wait({listening}, timeout=WAIT_SECS)
        lasted = time.monotonic() - began
        listening.cancel()
    return sent, reason, lasted


def measure(calls: int = 5, flooders: int = 10, seconds: float = 20.0) -> dict[str, Any]:
    """Hold the calls alone, and then beside the flooders."""
    with Side("viva") as side:
        alone = side.load(calls, seconds)
        beside: dict[str, Any] = {}
        trouble: list[BaseException] = []

        def load() -> None:
            try:
                beside.update(side.load(calls, seconds))
            except BaseException as error:
                trouble.append(error)

        holding = threading.Thread(target=load)
        holding.start()
        kinds = list(KINDS)
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.flood"),
                    *("--port", str(side.port), "--kind", kinds[number % len(kinds)]),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(flooders)
        ]
        holding.join()
        told = [json.loads(process.communicate()[0]) for process in processes]
    if trouble:
        raise trouble[0]
    return {
        "benchmark": "flood",
        **machine(),
        "calls": calls,
        "flooders": flooders,
        "seconds": seconds,
        "alone": _figures(alone),
        "beside": _figures(beside),
        "floods": told,
    }


def _figures(measured: dict[str, Any]) -> dict[str, Any]:
    heard, served = measured["heard"], measured["served"]
    return {
        "turns_asked": heard["turns_asked"],
        "turns_answered": heard["turns_answered"],
        "chunks": heard["chunks"],
        "late_chunks": heard["late_chunks"],
        "latency_ms": tails(heard["latencies_ms"], 0),
        "loop_lag_ms_p99": round(served["lag_ms"]["p99"], 2),
        "cpu_percent": round(served["cpu_percent"], 1),
    }


def faults(result: dict[str, Any]) -> list[str]:
    """Describe the violated limits."""
    beside, floods = result["beside"], result["floods"]
    lasted = [secs for flood in floods for secs in flood["lasted_secs"]]
    others = {reason for flood in floods for reason in flood["reasons"]} - {"protocol"}
    due = {
        f"{beside['late_chunks']} of {beside['chunks']} chunks were late": (
            beside["late_chunks"] == 0
        ),
        f"{beside['turns_answered']} of {beside['turns_asked']} questions were answered": (
            0 < beside["turns_asked"] == beside["turns_answered"]
        ),
        f"a flood lasted {max(lasted, default=0):.1f} s, {ENDED_SECS:g} s at most": (
            bool(lasted) and max(lasted) <= ENDED_SECS
        ),
        f"floods ended by {', '.join(sorted(others))} rather than by protocol": not others,
    }
    return [fault for fault, right in due.items() if not right]


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    sides = [result["alone"], result["beside"]]
    rows = [
        ["callers", "alone", f"beside {result['flooders']} flooders"],
        ["answered", *(f"{side['turns_answered']} of {side['turns_asked']}" for side in sides)],
        ["late chunks", *(f"{side['late_chunks']} of {side['chunks']}" for side in sides)],
        ["last word to answer, p50", *(f"{side['latency_ms']['p50']:.0f} ms" for side in sides)],
        ["event loop late by, p99", *(f"{side['loop_lag_ms_p99']:.1f} ms" for side in sides)],
        ["CPU of a core", *(f"{side['cpu_percent']:.0f} %" for side in sides)],
    ]
    for kind in KINDS:
        floods = [flood for flood in result["floods"] if flood["kind"] == kind]
        lasted = [secs for flood in floods for secs in flood["lasted_secs"]]
        if lasted:
            sent = sum(flood["sent"] for flood in floods)
            longest = f"{len(lasted)} floods, {sent} messages, {max(lasted):.2f} s at most"
            rows.append([kind, "", longest])
    return rows


async def _flood_until_told(port: int, kind: str) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=read, daemon=True).start()
    print(json.dumps(await flood(port, kind, over)), flush=True)


def main() -> None:
    """Flood calls until stdin ends, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=list(KINDS), required=True)
    options = parser.parse_args()
    os.nice(NICENESS)
    asyncio.run(_flood_until_told(options.port, options.kind))


if __name__ == "__main__":
    main()
