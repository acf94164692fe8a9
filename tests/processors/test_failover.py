"""A vendor fails in mid-call, and the call goes on with the next."""

import asyncio
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.tests.utils import SleepFrame, run_test

from conversation.frames import FailoverFrame, SpeechPauseFrame
from evals.replay import virtual_time
from processors.stt.failover import SpeechToTextFailover
from tests.chain import ScriptedCall, samples_of
from tests.conftest import with_instant_engines

ANSWER = "She studied at Vassar. Then she went to Yale."


@pytest.mark.parametrize(
    "fails_at",
    [
        pytest.param("She studied", id="before the first sentence"),
        pytest.param("Then she", id="between two sentences"),
        pytest.param("Yale", id="in the middle of the last sentence"),
    ],
)
def test_what_the_first_voice_did_not_say_the_second_does(fails_at: str) -> None:
    async def play() -> ScriptedCall:
        async with ScriptedCall(voice_fails_at=fails_at) as call:
            await call.ask("Where did she study?")
            await asyncio.sleep(7.0)
            await call.ask("And then, where did she study?")
            await asyncio.sleep(7.0)
        return call

    call = virtual_time.run(play())
    first, second = call.socket.own("turn")
    assert first["heard_text"] == first["answer"] == ANSWER
    assert second["heard_text"] == ANSWER, "the second voice stays"
    said = [sentence["text"] for sentence in call.socket.own("sentence") if sentence["turn"] == 1]
    assert said == ["She studied at Vassar.", "Then she went to Yale."]
    assert call.socket.own("failover") == [
        {"type": "failover", "stage": "tts", "failed": "first", "vendor": "second"}
    ]
    assert not call.ended, "the call goes on"
    audio = [message for _, message in call.socket.sent if isinstance(message, bytes)]
    assert samples_of(b"".join(audio)) <= {1, 2}


class ScriptedRecogniser(STTService):
    """Transcribes speech as how much of it there was; may fail after some of it."""

    def __init__(self, *, fails_after_secs: float | None = None) -> None:
        super().__init__(
            audio_passthrough=False,
            settings=STTSettings(model="scripted", language=None),
            ttfs_p99_latency=1.0,
        )
        self._fails_after_secs = fails_after_secs
        self._heard = 0.0
        self._speaking = False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None

    async def process_frame(self, frame: Frame, direction: Any) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case VADUserStartedSpeakingFrame():
                self._speaking, self._heard = True, 0.0
            case InputAudioRawFrame() if self._speaking:
                self._heard += frame.num_frames / frame.sample_rate
                if self._fails_after_secs is not None and self._heard > self._fails_after_secs:
                    self._fails_after_secs = None
                    await self.push_error("key revoked", force_treat_as_permanent=True)
            case VADUserStoppedSpeakingFrame() if self.is_usable:
                self._speaking = False
                text = f"{self._heard:.1f} seconds"
                await self.push_frame(TranscriptionFrame(text, "caller", "", finalized=True))


@with_instant_engines
async def test_speech_that_the_first_recogniser_lost_is_heard_again_by_the_second() -> None:
    with wave.open(str(Path("tests/audio/where-studied.wav")), "rb") as file:
        pcm = file.readframes(16_000)
    chunks = [pcm[at : at + 640] for at in range(0, len(pcm), 640)]
    frames: list[Frame] = [VADUserStartedSpeakingFrame(start_secs=0.096)]
    frames += [InputAudioRawFrame(chunk, 16_000, 1) for chunk in chunks]
    frames += [VADUserStoppedSpeakingFrame(stop_secs=0.2), SleepFrame(0.1), EndFrame()]
    switcher = SpeechToTextFailover(
        [ScriptedRecogniser(fails_after_secs=0.5), ScriptedRecogniser()],
        names=["deepgram", "whisper"],
        ends_turns=[True, False],
    )
    down, _ = await run_test(switcher, frames_to_send=frames, send_end_frame=False)
    notices = [frame for frame in down if isinstance(frame, FailoverFrame)]
    (notice,) = notices
    assert (notice.failed, notice.vendor, notice.ends_turns) == ("deepgram", "whisper", False)
    (transcript,) = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert transcript.text == "1.0 seconds", "all of the speech, and none of it twice"


class QuickRecogniser(ScriptedRecogniser):
    """Ends the turn before voice activity notices, and loses its connection afterwards."""

    async def process_frame(self, frame: Frame, direction: Any) -> None:
        await STTService.process_frame(self, frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self.push_frame(TranscriptionFrame("Where?", "caller", "", finalized=True))
        elif isinstance(frame, SpeechPauseFrame):
            await self.push_error("the connection was lost")


@with_instant_engines
async def test_a_turn_that_was_over_before_its_silence_is_not_heard_again() -> None:
    frames: list[Frame] = [
        VADUserStartedSpeakingFrame(start_secs=0.096),
        SleepFrame(0.02),
        InputAudioRawFrame(bytes(640), 16_000, 1),
        VADUserStoppedSpeakingFrame(stop_secs=0.2),
        SpeechPauseFrame(pause_secs=0.5),
        SleepFrame(0.1),
        EndFrame(),
    ]
    switcher = SpeechToTextFailover(
        [QuickRecogniser(), ScriptedRecogniser()],
        names=["deepgram-flux", "whisper"],
        ends_turns=[True, False],
        patience_secs=0.02,
    )
    down, _ = await run_test(switcher, frames_to_send=frames, send_end_frame=False)
    assert not [frame for frame in down if isinstance(frame, FailoverFrame)]
    texts = [frame.text for frame in down if isinstance(frame, TranscriptionFrame)]
    assert texts == ["Where?"], "once"
