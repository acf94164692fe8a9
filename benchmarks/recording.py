"""Measures the CPU cost of recording a call, in its recorder and in the thread that writes.

    python -m benchmarks.recording [--calls N] [--secs S] [--json]

Calls run concurrently in real time, with the rates of real calls: recorded speech arrives in 20 ms
pieces, a voice answers for three fifths of the time, the page reports ten times a second, and every
ten seconds there is a turn with all frames of its stages. Everything passes the recorder's own
taps. The same runs without a recorder; the difference in CPU of the process with all its threads is
the cost of recording.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from client.wav import read_wav
from conversation.frames import (
    CallerTextFrame,
    DecisionFrame,
    EndOfTurnFrame,
    SentenceFrame,
    TurnFrame,
)
from conversation.records import CallerIdentity, CallRecord
from processors.stage_boundary import StageBoundary
from recording.recorder import Facts, Recorder, RecordingTarget
from recording.recording import Recording
from recording.writer import RecordingWriter
from settings import Settings

AUDIO = Path("tests/audio")
TICK_SECS = 0.02
TURN_TICKS = 500
SPEAKING = 0.6
VOICE_TICKS = 3
"""Length of a piece of the voice, as the embedded voice sends it."""

STAGES = ("vad", "stt", "turn", "brain", "tts")


class Sink(FrameProcessor):
    """A stage whose frames are discarded."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Discard a frame."""


class ObservedSink(StageBoundary):
    """A stage whose frames are observed and then discarded."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Discard a frame."""


