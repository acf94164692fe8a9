"""Scripted vendors, the same for every system in a comparison; they note when they are used.

The recogniser sends its final transcript 100 ms after the detected end of speech, the model its
first token after 418 ms, the voice its first audio after 80 ms and then at ten times the speed of
speech. Any further time is the system's own.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from client.wav import INPUT_RATE, OUTPUT_RATE, read_wav
from conversation.frames import Usage
from pipeline.choice import Choice
from pipeline.vendors import Stage, Vendor, of_stage
from processors.brain.contract import ArgumentsDelta, BrainEvent, Question, ToolStart, UsageReport
from processors.tts.speech_queue import SpeechQueue

AUDIO = Path(__file__).parent.parent / "tests" / "audio"

FINAL_SECS = 0.1
"""Time from the detected end of speech to the final transcript."""

INTERIM_SECS = (0.2, 0.3)
"""Time from detected speech to the first interim transcript, and between two of them."""

FIRST_TOKEN_SECS = 0.418
TOKEN_SECS = 0.01
FIRST_AUDIO_SECS = 0.08
PIECE_SECS = 0.1
"""Length of a piece of the voice."""

PACE = 10.0
"""Speed of the voice relative to speech."""

CHARACTER_SECS = 0.045

QUESTION = "Where did she study mathematics?"
SENTENCES = (
    "She earned a master's degree in mathematics from Yale University in 1930.",
    "She earned her PhD in mathematics from Yale University in 1934.",
)
ANSWER = " ".join(SENTENCES)

STAGES: Mapping[str, tuple[str, str]] = {
    "transcript_to_model_ms": ("final", "asked"),
    "sentence_to_voice_ms": ("sentence", "spoken"),
    "audio_to_socket_ms": ("audio", "sent"),
}
"""The parts of a turn that a system adds, each with the times that begin and end it."""


@dataclass
class Marks:
    """The times at which the vendors of one call were asked and answered, turn by turn.

    Parameters:
        turns: For each turn, times of ``time.monotonic`` by name; the first of a name counts.
        confirmed: When an interruption of the voice was confirmed last.
    """

    turns: list[dict[str, float]] = field(default_factory=list)
    confirmed: float = 0.0

    def begin_turn(self) -> None:
        """Begin a turn: its final transcript leaves the recogniser."""
        self.turns.append({"final": time.monotonic()})

    def note(self, name: str) -> None:
        """Note the time of an event of the latest turn."""
        if self.turns:
            self.turns[-1].setdefault(name, time.monotonic())

    def own_ms(self) -> list[dict[str, float]]:
        """The time that the system added to each complete turn, by stage and in total, in ms."""
        rows = []
        for turn in self.turns:
            if all(name in turn for pair in STAGES.values() for name in pair):
                parts = {
                    stage: (turn[end] - turn[start]) * 1000
                    for stage, (start, end) in STAGES.items()
                }
                rows.append(parts | {"own_ms": sum(parts.values())})
        return rows


MARKS: ContextVar[Marks] = ContextVar("MARKS")
"""The marks of the call to which the current task belongs."""


def note(name: str) -> None:
    """Note the time of an event in the call to which the current task belongs."""
    if (marks := MARKS.get(None)) is not None:
        marks.note(name)


@cache
def voice() -> bytes:
    """Real speech at the output rate, from which every answer is cut."""
    speech = b"".join(read_wav(path) for path in sorted(AUDIO.glob("w*.wav")))
    samples = soxr.resample(np.frombuffer(speech, np.int16), INPUT_RATE, OUTPUT_RATE)
    return bytes(samples.astype(np.int16).tobytes())


async def speak(text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
    """Stream the speech of a text, piece by piece."""
    note("spoken")
    audio, piece = voice(), int(PIECE_SECS * OUTPUT_RATE) * 2
    size = int(len(text) * CHARACTER_SECS * OUTPUT_RATE) * 2
    await asyncio.sleep(FIRST_AUDIO_SECS)
    for at in range(0, size, piece):
        note("audio")
        pcm = audio[at : min(at + piece, size)]
        yield TTSAudioRawFrame(pcm, OUTPUT_RATE, 1, context_id=context_id)
        await asyncio.sleep(PIECE_SECS / PACE)


async def tokens(text: str, first: str = "") -> AsyncIterator[str]:
    """Stream a text word by word, like a model.

    The two words after a sentence arrive with its end, so that no system waits for the words that
    tell it that the sentence is complete.
    """
    await asyncio.sleep(FIRST_TOKEN_SECS)
    if first:
        yield first
    starts = [0, *(at for at, letter in enumerate(text) if letter == " "), len(text)]
    at_once = 0
    for start, end in pairwise(starts):
        piece = text[start:end]
        at_once -= 1
        if piece.endswith("."):
            note("sentence")
            at_once = 2
        yield piece
        if at_once <= 0:
            await asyncio.sleep(TOKEN_SECS)


class ScriptedSTT(STTService):
    """Knows the words by script, but takes the time of a real recogniser."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            settings=STTSettings(model="scripted", language=None),
            ttfs_p99_latency=FINAL_SECS,
            sample_rate=INPUT_RATE,
            **kwargs,
        )
        self._hearing: asyncio.Task[None] | None = None

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Accept audio, like a service that forwards it."""
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow the voice activity."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self._stop_hearing()
            self._hearing = self.create_task(self._hear())
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._stop_hearing()
            self._hearing = self.create_task(self._finish())

    async def cleanup(self) -> None:
        """Cancel the remaining tasks."""
        await super().cleanup()
        await self._stop_hearing()

    async def _stop_hearing(self) -> None:
        if self._hearing is not None:
            hearing, self._hearing = self._hearing, None
            await self.cancel_task(hearing)

    async def _hear(self) -> None:
        words = QUESTION.split()
        wait, further = INTERIM_SECS
        for known in range(2, len(words) + 2, 2):
            await asyncio.sleep(wait)
            wait = further
            await self.push_frame(InterimTranscriptionFrame(" ".join(words[:known]), "caller", ""))

    async def _finish(self) -> None:
        await asyncio.sleep(FINAL_SECS)
        if (marks := MARKS.get(None)) is not None:
            marks.begin_turn()
        await self.push_frame(TranscriptionFrame(QUESTION, "caller", "", finalized=True))


class ScriptedLLM(LLMService):
    """A model in pipecat's form, which streams its answer as text."""

    def __init__(self) -> None:
        super().__init__(
            settings=LLMSettings(
                model="scripted",
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=False,
                user_turn_completion_config=None,
            )
        )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            note("asked")
            await self.push_frame(LLMFullResponseStartFrame())
            async for token in tokens(ANSWER):
                await self.push_frame(LLMTextFrame(token))
            await self.push_frame(LLMFullResponseEndFrame())
        else:
            await self.push_frame(frame, direction)


