"""The engines: document and loaded vendors, shared by all calls of a process."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Self

from loguru import logger
from pipecat.processors.frame_processor import FrameProcessor

from conversation.far_end import FarEnd
from conversation.frames import Usage
from conversation.meter import Meter
from conversation.records import Tariff, Used
from knowledge.check.support import precompute
from knowledge.loading.document import Document
from models.allocation import give_back, share_arenas
from pipeline.choice import Choice
from pipeline.vendors import STAGES, Context, Progress, Stage, Vendor
from processors.brain.bounded_usage import BoundedUsage, Bounds, bounds_of
from processors.brain.contract import Brain, WarmableBrain
from processors.brain.failover import BackoffRegistry, FailoverBrain
from processors.brain.speculation import Speculation
from processors.brain.tools import FunctionTool, registered
from processors.daemon import in_thread
from processors.declarations import place_in
from processors.pool import Pool
from processors.stt.contract import SpeechToTextStage
from processors.stt.failover import SpeechToTextFailover
from processors.tts.contract import TextToSpeechStage
from processors.tts.failover import TextToSpeechFailover
from processors.tts.normalisation import Normalise, SpeechNormalisation, document_normaliser
from processors.turns.state_machine import EarlyAnswers, Ending
from processors.vad.contract import VoiceActivityStage
from server_settings import ServerSettings

MOST_CHARACTERS = 20_000
"""Longest text that a voice can have been given at once; answers have some 2,400 at most."""

SLOW_LOADING_SECS = 60.0
"""When a vendor that is still loading is named in a warning; the embedded ones take seconds."""


def load_vendor(vendor: Vendor, context: Context, progress: Progress) -> Any:
    """Load what all calls share of a vendor; blocks, so call it in a thread.

    It also builds one call's part and discards it. So whatever ``build`` imports, such as an SDK
    that takes seconds, is imported here and not on the event loop during the first call, and
    whatever ``build`` raises is reported before a call comes.

    Args:
        vendor: The vendor.
        context: Settings and document.
        progress: Called with the progress, in this thread.

    Raises:
        Exception: What ``load`` or ``build`` raised, with a note of the vendor and its file.
    """
    try:
        loaded = vendor.load(context, progress)

        async def rehearse() -> None:
            built = vendor.build(loaded, context)
            if vendor.stage == "brain":
                fit = callable(getattr(built, "decide", None)) and not isinstance(built, type)
                fit = fit and isinstance(getattr(built, "name", None), str)
                wanted = "a brain, with a method decide and a name"
            else:
                fit, wanted = isinstance(built, FrameProcessor), "a FrameProcessor"
            if not fit:
                kind = "a class" if isinstance(built, type) else type(built).__name__
                raise TypeError(f"build returned {kind}; it must return {wanted}")

        asyncio.run(rehearse())
    except (Exception, SystemExit) as error:
        told = error
        if isinstance(error, SystemExit):
            told = RuntimeError(f"it ends the program (SystemExit: {error})")
        told.add_note(f"{vendor.stage.upper()}={vendor.name} cannot be loaded{_of(vendor, error)}")
        if told is error:
            raise
        raise told from error
    return loaded


async def _load_logged(vendor: Vendor, context: Context, progress: Progress) -> Any:
    """Load a vendor in a daemon thread; the log says that it begins, and once that it is slow."""
    named = f"{vendor.label} ({vendor.stage.upper()}={vendor.name})"
    logger.info("loading {}", named)
    slow = asyncio.get_running_loop().call_later(
        SLOW_LOADING_SECS,
        lambda: logger.warning("{} is still loading after {:g} s", named, SLOW_LOADING_SECS),
    )
    try:
        return await in_thread(lambda: load_vendor(vendor, context, progress))
    finally:
        slow.cancel()


def _of(vendor: Vendor, error: BaseException) -> str:
    """The vendor's file, and the line in it, for a note; empty if it is not known."""
    for part in (vendor.build, vendor.load):
        module = getattr(part, "__module__", "")
        if module not in ("", Vendor.__module__):
            file = module.replace(".", "/") + ".py"
            return f" ({place_in(file, error)})"
    return ""


