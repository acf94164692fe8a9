"""Aura: a voice in Deepgram's cloud, by pipecat's service."""

from datetime import date
from decimal import Decimal
from typing import Any

from pipeline.vendor import Context, Price, Vendor, secret
from pipeline.vendors.deepgram import DeepgramSettings, unavailable

URL = "wss://api.deepgram.com"
VOICE = "aura-2-helena-en"
"""The voice, whose name includes the model's."""


def build(_: Any, context: Context, url: str = URL) -> Any:
    """Create one call's voice; when a sentence begins is estimated from its letters."""
    from pipecat.services.deepgram.tts import DeepgramTTSService

    from processors.tts.pipecat_services import timed_voice

    return timed_voice(DeepgramTTSService)(
        api_key=secret(context.settings.for_vendor(DeepgramSettings).deepgram_api_key),
        base_url=url,
        first_audio_secs=context.settings.first_audio_timeout_secs,
        settings=DeepgramTTSService.Settings(voice=VOICE),
    )


VENDOR = Vendor(
    stage="tts",
    name="aura",
    label="Deepgram Aura",
    kind="cloud",
    detail="a voice in Deepgram's cloud",
    settings=DeepgramSettings,
    required=("deepgram_api_key",),
    modules=("websockets",),
    build=build,
    unavailable=unavailable,
    prices=(
        Price(
            date(2026, 6, 25),
            "https://deepgram.com/pricing",
            {"per_thousand_characters": Decimal("0.030")},
        ),
    ),
    checked="construction",
)
