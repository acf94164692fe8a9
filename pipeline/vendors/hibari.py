"""Hibari: a distilled Kokoro voice that runs in this process."""

import asyncio
from contextlib import suppress
from typing import Any

from pydantic import Field

from pipeline.vendor import FREE, Context, Progress, Vendor, VendorSettings


class HibariSettings(VendorSettings):
    """The settings of the embedded voice."""

    hibari_workers: int = Field(1, ge=1, le=64, description="Syntheses at once (embedded TTS).")


def load(context: Context, progress: Progress) -> Any:
    """Load the voice, and synthesise the greeting."""
    from processors.tts.hibari.engine import HibariEngine, UnspeakableTextError
    from processors.tts.normalisation import document_normaliser

    progress("voice", 0.0)
    persona = context.document.persona
    workers = context.settings.for_vendor(HibariSettings).hibari_workers
    engine = HibariEngine.load(voice=persona.voice, workers=workers)
    progress("voice", 0.5)
    # Every call begins with the greeting, so synthesise it once for all.
    greeting = document_normaliser(context.document)(persona.greeting).text
    with suppress(UnspeakableTextError):
        asyncio.run(engine.synthesise_whole(greeting, persona.pronunciations))
    progress("voice", 1.0)
    return engine


def build(engine: Any, context: Context) -> Any:
    """Create one call's voice."""
    from processors.tts.hibari.service import HibariTTS

    return HibariTTS(engine=engine, pronunciations=context.document.persona.pronunciations)


VENDOR = Vendor(
    stage="tts",
    name="hibari",
    label="Hibari, voice heart",
    kind="embedded",
    detail="a distilled Kokoro voice on this machine",
    settings=HibariSettings,
    modules=("hibari",),
    load=load,
    build=build,
    auto=100,
    model="kokoro-distilled",
    prices=FREE,
)
