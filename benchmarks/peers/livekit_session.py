"""LiveKit Agents without a room: its session, between two ends of a plain socket.

    python -m benchmarks.peers.livekit_session [--vad]

By default the session has its defaults: its own silero, and its turn detector, which it runs in the
process itself where LiveKit does not host it
(https://docs.livekit.io/agents/build/turns/turn-detector/). With ``--vad`` its voice activity alone
ends turns: the cheapest of the ways that need no recogniser that does.

A room, its media server and its codec are not part of the work here, nor is the process a call that
its own server starts: what is measured is its ``AgentSession`` alone, all calls in one process. The
socket is aiohttp's, as Viva's is; audio is sent as Viva sends it, at most 400 ms ahead.
"""

import argparse
import asyncio
import logging
import os
import time
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

import uvloop
from aiohttp import WSMsgType, web
from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.utils import aio
from livekit.agents.voice import io

from benchmarks.meter import Meter
from benchmarks.scripted import (
    ANSWER,
    FINAL_SECS,
    INTERIM_SECS,
    MARKS,
    QUESTION,
    Marks,
    note,
    speak,
    tokens,
    voice,
)
from client.wav import INPUT_RATE, OUTPUT_RATE

LEAD_SECS = 0.4
CHUNK_SECS = 0.1


class Recogniser(stt.STT[Any]):
    """The scripted recogniser: it follows the session's own voice activity."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, offline_recognize=False
            )
        )
        self.heard: _Hearing | None = None

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(
        self,
        *,
        language: Any = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> "_Hearing":
        """Open the call's only stream."""
        self.heard = _Hearing(stt=self, conn_options=conn_options)
        return self.heard

    def user_state(self, event: Any) -> None:
        """Start or stop recognising as the caller's speech does."""
        if self.heard is not None:
            if event.new_state == "speaking":
                self.heard.start()
            elif event.old_state == "speaking":
                self.heard.stop()


class _Hearing(stt.RecognizeStream):
    _script: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass

    def start(self) -> None:
        self._play(self._interims())

    def stop(self) -> None:
        self._play(self._final())

    def _play(self, script: Any) -> None:
        if self._script is not None:
            self._script.cancel()
        self._script = asyncio.create_task(script)

    async def _interims(self) -> None:
        words = QUESTION.split()
        wait, further = INTERIM_SECS
        for known in range(2, len(words) + 2, 2):
            await asyncio.sleep(wait)
            wait = further
            self._say(stt.SpeechEventType.INTERIM_TRANSCRIPT, " ".join(words[:known]))

    async def _final(self) -> None:
        await asyncio.sleep(FINAL_SECS)
        if (marks := MARKS.get(None)) is not None:
            marks.begin_turn()
        self._say(stt.SpeechEventType.FINAL_TRANSCRIPT, QUESTION)

    def _say(self, kind: stt.SpeechEventType, text: str) -> None:
        if not self._event_ch.closed:
            said: Any = stt.SpeechData(language="en", text=text)  # type: ignore[arg-type]
            self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[said]))


class Model(llm.LLM[Any]):
    """The scripted model."""

    def chat(self, *, chat_ctx: Any, tools: Any = None, **options: Any) -> "_Answer":
        """Answer."""
        conn_options = options.get("conn_options") or DEFAULT_API_CONNECT_OPTIONS
        return _Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Answer(llm.LLMStream):
    async def _run(self) -> None:
        note("asked")
        async for token in tokens(ANSWER):
            delta = llm.ChoiceDelta(role="assistant", content=token)
            self._event_ch.send_nowait(llm.ChatChunk(id="scripted", delta=delta))