@dataclass(frozen=True, slots=True)
class Engines:
    """The document and one loaded vendor a stage, read-only once loaded.

    Parameters:
        settings: The settings they were loaded with.
        document: What calls are answered from.
        choices: The vendor of each stage.
        loaded: What each vendor's ``load`` returned, by the vendor's name.
        backoff: Brains that failed recently and are not to be retried yet.
        speculation: Budget of what early answers may waste, over all calls.
        tools: What a brain may call before it decides.
        normalise: Returns the text to speak for a shown text; by default, figures and symbols
            become words.
        said_by_clause: :attr:`by_clause`, where it does not depend on the brain: in a replay.
        bounds: What requests to each brain can use, kept for all calls; filled here.
    """

    settings: ServerSettings
    document: Document
    choices: Mapping[Stage, Choice]
    loaded: Mapping[str, Any]
    backoff: BackoffRegistry = field(default_factory=BackoffRegistry)
    speculation: Speculation = field(default_factory=Speculation)
    tools: tuple[FunctionTool, ...] = field(default_factory=registered)
    normalise: Normalise | None = None
    said_by_clause: bool | None = None
    bounds: dict[tuple[str, str, str], Bounds] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    async def load(
        cls,
        settings: ServerSettings,
        document: Document,
        choices: Mapping[Stage, Choice],
        progress: Progress,
        *,
        stages: Collection[Stage] = STAGES,
    ) -> Self:
        """Load the vendors of every stage, or of some, one after another, in a daemon thread.

        The log names each as its loading begins, and one that takes long. Cancelled, it abandons
        the thread.

        Args:
            settings: The settings.
            document: What calls are answered from.
            choices: The vendor of each stage.
            progress: Called, in the loop's thread, with a stage's label and the share done of the
                whole, 0 to 1.
            stages: The stages that are used.
        """
        share_arenas()
        loop = asyncio.get_running_loop()
        context = Context(settings, document)
        vendors = [vendor for stage in stages for vendor in choices[stage].vendors]
        loaded: dict[str, Any] = {}
        for done, vendor in enumerate(vendors):

            def step(_part: str, share: float, label: str = vendor.label, at: int = done) -> None:
                loop.call_soon_threadsafe(progress, label, (at + share) / len(vendors))

            progress(vendor.label, done / len(vendors))
            loaded[vendor.name] = await _load_logged(vendor, context, step)
        await in_thread(lambda: precompute(document))
        # Making the first normaliser would hold the event loop up for 35 ms.
        await in_thread(lambda: document_normaliser(document)(document.persona.greeting))
        await in_thread(give_back)
        progress("ready", 1.0)
        speculation = Speculation(max_wasted_share=settings.preemptive_waste)
        return cls(settings, document, choices, loaded, speculation=speculation)

    @property
    def brain(self) -> Brain:
        """Decides each turn: one brain, or several in order of preference."""
        brains = [self._bounded(vendor) for vendor in self.choices["brain"].vendors]
        if len(brains) == 1:
            return brains[0]
        # Shorter than the caller's wait: a silent brain must count as failed before it is given up.
        stall_secs = 0.8 * self.first_token_timeout_secs
        return FailoverBrain(brains, backoff=self.backoff, stall_secs=stall_secs)

    @property
    def first_token_timeout_secs(self) -> float:
        """Time limit for a brain's first token: as set, or what the brain is known to need."""
        secs = self.settings.first_token_timeout_secs
        if "first_token_timeout_secs" in self.settings.model_fields_set:
            return secs
        return max(secs, self.choices["brain"].vendor.first_token_secs)

    def _bounded(self, vendor: Vendor) -> Brain:
        brain: Brain = self._build(vendor)
        if vendor.kind == "embedded":
            return brain
        model = vendor.model_of(self.settings)
        key = vendor.name, model, self.document.sha256
        if key not in self.bounds:
            self.bounds[key] = bounds_of(
                self.document, self.tools, token_ratio=vendor.token_ratio(model)
            )
        return BoundedUsage(brain, self.bounds[key])

    def meter(self, tariff: Tariff | None) -> Meter:
        """Create the meter of one call.

        Args:
            tariff: Prices of vendors; ``None`` to leave costs out.
        """
        vendors = [vendor for choice in self.choices.values() for vendor in choice.vendors]
        return Meter(
            tariff,
            vendors={stage: choice.vendor.name for stage, choice in self.choices.items()},
            models={vendor.name: vendor.model_of(self.settings) for vendor in vendors},
            most={
                "stt": Used(audio_seconds=2 * self.settings.call_secs),
                "tts": Used(characters=MOST_CHARACTERS),
            },
        )

    def speech_normalisation(self) -> SpeechNormalisation:
        """One call's filter in front of the voice."""
        if self.normalise is not None:
            return SpeechNormalisation(self.normalise)
        normaliser = document_normaliser(self.document)
        return SpeechNormalisation(lambda shown: normaliser(shown).text)

    def voice_activity(self, far_end: FarEnd | None = None) -> VoiceActivityStage:
        """Build one call's voice activity detection, which tells echo of the far end, if known."""
        return self._processor("vad", far_end=far_end)

    def speech_to_text(self, meter: Meter) -> SpeechToTextStage:
        """Build one call's recogniser, or several with failover.

        Args:
            meter: Where the services of each vendor are registered.
        """
        return self._processor("stt", meter)

    def text_to_speech(self, meter: Meter) -> TextToSpeechStage:
        """Build one call's voice, or several with failover.

        Args:
            meter: Where the services of each vendor are registered.
        """
        return self._processor("tts", meter)

    @property
    def ending(self) -> Ending:
        """What ends the caller's turn."""
        return "recogniser" if self.choices["stt"].vendor.ends_turns else "model"

    @property
    def preemptive(self) -> bool:
        """Whether answers start early, before it is certain that the caller has finished."""
        if self.settings.preemptive == "auto":
            gains = self.choices["stt"].vendor.early_answers in ("pauses", "predicted")
            return gains and self.choices["brain"].vendor.kind == "cloud"
        return self.settings.preemptive == "on"

    @property
    def by_clause(self) -> bool:
        """Whether an answer's first clauses are said ahead of their sentence.

        A brain of this process has its sentences whole at once.
        """
        if self.said_by_clause is not None:
            return self.said_by_clause
        return self.choices["brain"].vendor.kind == "cloud"

    @property
    def early_answers(self) -> EarlyAnswers:
        """When answers start early, if they do."""
        moment = self.choices["stt"].vendor.early_answers
        return "pauses" if moment == "never" else moment

    @property
    def slow_interims(self) -> bool:
        """Whether interim transcripts are too rare to recognise an interruption by its words."""
        return self.choices["stt"].vendor.early_answers in ("judged", "never")

    @property
    def needs_turn_model(self) -> bool:
        """Whether a turn model judges each stop, because some recogniser does not end turns."""
        return not all(vendor.ends_turns for vendor in self.choices["stt"].vendors)

    def _processor(
        self, stage: Stage, meter: Meter | None = None, *, far_end: FarEnd | None = None
    ) -> FrameProcessor:
        vendors = self.choices[stage].vendors
        services: list[FrameProcessor] = [self._build(vendor, far_end) for vendor in vendors]
        names = [vendor.name for vendor in vendors]
        if meter is not None:
            for service, name in zip(services, names, strict=True):
                meter.register_processor(service.name, stage, name)
        if len(services) == 1:
            return services[0]
        if stage == "stt":
            ends_turns = [vendor.ends_turns for vendor in vendors]
            return SpeechToTextFailover(services, names=names, ends_turns=ends_turns)
        return TextToSpeechFailover(services, names=names)

    def _build(self, vendor: Vendor, far_end: FarEnd | None = None) -> Any:
        context = Context(
            self.settings, self.document, turn_model=self.needs_turn_model, far_end=far_end
        )
        return vendor.build(self.loaded[vendor.name], context)

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Thread pools of the embedded engines."""
        pools = [getattr(engine, "pool", None) for engine in self.loaded.values()]
        return tuple(pool for pool in pools if isinstance(pool, Pool))

    async def warm(self) -> Usage:
        """Have the brain cache the document before the first turn, if it can.

        Returns:
            The tokens used.
        """
        brain = self.brain
        return await brain.warm() if isinstance(brain, WarmableBrain) else Usage()

    async def close(self) -> None:
        """Release threads and connections; no call may be open."""
        for engine in self.loaded.values():
            close = getattr(engine, "close", None)
            if close is not None and isawaitable(closing := close()):
                await closing
