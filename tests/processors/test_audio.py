"""Audio goes from processor to processor by a call, and nothing is lost that pipecat would keep."""

import asyncio

from pipecat.frames.frames import Frame, InputAudioRawFrame, VADUserStartedSpeakingFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from processors.audio import audio_sink, forward_audio


class Source(FrameProcessor):
    """Hands audio on as Viva's own processors do."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await forward_audio(self, frame)
        else:
            await self.push_frame(frame, direction)


class Ear(FrameProcessor):
    """Takes audio by a call; the second piece is one too many."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.heard: list[bytes | str] = []

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        if frame.audio == b"xx":
            raise ValueError("no audio")
        self.heard.append(frame.audio)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self.heard.append("started")
        await self.push_frame(frame, direction)


class Foreign(FrameProcessor):
    """Somebody else's processor, with a queue of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.heard.append(frame.audio)
        await self.push_frame(frame, direction)


def audio(pcm: bytes) -> InputAudioRawFrame:
    return InputAudioRawFrame(pcm, 16_000, 1)


def chain(*processors: FrameProcessor) -> FrameProcessor:
    return Pipeline(list(processors))


async def test_audio_keeps_its_place_among_the_other_frames() -> None:
    ear = Ear()
    sent = [audio(b"aa"), VADUserStartedSpeakingFrame(), audio(b"bb")]
    await run_test(chain(Source(), ear), frames_to_send=sent)
    assert ear.heard == [b"aa", "started", b"bb"]


async def test_what_goes_wrong_is_told_upstream_and_the_next_audio_is_heard() -> None:
    ear = Ear()
    _, up = await run_test(
        chain(Source(), ear), frames_to_send=[audio(b"aa"), audio(b"xx"), audio(b"bb")]
    )
    assert [str(frame) for frame in up if "no audio" in str(frame)], up
    assert ear.heard == [b"aa", b"bb"]


async def test_a_processor_of_somebody_else_gets_audio_as_pipecat_gives_it() -> None:
    foreign = Foreign()
    down, _ = await run_test(chain(Source(), foreign), frames_to_send=[audio(b"aa"), audio(b"bb")])
    await asyncio.sleep(0)
    assert foreign.heard == [b"aa", b"bb"]
    assert [frame.audio for frame in down if isinstance(frame, InputAudioRawFrame)] == foreign.heard


def test_whoever_takes_audio_by_a_call_is_known_by_it() -> None:
    ear = Ear()
    assert audio_sink(ear) is ear
    assert audio_sink(Foreign()) is None
    assert audio_sink(None) is None