class Voice(tts.TTS[Any]):
    """The scripted voice, a sentence at a time."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=OUTPUT_RATE,
            num_channels=1,
        )

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "_Spoken":
        """Speak a sentence."""
        return _Spoken(tts=self, input_text=text, conn_options=conn_options)


class _Spoken(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="scripted", sample_rate=OUTPUT_RATE, num_channels=1, mime_type="audio/pcm"
        )
        async for frame in speak(self.input_text, "scripted"):
            if frame is not None:
                output_emitter.push(frame.audio)  # type: ignore[attr-defined]
        output_emitter.flush()


class Microphone(io.AudioInput):
    """The audio received over the socket."""

    def __init__(self) -> None:
        super().__init__(label="socket")
        self._frames: aio.Chan[rtc.AudioFrame] = aio.Chan()

    def hear(self, pcm: bytes) -> None:
        """Queue the audio of one message."""
        self._frames.send_nowait(rtc.AudioFrame(pcm, INPUT_RATE, 1, len(pcm) // 2))

    def close(self) -> None:
        """End the stream."""
        self._frames.close()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.__anext__()


class Loudspeaker(io.AudioOutput):
    """The audio sent over the socket, at most 400 ms ahead of real time."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__(
            label="socket",
            capabilities=io.AudioOutputCapabilities(pause=False),
            sample_rate=OUTPUT_RATE,
        )
        self._socket = socket
        self._waiting = bytearray()
        self._flushed = False
        self._sent = 0.0
        self._over_at = 0.0
        self._playing = False
        self._changed = asyncio.Event()
        self._pacing = asyncio.create_task(self._pace())

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Queue audio."""
        await super().capture_frame(frame)
        self._waiting += bytes(frame.data)
        self._flushed = False
        self._changed.set()

    def flush(self) -> None:
        """Note that the answer has no more audio."""
        super().flush()
        self._flushed = True
        self._changed.set()

    def clear_buffer(self) -> None:
        """Drop what has not been sent, and tell the page to drop the rest."""
        if self._playing or self._waiting:
            heard = max(0.0, self._sent - max(0.0, self._over_at - time.monotonic()))
            self._waiting.clear()
            self._telling = asyncio.create_task(self._socket.send_str("interrupted"))
            self._finish(heard, interrupted=True)

    def close(self) -> None:
        """Stop sending."""
        self._pacing.cancel()

    def _finish(self, position: float, *, interrupted: bool) -> None:
        self._playing, self._flushed, self._sent, self._over_at = False, False, 0.0, 0.0
        self.on_playback_finished(playback_position=position, interrupted=interrupted)

    async def _pace(self) -> None:
        size = int(CHUNK_SECS * OUTPUT_RATE) * 2
        while True:
            if self._waiting and (self._flushed or len(self._waiting) >= size or not self._playing):
                chunk = bytes(self._waiting[:size])
                del self._waiting[:size]
                await self._send(chunk)
            elif self._flushed and self._playing and not self._waiting:
                left = self._over_at - time.monotonic()
                if left <= 0:
                    self._finish(self._sent, interrupted=False)
                else:
                    await self._wait(left)
            else:
                await self._wait(None)

    async def _wait(self, secs: float | None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(secs):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _send(self, chunk: bytes) -> None:
        secs = len(chunk) / 2 / OUTPUT_RATE
        if not self._playing:
            self._playing = True
            self.on_playback_started(created_at=time.time())
        while (late := self._over_at + secs - time.monotonic() - LEAD_SECS) > 0:
            await asyncio.sleep(late)
            if not self._playing:
                return
        note("sent")
        await self._socket.send_bytes(chunk)
        self._over_at = max(self._over_at, time.monotonic()) + secs
        self._sent += secs


async def hold(request: web.Request, meter: Meter, *, turn_detector: bool) -> web.WebSocketResponse:
    """Hold one call."""
    accepted = time.monotonic()
    marks = Marks()
    meter.calls.append(marks)
    MARKS.set(marks)
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    recogniser = Recogniser()
    session: AgentSession[None] = AgentSession(
        stt=recogniser,
        llm=Model(),
        tts=Voice(),
        user_away_timeout=None,
        turn_handling={} if turn_detector else {"turn_detection": "vad"},
    )
    session.on("user_state_changed", recogniser.user_state)
    microphone, loudspeaker = Microphone(), Loudspeaker(socket)
    session.input.audio = microphone
    session.output.audio = loudspeaker
    await session.start(Agent(instructions="Answer."), record=False)
    meter.ready_ms.append((time.monotonic() - accepted) * 1000)
    try:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                microphone.hear(message.data)
    finally:
        microphone.close()
        loudspeaker.close()
        await session.aclose()
    return socket


async def serve(*, turn_detector: bool) -> None:
    """Serve until stdin ends."""
    logging.disable(logging.CRITICAL)
    meter = Meter("livekit" if turn_detector else "livekit-vad")
    voice()
    app = web.Application()

    async def call(request: web.Request) -> web.WebSocketResponse:
        return await hold(request, meter, turn_detector=turn_detector)

    app.router.add_get("/call", call)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    meter.start(runner.addresses[0][1])
    await meter.over.wait()
    os._exit(0)  # its open sessions are not waited for


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--vad", action="store_true", help="without its turn detector")
    uvloop.run(serve(turn_detector=not parser.parse_args().vad))


if __name__ == "__main__":
    main()
