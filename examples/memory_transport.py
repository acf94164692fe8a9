"""The least that a transport can be: it takes audio in, and plays in real time into memory.

``Call(MemoryConnection(), engines, escalations)`` holds a call on it. Ledger, costs, heard text
and recording need nothing of it.
"""

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
        """Take audio from now on."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def receive_audio(self, pcm: bytes) -> None:
        """Take audio of the caller: PCM s16le, mono, 16 kHz."""
        await self.push_audio_frame(InputAudioRawFrame(pcm, INPUT_SAMPLE_RATE, 1))


class MemoryOutput(BaseOutputTransport):
    """Where the voice goes out."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.played = bytearray()

    async def start(self, frame: StartFrame) -> None:
        """Play audio from now on."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play a piece, which takes as long as it is; pipecat's sender waits for that."""
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate)
        self.played += frame.audio
        return True


class MemoryTransport(BaseTransport):
    """Input and output; it knows nothing of turns and reports nothing."""

    def __init__(self) -> None:
        super().__init__()
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self.source = MemoryInput(params)
        self.sink = MemoryOutput(params)

    def input(self) -> FrameProcessor:
        """Where the caller's audio comes in."""
        return self.source

    def output(self) -> FrameProcessor:
        """Where the voice goes out."""
        return self.sink


class MemoryConnection:
    """Connects a caller, and keeps only the reason for the end of the call."""

    def __init__(self) -> None:
        self.memory = MemoryTransport()
        self.begun = asyncio.Event()
        self.over = ""

    def transport(self, *_: Any) -> MemoryTransport:
        """The call's transport."""
        return self.memory

    async def announce_recording(self, **_: Any) -> None:
        """Do nothing: this caller need not be told."""

    async def announce_start(self, *_: Any) -> None:
        """Note that the call has begun."""
        self.begun.set()

    async def announce_time_left(self, *_: Any) -> None:
        """Do nothing: nothing is shown to this caller."""

    async def announce_problem(self, *_: Any) -> None:
        """Do nothing: nothing is shown to this caller."""

    async def finish(self, reason: str, _message: str) -> None:
        """Note why the call is over."""
        self.over = reason
