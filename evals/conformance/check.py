"""A conformance check, the vendor under test, and what the checks have in common."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast

import numpy as np
import soxr
from pipecat.frames.frames import (
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.stt_service import STTService
from pydantic import SecretStr
from rapidfuzz.distance import Levenshtein

from conversation.turns import INPUT_SAMPLE_RATE
from evals.conformance.harness import NonconformanceError, NotApplicableError, StageHarness
from pipeline.engines import Engines
from pipeline.vendors import Context, Stage, Vendor, embedded
from processors.daemon import in_thread
from settings import Settings

T = TypeVar("T")
Subject = TypeVar("Subject")

SPEECH_SECS = 10.0
"""Maximum time for the embedded voice to synthesise a recogniser's input."""

REFUSAL_SECS = 10.0
"""Maximum time for a vendor to refuse an invalid key."""

WRONG_KEY = "wrong-key-of-the-conformance-suite"

_ADAPTERS = "stock_voice, timed_voice and stock_recogniser make it lasting (docs/developing.md)"

_AUDIBLE = 0.02  # quieter than this share of the loudest sample counts as silence


Failure = Literal["blocks", "degrades"]
"""What a failed check means: no call is possible, or calls work with something missing."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """One requirement of a stage.

    Parameters:
        name: Its name in the table of results.
        run: Runs the check; returns what it measured, as text. Raises
            :class:`NonconformanceError` or :class:`NotApplicableError`; any other exception also
            counts as a failure.
        timeout_secs: Its timeout.
        failure: Whether a failure blocks calls or degrades them.
        loses: What callers or operators lose by a failure.
    """

    name: str
    run: Callable[[Subject], Awaitable[str]]
    timeout_secs: float
    failure: Failure
    loses: str


@dataclass(eq=False)
class VendorUnderTest:
    """A vendor to check, and the embedded engines that act as its caller or listener.

    Parameters:
        vendor: The vendor.
        engines: The loaded engines: this vendor's, and the embedded ones.
    """

    vendor: Vendor
    engines: Engines
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def build(self, vendor: Vendor | None = None) -> Any:
        """Build one call's processor or brain, of this vendor or another."""
        vendor = vendor or self.vendor
        return vendor.build(self.engines.loaded[vendor.name], self._context(self.engines.settings))

    async def cached(self, make: Callable[["VendorUnderTest"], Awaitable[T]]) -> T:
        """The result of ``make`` for this vendor, computed once for all checks."""
        if make not in self._made:
            self._made[make] = await make(self)
        return cast(T, self._made[make])

    def embedded(self, stage: Stage) -> Vendor | None:
        """The loaded embedded vendor of a stage."""
        loaded = self.engines.loaded
        return next((vendor for vendor in embedded(stage) if vendor.name in loaded), None)

    async def synthesise(self, text: str) -> bytes:
        """Speak a text with the embedded voice: 16-bit mono at 16 kHz, silence at its ends cut."""
        voice = self.embedded("tts")
        if voice is None:
            raise NonconformanceError("no embedded voice is installed to speak to it")
        async with StageHarness(self.build(voice)) as harness:
            await harness.push(TTSSpeakFrame(text))
            silent = "the embedded voice did not finish speaking"
            await harness.wait_for(lambda: harness.received(TTSStoppedFrame), SPEECH_SECS, silent)
            return between_silences(
                join_audio(harness.received(TTSAudioRawFrame), INPUT_SAMPLE_RATE)
            )

    async def transcribe(self, audio: Sequence[tuple[float, Any]]) -> str | None:
        """Transcribe audio frames with the embedded recogniser; ``None`` if there is none."""
        vendor = self.embedded("stt")
        recogniser = self.build(vendor) if vendor is not None else None
        if not isinstance(recogniser, STTService):
            return None
        frames = recogniser.run_stt(join_audio(audio, INPUT_SAMPLE_RATE))
        return " ".join([f.text async for f in frames if isinstance(f, TranscriptionFrame)])

    async def with_wrong_key(self) -> Any:
        """Build one call's processor or brain with a key that the vendor must refuse.

        Raises:
            NotApplicableError: The vendor uses no key.
        """
        if self.vendor.kind == "embedded":
            raise NotApplicableError("it runs in this process and has no key")
        keys = _WrongKeys(self.engines.settings)
        context = self._context(cast(Settings, keys))
        load = self.vendor.load
        async with asyncio.timeout(REFUSAL_SECS):
            loaded = await in_thread(lambda: load(context, lambda _label, _share: None))
        built = self.vendor.build(loaded, context)
        if not keys.read:
            raise NotApplicableError("no key is set for it")
        return built

    def _context(self, settings: Settings) -> Context:
        turn_model = not self.vendor.ends_turns
        return Context(settings, self.engines.document, turn_model=turn_model)


class _WrongKeys:
    """Settings in which every configured key is wrong; ``read`` tells whether one was used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.read = False

    def for_vendor(self, declared: type[Any]) -> Any:
        """A vendor's own settings, also with wrong keys."""
        self._settings.for_vendor(declared)  # raises if no vendor declares them
        return self

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._settings, name)
        if not isinstance(value, SecretStr) or not value.get_secret_value():
            return value
        self.read = True
        return SecretStr(WRONG_KEY)


async def wait_for_refusal(harness: StageHarness, vendor: FrameProcessor) -> str:
    """Wait until a vendor with a wrong key reports a lasting error; return the error's text.

    Raises:
        NonconformanceError: It does not within :data:`REFUSAL_SECS`, or its text is unfit to log.
    """

    def unusable() -> bool:
        return bool(harness.errors) and not vendor.is_usable

    try:
        missing = "it reported no lasting error for a wrong key"
        await harness.wait_for(unusable, REFUSAL_SECS, missing)
    except NonconformanceError as error:
        raise NonconformanceError(f"{error}; {_ADAPTERS}") from None
    return checked_refusal(harness.errors[-1].error)


def checked_refusal(refusal: str) -> str:
    """The refusal of a key, at most 200 characters of it.

    Raises:
        NonconformanceError: It is empty, or quotes the key.
    """
    if WRONG_KEY in refusal:
        raise NonconformanceError("its error quotes the key")
    if not refusal.strip():
        raise NonconformanceError("its error has no text")
    return refusal.strip()[:200]


def join_audio(audio: Sequence[tuple[float, Any]], sample_rate: int) -> bytes:
    """Join ``(time, audio frame)`` pairs to 16-bit mono PCM, resampled to a rate in Hz."""
    pcm = b"".join(frame.audio for _, frame in audio)
    rate = audio[0][1].sample_rate if audio else sample_rate
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate)
    return samples.astype("<i2").tobytes()


def between_silences(pcm: bytes) -> bytes:
    """16-bit PCM from its first audible sample to its last."""
    samples = np.frombuffer(pcm, "<i2")
    level = np.abs(samples.astype(np.int32))
    audible = np.flatnonzero(level > _AUDIBLE * level.max(initial=1))
    return samples[audible[0] : audible[-1] + 1].tobytes() if len(audible) else b""


def word_error_rate(said: str, heard: str) -> float:
    """Substituted, missing and inserted words per word said; case and punctuation are ignored."""
    reference = words_of(said)
    return Levenshtein.distance(reference, words_of(heard)) / max(1, len(reference))


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