class BenchCall:
    """One call's stages, with or without a recorder."""

    def __init__(
        self, number: int, speech: bytes, voice: bytes, target: RecordingTarget | None
    ) -> None:
        self.stages: dict[str, FrameProcessor] = {stage: Sink() for stage in STAGES}
        self.speech, self.voice = speech, voice
        self.recorder: Recorder | None = None
        if target is not None:
            facts = Facts(
                settings=Settings.load(), vendors={}, models={}, ending="model", preemptive=False
            )
            self.recorder = Recorder(target, facts, clock=time.monotonic)
            for stage in STAGES:
                self.stages[stage] = ObservedSink(self.recorder, before=stage, after="")
            record = CallRecord(
                f"c-{number}", CallerIdentity(), started_at=time.time(), day="2026-11-24"
            )
            self.recorder.begun(record)

    async def tick(self, number: int) -> None:
        """Run 20 ms of the call."""
        recorder = self.recorder
        at = number * 640 % (len(self.speech) - 640)
        piece = self.speech[at : at + 640]
        if recorder is not None:
            recorder.heard(piece)
        await self.push("vad", InputAudioRawFrame(piece, 16_000, 1))
        place = number % TURN_TICKS
        if place < TURN_TICKS * SPEAKING:
            await self.speak(number, place)
        if number % 5 == 0 and recorder is not None:
            recorder.page_said("playback", {"epoch": 0, "samples": number * 480, "final": False})
        if place == TURN_TICKS - 10:
            await self.turn(number // TURN_TICKS + 1)

    async def speak(self, number: int, place: int) -> None:
        """Send a piece of the voice if one is due."""
        if place % VOICE_TICKS:
            return
        at = number * 960 % (len(self.voice) - 2880)
        voice = self.voice[at : at + 2880]
        await self.push("tts", TTSAudioRawFrame(voice, 24_000, 1, context_id="answer"))
        if self.recorder is not None:
            self.recorder.sent(voice)

    async def turn(self, number: int) -> None:
        """Push all frames of a turn."""
        question = "Where did she study mathematics, and when?"
        answer = "She earned a master's degree in mathematics from Yale University in 1930."
        await self.push("vad", VADUserStartedSpeakingFrame(start_secs=0.096))
        for end in range(10, len(question), 8):
            await self.push("stt", InterimTranscriptionFrame(question[:end], "caller", ""))
            await self.push("turn", CallerTextFrame(text=question[:end]))
            self.tell({"type": "user-transcription", "text": question[:end], "final": False})
        await self.push("vad", VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await self.push("vad", EndOfTurnFrame(0.95, 0.1))
        await self.push("stt", TranscriptionFrame(question, "caller", "", finalized=True))
        await self.push("turn", TurnFrame(number, question))
        if self.recorder is not None:
            for start in range(0, len(answer), 6):
                event = {"event": "arguments", "json": answer[start : start + 6]}
                self.recorder.write("/brain/Event", {**event, "ask": number, "brain": "bench"})
        sentence = SentenceFrame(answer, turn=number, sections=("education",), lines=(59,))
        for stage in ("brain", "tts"):
            await self.push(stage, sentence)
        await self.push("brain", DecisionFrame(number, text=answer))
        await self.push("tts", TTSStartedFrame("answer"))
        await self.push("tts", TTSStoppedFrame("answer"))
        for kind in ("sentence", "bot-output", "decision", "stage", "stage", "stage"):
            self.tell({"type": kind, "text": answer, "turn": number})

    async def push(self, stage: str, frame: Frame) -> None:
        """Push a frame from a stage."""
        processor = self.stages[stage]
        if isinstance(processor, ObservedSink):
            await processor.process_frame(frame, FrameDirection.DOWNSTREAM)
        else:
            await processor.push_frame(frame)

    def tell(self, data: dict[str, object]) -> None:
        """Send a message to the page."""
        if self.recorder is not None:
            self.recorder.page_told(str(data["type"]), data)


async def hold(calls: list[BenchCall], secs: float) -> float:
    """Run calls concurrently in real time; returns the CPU seconds of the process."""
    before, start = time.process_time(), time.monotonic()
    for number in count():
        if number * TICK_SECS >= secs:
            break
        for call in calls:
            await call.tick(number)
        await asyncio.sleep(max(0.0, start + (number + 1) * TICK_SECS - time.monotonic()))
    return time.process_time() - before


def voices() -> tuple[bytes, bytes]:
    """Speech at 16 kHz, and the same at 24 kHz."""
    speech = b"".join(read_wav(path) for path in sorted(AUDIO.glob("*.wav"))[:20])
    samples = np.frombuffer(speech, "<i2")
    return speech, samples[np.arange(len(samples) * 3 // 2) * 2 // 3].tobytes()


def written(folder: Path, secs: float) -> tuple[int, int]:
    """Count bytes and messages of the files in a folder; every file must be complete."""
    files = sorted(folder.glob("*.mcap"))
    recordings = [Recording.load(file) for file in files]
    assert all(recording.whole and recording.duration_secs > secs - 1 for recording in recordings)
    messages = sum(len(recording.messages) for recording in recordings)
    return sum(file.stat().st_size for file in files), messages


async def measure(calls: int, secs: float) -> dict[str, object]:
    """Measure CPU with and without recording, and the size of the files."""
    speech, voice = voices()
    with tempfile.TemporaryDirectory(prefix="viva-recording-") as name:
        plain = await hold([BenchCall(n, speech, voice, None) for n in range(calls)], secs)
        writer, folder = RecordingWriter(), Path(name)
        target = RecordingTarget(writer, folder)
        recorded = [BenchCall(n, speech, voice, target) for n in range(calls)]
        before = time.process_time()
        await hold(recorded, secs)
        for call in recorded:
            if call.recorder is not None:
                call.recorder.close()
        await writer.close()
        cost = time.process_time() - before - plain
        size, messages = written(folder, secs)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "calls": calls,
        "secs": secs,
        "core_percent_a_call": round(100 * cost / secs / calls, 3),
        "without_core_percent_a_call": round(100 * plain / secs / calls, 3),
        "kilobytes_a_second": round(size / secs / calls / 1000, 1),
        "messages_a_second": round(messages / secs / calls, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=10, help="concurrent calls")
    parser.add_argument("--secs", type=float, default=30.0, help="their length")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = asyncio.run(measure(options.calls, options.secs))
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['core_percent_a_call']} % of a core per call, {result['machine']}")
    print(
        f"{result['kilobytes_a_second']} kB and {result['messages_a_second']} messages per second"
    )


if __name__ == "__main__":
    main()
