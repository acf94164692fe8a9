"""A persona's voice: any vendor of text to speech, one text at a time."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import soxr
from loguru import logger
from pipecat.frames.frames import TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame

from client.handset import Samples
from client.wav import INPUT_RATE, WavError, read_wav, speech_secs
from evals.callers.persona import Background, Persona, PersonaError, VoiceChoice
from evals.conformance.harness import NonconformanceError, StageHarness
from evals.corpus import beds
from evals.corpus.scenario import AUDIO, Bed
from knowledge.loading.document import Document
from pipeline.choice import choose_for
from pipeline.engines import load_vendor
from pipeline.vendors import Context, Vendor
from settings import Settings, SettingsError

SPEECH_SECS = 30.0
"""Maximum time for a vendor to speak a line."""


class VoiceError(Exception):
    """A line could not be spoken; the text says why."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A line as it is spoken.

    Parameters:
        samples: The sound, 16 kHz, in 16-bit units.
        span: Where its first word begins and its last ends, in seconds.
    """

    samples: Samples
    span: tuple[float, float]


class Speaker(Protocol):
    """Speaks lines: a :class:`CallerVoice`, or a test's stand-in."""

    async def speak(self, text: str) -> Speech:
        """Speak a line.

        Raises:
            VoiceError: It cannot be spoken.
        """
        ...


class CallerVoice:
    """A voice that speaks whole lines, and keeps what it has spoken; :meth:`load` makes one.

    Parameters:
        choice: Whose voice it is.
        vendor: Its vendor.
        loaded: What the vendor has loaded.
        context: Settings and document.
    """

    def __init__(self, choice: VoiceChoice, vendor: Vendor, loaded: Any, context: Context) -> None:
        self._choice = choice
        self._vendor = vendor
        self._loaded = loaded
        self._context = context
        self._spoken: dict[str, asyncio.Task[Speech]] = {}

    @classmethod
    async def load(cls, choice: VoiceChoice, document: Document) -> Self:
        """Load the vendor.

        Raises:
            VoiceError: It is unknown, lacks a setting, or cannot be loaded.
        """
        vendor, settings = vendor_of(choice)
        if choice.name:
            document = replace(document, persona=replace(document.persona, voice=choice.name))
        context = Context(settings, document)
        try:
            loaded = await asyncio.to_thread(
                load_vendor, vendor, context, lambda _label, _share: None
            )
        except Exception as error:
            raise VoiceError(f"the voice {vendor.name} cannot be loaded: {error}") from error
        return cls(choice, vendor, loaded, context)

    async def speak(self, text: str) -> Speech:
        """Speak a line; the same line sounds the same again.

        Raises:
            VoiceError: The vendor failed twice.
        """
        if text not in self._spoken:
            self._spoken[text] = asyncio.create_task(self._speak(text))
        try:
            return await asyncio.shield(self._spoken[text])
        except VoiceError:
            self._spoken.pop(text, None)  # the next caller tries again
            raise

    async def close(self) -> None:
        """Stop speaking, and release what the vendor has loaded."""
        for task in self._spoken.values():
            task.cancel()
        await asyncio.gather(*self._spoken.values(), return_exceptions=True)
        closing = getattr(self._loaded, "close", None)
        if closing is not None and asyncio.iscoroutine(closed := closing()):
            await closed

    async def _speak(self, text: str) -> Speech:
        """Speak a line; a vendor that fails once, as on a busy machine, is asked once more."""
        try:
            return await self._attempt(text)
        except VoiceError as error:
            logger.warning("{}; trying once more", error)
        return await self._attempt(text)

    async def _attempt(self, text: str) -> Speech:
        try:
            async with StageHarness(self._vendor.build(self._loaded, self._context)) as harness:
                await harness.push(TTSSpeakFrame(text))
                await harness.wait_for(
                    lambda: harness.received(TTSStoppedFrame), SPEECH_SECS, "no end of the speech"
                )
                audio = [frame for _, frame in harness.received(TTSAudioRawFrame)]
                said = harness.reported
        except NonconformanceError as error:
            raise VoiceError(f"{self._vendor.name} did not speak {text!r}: {error}") from None
        if not audio:
            raise VoiceError(f"{self._vendor.name} has no sound for {text!r}{said}")
        pcm = np.frombuffer(b"".join(frame.audio for frame in audio), np.int16)
        raised = 2 ** (self._choice.pitch / 12)
        samples = soxr.resample(
            pcm.astype(np.float32), audio[0].sample_rate * raised, INPUT_RATE
        ).astype(np.float32)
        span = speech_secs(np.clip(samples, -32_768, 32_767).astype(np.int16).tobytes())
        if span[1] <= span[0]:
            raise VoiceError(f"{self._vendor.name} is silent for {text!r}{said}")
        return Speech(samples, span)


def vendor_of(choice: VoiceChoice) -> tuple[Vendor, Settings]:
    """The vendor of a voice, and the settings that it is used with.

    Raises:
        VoiceError: There is no such vendor, or a setting is unknown or missing.
    """
    for name, _ in choice.settings:
        if name not in Settings.model_fields:
            raise VoiceError(f"voice: settings has {name}; see `viva settings` for their names")
    try:
        settings = Settings.load(**{**dict(choice.settings), "tts": choice.vendor})
        vendor = choose_for("tts", settings).vendor
    except SettingsError as error:
        raise VoiceError(f"voice: {error}") from None
    return vendor, settings


def check_sounds(persona: Persona) -> None:
    """Check that a persona can sound as its file says, before anybody is called.

    Raises:
        PersonaError: The voice's vendor or the background cannot be used.
    """
    try:
        vendor_of(persona.voice)
        if persona.background is not None:
            _check_background(persona.background)
    except (VoiceError, WavError) as error:
        raise PersonaError(f"{persona.id}.toml: {error}") from None


def _check_background(wanted: Background) -> None:
    if wanted.file is not None:
        _noise(wanted.file)
    elif wanted.kind != "line" and not AUDIO.is_dir():
        raise VoiceError(
            f"background: {wanted.kind} is made of recordings that only a checkout has; use "
            'kind = "line", or a file'
        )


def background(wanted: Background, speech: list[Samples], seed: int) -> Samples:
    """Make what sounds behind a persona, to be looped.

    Args:
        wanted: What it is; it has been checked.
        speech: Some of the persona's speech, which sets the level.
        seed: The seed of the random generator.

    Raises:
        WavError: Its file cannot be read.
    """
    if wanted.file is not None:
        return beds.levelled(_noise(wanted.file), speech, wanted.snr_db)
    return beds.make(Bed(wanted.kind, wanted.snr_db), speech, seed)  # type: ignore[arg-type]


def _noise(path: Path) -> Samples:
    samples = np.frombuffer(read_wav(path), np.int16).astype(np.float32)
    if not samples.any():
        raise WavError(f"{path}: it is silent")
    return samples
