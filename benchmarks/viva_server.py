"""Viva's side of a comparison: the real server with scripted vendors, or with the embedded ones.

python -m benchmarks.viva_server [--turn-model | --embedded]
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

import uvloop
from aiohttp import web

from benchmarks.meter import Meter
from benchmarks.scripted import MARKS, Marks, choices, note, voice
from knowledge.loading.document import load
from pipeline.choice import Choice, choose
from pipeline.vendors import Stage
from processors.turns.processor import TurnTaking
from server import Server
from settings import Settings
from transports.browser.announcer import Announcer
from transports.browser.page import Page
from transports.browser.transport import BrowserConnection


def watch(meter: Meter) -> None:
    """Note when audio leaves, when a call is ready, and when an interruption has dropped the voice.

    Wraps the real methods.
    """
    send_audio, announce_start = Page.send_audio, BrowserConnection.announce_start
    interrupt, interrupted = TurnTaking._interrupt, Announcer.interrupted

    async def send_audio_noted(self: Page, audio: bytes) -> None:
        note("sent")
        await send_audio(self, audio)

    async def start_noted(self: BrowserConnection, *args: Any) -> None:
        await announce_start(self, *args)
        meter.ready_ms.append((time.monotonic() - _ACCEPTED[MARKS.get()]) * 1000)

    async def interrupt_noted(self: TurnTaking) -> None:
        MARKS.get().confirmed = time.monotonic()
        await interrupt(self)

    async def interrupted_noted(self: Announcer, *, voicing: bool) -> None:
        await interrupted(self, voicing=voicing)
        if voicing:
            meter.yields_ms.append((time.monotonic() - MARKS.get().confirmed) * 1000)

    Page.send_audio = send_audio_noted  # type: ignore[method-assign]
    BrowserConnection.announce_start = start_noted  # type: ignore[method-assign, assignment]
    Announcer.interrupted = interrupted_noted  # type: ignore[method-assign]
    TurnTaking._interrupt = interrupt_noted  # type: ignore[method-assign]


class _Accepted:
    """Notes when the first byte of each call was read."""

    def __init__(self) -> None:
        self._at: dict[int, float] = {}

    def __setitem__(self, marks: Marks, at: float) -> None:
        self._at[id(marks)] = at

    def __getitem__(self, marks: Marks) -> float:
        return self._at[id(marks)]


_ACCEPTED = _Accepted()


_EMBEDDED = {"stt": "whisper", "brain": "extractive", "tts": "hibari", "vad": "silero"}


async def serve(folder: Path, chosen: Mapping[Stage, Choice] | None) -> None:
    """Serve until stdin ends, with these vendors, or with the embedded ones."""
    meter = Meter("viva")
    settings = Settings.load(
        **(_EMBEDDED if chosen is None else {}),
        port=0,
        auth="off",
        data_dir=folder,
        max_calls=1000,
        max_lag_secs=60,
        call_secs=36_000,
        silence_prompt_secs=3600,
        preemptive=os.environ.get("PREEMPTIVE", "on"),
        database_url="",
        record="off",
    )
    server = Server(settings, load(None), chosen or choose(settings))
    watch(meter)

    @web.middleware
    async def marked(request: web.Request, handler: Any) -> Any:
        marks = Marks()
        meter.calls.append(marks)
        _ACCEPTED[marks] = time.monotonic()
        MARKS.set(marks)
        return await handler(request)

    app = server.app()
    app.middlewares.append(marked)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    while not server.loading.done:
        await asyncio.sleep(0.05)
    meter.start(runner.addresses[0][1])
    await meter.over.wait()
    await runner.cleanup()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    vendors = parser.add_mutually_exclusive_group()
    vendors.add_argument(
        "--turn-model",
        action="store_true",
        help="let smart-turn end turns instead of the recogniser",
    )
    vendors.add_argument(
        "--embedded", action="store_true", help="with the embedded vendors, none of them scripted"
    )
    options = parser.parse_args()
    chosen = None
    if not options.embedded:
        voice()  # before calls need it
        chosen = choices(turn_model=options.turn_model)
    with tempfile.TemporaryDirectory(prefix="viva-bench-") as folder:
        uvloop.run(serve(Path(folder), chosen))


if __name__ == "__main__":
    main()
