"""The voice of a simulated caller: a line that fails once is spoken again."""

from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.turns import OUTPUT_SAMPLE_RATE
from evals.callers.persona import VoiceChoice
from evals.callers.voice import CallerVoice, VoiceError
from evals.replay import virtual_time
from knowledge.loading.document import load
from pipeline.vendors import Context, Vendor
from settings import Settings

TONE = (8000 * np.sin(np.arange(OUTPUT_SAMPLE_RATE) * 0.06)).astype("<i2").tobytes()


class Faltering(FrameProcessor):
    """A voice that has no sound for the first lines."""

    def __init__(self, silent: list[str]) -> None:
        super().__init__()
        self._silent = silent

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, TTSSpeakFrame):
            await self.push_frame(frame, direction)
            return
        if self._silent:
            self._silent.pop()
        else:
            await self.push_frame(TTSAudioRawFrame(TONE, OUTPUT_SAMPLE_RATE, 1))
        await self.push_frame(TTSStoppedFrame())


def spoken(fails: int) -> Any:
    """What a caller's voice gives for a line if its vendor has no sound so many times."""
    silent = ["no sound"] * fails
    vendor = Vendor(
        stage="tts",
        name="faltering",
        label="Faltering",
        kind="embedded",
        detail="a voice of this test",
        build=lambda *_: Faltering(silent),
    )

    async def main() -> Any:
        context = Context(Settings.load(), load())
        voice = CallerVoice(VoiceChoice(vendor="faltering"), vendor, None, context)
        return await voice.speak("Where did she study?")

    return virtual_time.run(main())


def test_a_line_without_sound_is_spoken_once_more() -> None:
    speech = spoken(fails=1)
    assert speech.span[1] - speech.span[0] > 0.9


def test_a_voice_that_stays_silent_is_told() -> None:
    with pytest.raises(VoiceError, match="faltering has no sound for 'Where did she study"):
        spoken(fails=2)
