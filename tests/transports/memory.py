"""The least that a transport can be: it takes audio in, and plays in real time into memory."""

import asyncio
from typing import Any

from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from conversation.turns import INPUT_SAMPLE_RATE


class MemoryInput(BaseInputTransport):
    """Where the caller's audio comes in."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def hear(self, pcm: bytes) -> None:
        await self.push_audio_frame(InputAudioRawFrame(pcm, INPUT_SAMPLE_RATE, 1))


class MemoryOutput(BaseOutputTransport):
    """Where the voice goes out."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.played = bytearray()

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate)
        self.played += frame.audio
        return True


class MemoryTransport(BaseTransport):
    """Both; it knows nothing of turns, and reports nothing."""

    def __init__(self) -> None:
        super().__init__()
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self.source = MemoryInput(params)
        self.sink = MemoryOutput(params)

    def input(self) -> FrameProcessor:
        return self.source

    def output(self) -> FrameProcessor:
        return self.sink


class MemoryLine:
    """The caller's end of a call, who is told nothing but why it is over."""

    def __init__(self) -> None:
        self.memory = MemoryTransport()
        self.begun = asyncio.Event()
        self.over = ""

    def transport(self, *_: Any) -> MemoryTransport:
        return self.memory

    def record(self, *_: Any) -> None:
        """It tells a recorder nothing of its own."""

    async def recorded(self, **_: Any) -> None:
        """The caller knows."""

    async def begin(self, *_: Any) -> None:
        self.begun.set()

    async def short(self, *_: Any) -> None:
        """The caller has a clock."""

    async def trouble(self, *_: Any) -> None:
        """The caller hears it."""

    async def finish(self, reason: str, _message: str) -> None:
        self.over = reason
