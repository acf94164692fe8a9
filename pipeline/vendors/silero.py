"""Silero VAD with smart-turn: voice activity and the end of turns, in this process."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pipeline.vendor import FREE, Context, Progress, Vendor, VendorSettings


class SileroSettings(VendorSettings):
    """The settings of the turn model."""

    turn_workers: int = Field(1, ge=1, le=64, description="End-of-turn verdicts at once.")


@dataclass(frozen=True, slots=True)
class EmbeddedVad:
    """The speech detector and the turn model."""

    silero: Any
    smart_turn: Any

    @property
    def pool(self) -> Any:
        """The turn model's threads; the detector runs on the event loop."""
        return self.smart_turn.pool


def load(context: Context, progress: Progress) -> EmbeddedVad:
    """Load both models."""
    from processors.vad.silero import SileroEngine
    from processors.vad.smart_turn import SmartTurnEngine

    progress("voice activity", 0.0)
    silero = SileroEngine.load()
    progress("end of turn", 0.5)
    turn = SmartTurnEngine.load(workers=context.settings.for_vendor(SileroSettings).turn_workers)
    progress("end of turn", 1.0)
    return EmbeddedVad(silero, turn)


def build(engine: EmbeddedVad, context: Context) -> Any:
    """Create one call's voice activity detection, from the settings ``VAD_…``."""
    from processors.vad.voice_activity import VoiceActivity

    return VoiceActivity(
        engine=engine.silero,
        start_secs=context.settings.vad_start_secs,
        stop_secs=context.settings.vad_stop_secs,
        start_threshold=context.settings.vad_threshold,
        stop_threshold=0.7 * context.settings.vad_threshold,
        turn_model=engine.smart_turn if context.turn_model else None,
        far_end=context.far_end,
    )


VENDOR = Vendor(
    stage="vad",
    name="silero",
    label="Silero VAD with smart-turn",
    kind="embedded",
    detail="two small networks on this machine",
    settings=SileroSettings,
    modules=("onnxruntime", "pipecat"),
    load=load,
    build=build,
    auto=100,
    prices=FREE,
)
