"""What conformance checks share: the vendor, and the embedded engines that talk to it."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import Executor, Future
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
from evals.conformance.line import Line, NonconformanceError, NotApplicableError
from pipeline.engines import Engines
from pipeline.vendors import Context, Stage, Vendor, of_stage
from settings import Settings

T = TypeVar("T")
Subject = TypeVar("Subject")

SPEECH_SECS = 10.0
"""Maximum time for the embedded voice to synthesise a recogniser's input."""

REFUSAL_SECS = 10.0
"""Maximum time for a vendor to refuse a wrong key."""

WRONG_KEY = "wrong-key-of-the-conformance-suite"

_AUDIBLE = 0.02  # of the loudest sample


Failure = Literal["blocks", "degrades"]
"""What a failure means: no call can be held, or calls can be held and lack something."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """One requirement of a stage.

    Parameters:
        name: What is checked.
        run: Checks it; returns what was measured, in words. Raises :class:`NonconformanceError`,
            or :class:`NotApplicableError`; any other exception counts as a failure, too.
        timeout_secs: Its timeout.
        failure: Whether a failure blocks calls or degrades them.
        loses: What callers or operators notice of a failure, in words.
    """

    name: str
    run: Callable[[Subject], Awaitable[str]]
    timeout_secs: float
    failure: Failure
    loses: str


@dataclass(eq=False)
class Bench:
    """A vendor to be checked, with what all checks of it have in common.

    Parameters:
        vendor: The vendor.
        engines: The loaded engines, this vendor's and the embedded ones among them.
    """

    vendor: Vendor
    engines: Engines
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def build(self, vendor: Vendor | None = None) -> Any:
        """One call's part, of this vendor unless another is named."""
        vendor = vendor or self.vendor
        return vendor.build(self.engines.loaded[vendor.name], self._context(self.engines.settings))

    async def once(self, make: Callable[["Bench"], Awaitable[T]]) -> T:
        """What another check has already made of this vendor, or is made now."""
        if make not in self._made:
            self._made[make] = await make(self)
        return cast(T, self._made[make])

    def embedded(self, stage: Stage) -> Vendor | None:
        """The loaded embedded vendor of a stage."""
        for vendor in of_stage(stage):
            if vendor.kind == "embedded" and vendor.name in self.engines.loaded:
                return vendor
        return None

    async def speech(self, text: str) -> bytes:
        """A text in the embedded voice, 16 kHz mono 16-bit, without silence at its ends."""
        voice = self.embedded("tts")
        if voice is None:
            raise NonconformanceError("there is nothing to hear: no embedded voice is installed")
        async with Line(self.build(voice)) as line:
            await line.push(TTSSpeakFrame(text))
            ended = "the embedded voice did not speak"
            await line.until(lambda: line.of(TTSStoppedFrame), SPEECH_SECS, ended)
            return between_silences(spoken(line.of(TTSAudioRawFrame), INPUT_SAMPLE_RATE))

    async def recognised(self, audio: Sequence[tuple[float, Any]]) -> str | None:
        """What the embedded recogniser hears in some frames; ``None`` if there is none."""
        ear = self.embedded("stt")
        recogniser = self.build(ear) if ear is not None else None
        if not isinstance(recogniser, STTService):
            return None
        heard = recogniser.run_stt(spoken(audio, INPUT_SAMPLE_RATE))
        return " ".join([f.text async for f in heard if isinstance(f, TranscriptionFrame)])

    async def with_wrong_key(self) -> Any:
        """One call's part, built with a key that the vendor must refuse.

        Raises:
            NotApplicableError: The vendor needs no key.
        """
        if self.vendor.kind == "embedded":
            raise NotApplicableError("it runs here and has no key")
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
    """Settings in which every key that is set is wrong, and that know whether one was read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.read = False

    def for_vendor(self, declared: type[Any]) -> Any:
        """A vendor's own settings, with wrong keys as well."""
        self._settings.for_vendor(declared)  # raises if no vendor declares them
        return self

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._settings, name)
        if not name.endswith("_api_key") or not value:
            return value
        self.read = True
        return SecretStr(WRONG_KEY) if isinstance(value, SecretStr) else WRONG_KEY


class _Daemons(Executor):
    """Threads that cannot keep the process from ending, however long their work takes."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Begin to work at once, in a thread of its own."""
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)

        threading.Thread(target=run, name="conformance", daemon=True).start()
        return future


async def in_thread(work: Callable[[], T]) -> T:
    """Do what blocks in a thread that is left behind when it is no longer waited for."""
    return await asyncio.get_running_loop().run_in_executor(_Daemons(), work)


async def refused(line: Line, vendor: FrameProcessor) -> str:
    """Wait until a vendor with a wrong key says so, for good and in words, and return those."""

    def given_up() -> bool:
        return bool(line.errors) and not vendor.is_usable

    await line.until(given_up, REFUSAL_SECS, "it did not give up a wrong key")
    return in_words(line.errors[-1].error)


def in_words(refusal: str) -> str:
    """The refusal of a key, if it is fit to be read and logged."""
    if WRONG_KEY in refusal:
        raise NonconformanceError("its error quotes the key")
    if not refusal.strip():
        raise NonconformanceError("its error says nothing")
    return refusal.strip()[:200]


def spoken(audio: Sequence[tuple[float, Any]], sample_rate: int) -> bytes:
    """Audio frames as one stretch of mono 16-bit audio."""
    pcm = b"".join(frame.audio for _, frame in audio)
    rate = audio[0][1].sample_rate if audio else sample_rate
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate)
    return samples.astype("<i2").tobytes()


def between_silences(pcm: bytes) -> bytes:
    """16-bit audio from its first audible sample to its last."""
    samples = np.frombuffer(pcm, "<i2")
    level = np.abs(samples.astype(np.int32))
    audible = np.flatnonzero(level > _AUDIBLE * level.max(initial=1))
    return samples[audible[0] : audible[-1] + 1].tobytes() if len(audible) else b""


def word_error_rate(said: str, heard: str) -> float:
    """Words that are wrong, missing or too many, a word that was said."""
    reference = words_of(said)
    return Levenshtein.distance(reference, words_of(heard)) / max(1, len(reference))


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