def _tts_settings() -> TTSSettings:
    return TTSSettings(model="scripted", voice="scripted", language=None)


class ScriptedTTS(TTSService):
    """A voice in pipecat's form."""

    def __init__(self) -> None:
        super().__init__(
            sample_rate=OUTPUT_RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=_tts_settings(),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence."""
        async for frame in speak(text, context_id):
            yield frame


class VivaSTT(ScriptedSTT):
    """The recogniser with Viva's direct path for audio, which bypasses the base class.

    Parameters:
        ends_turns: End the turn with each final transcript, as Deepgram's Flux does.
    """

    def __init__(self, *, ends_turns: bool = True) -> None:
        super().__init__(audio_passthrough=False, enable_direct_mode=True)
        self._ends_turns = ends_turns

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Accept audio."""

    async def _finish(self) -> None:
        await super()._finish()
        if self._ends_turns:
            await self.push_frame(ProposedUserStoppedSpeakingFrame())


class VivaBrain:
    """Streams the one tool call of a turn, token by token."""

    name = "scripted"

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Give every question the same answer."""
        note("asked")
        yield UsageReport(Usage(input_tokens=100))
        opening = json.dumps({"sections": ["education"], "confidence": "high", "answer": ""})
        first = True
        async for token in tokens(ANSWER, first=opening[:-2]):
            if first:
                first = False
                yield ToolStart("respond")
                yield ArgumentsDelta(token)
            else:
                yield ArgumentsDelta(json.dumps(token)[1:-1])
        yield ArgumentsDelta('"}')


class VivaVoice(SpeechQueue):
    """The voice behind Viva's speech queue."""

    def __init__(self) -> None:
        super().__init__(
            sample_rate=OUTPUT_RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=_tts_settings(),
        )

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence."""
        async for frame in speak(text, context_id):
            yield frame


def choices(*, turn_model: bool = False) -> dict[Stage, Choice]:
    """Choose Viva's own voice activity detector, and a scripted vendor for every other stage.

    Args:
        turn_model: Let Viva's turn model end the turns instead of the recogniser.
    """
    brain = VivaBrain()
    builds: Mapping[Stage, Callable[[], object]] = {
        "stt": partial(VivaSTT, ends_turns=not turn_model),
        "brain": lambda: brain,
        "tts": VivaVoice,
    }
    chosen: dict[Stage, Choice] = {"vad": Choice(of_stage("vad")[0], "the benchmark's")}
    for stage, build in builds.items():
        vendor = Vendor(
            stage=stage,
            name=f"scripted-{stage}",
            label="scripted",
            kind="cloud",
            detail="keeps to a script",
            build=lambda _loaded, _context, build=build: build(),  # type: ignore[misc]
            model="scripted",
            ends_turns=stage == "stt" and not turn_model,
        )
        chosen[stage] = Choice(vendor, "the benchmark's")
    return chosen
