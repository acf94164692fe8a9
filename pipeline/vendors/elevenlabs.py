"""ElevenLabs: a voice in its cloud, word by word or a whole answer at once."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, Progress, RecordedText, Vendor, VendorSettings, secret

URL = "https://api.elevenlabs.io"

_PRICED = ("eleven_flash_v2_5", "eleven_flash_v2", "eleven_turbo_v2_5", "eleven_turbo_v2")


class ElevenLabsSettings(VendorSettings):
    """The settings of ElevenLabs."""

    elevenlabs_api_key: SecretStr | None = Field(None, description="Key of ElevenLabs.")
    elevenlabs_base_url: str = Field("", description="ElevenLabs' address; empty: its cloud.")
    elevenlabs_model: RecordedText = Field("eleven_flash_v2_5", description="ElevenLabs' model.")
    elevenlabs_voice_id: RecordedText = Field(
        "JBFqnCBsd6RMkjVDRZzb", description="ElevenLabs' id of the voice."
    )
    tts_mode: Literal["stream", "whole"] = Field(
        "stream",
        description="ElevenLabs: speak while the answer is still being decided, or ask once for "
        "the whole of it.",
    )


def load(context: Context, _: Progress) -> Any:
    """The client that all calls share when answers are asked for as a whole."""
    own = context.settings.of(ElevenLabsSettings)
    if own.tts_mode == "stream":
        return None
    from processors.tts.elevenlabs.whole import client

    return client(api_key=secret(own.elevenlabs_api_key), base_url=own.elevenlabs_base_url or URL)


def build(client: Any, context: Context) -> Any:
    """One call's voice."""
    own = context.settings.of(ElevenLabsSettings)
    if client is not None:
        from processors.tts.elevenlabs.whole import ElevenLabsWholeTTS

        return ElevenLabsWholeTTS(
            client=client, voice_id=own.elevenlabs_voice_id, model=own.elevenlabs_model
        )
    from processors.tts.elevenlabs.service import ElevenLabsTTS

    return ElevenLabsTTS(
        api_key=secret(own.elevenlabs_api_key),
        voice_id=own.elevenlabs_voice_id,
        model=own.elevenlabs_model,
        url=(own.elevenlabs_base_url or URL).replace("http", "ws", 1),
        stall_secs=context.settings.first_audio_timeout_secs,
        # With nobody in reserve, a voice that falls silent is asked once more.
        stall_retries=0 if "," in context.settings.tts else 1,
    )


VENDOR = Vendor(
    stage="tts",
    name="elevenlabs",
    label="ElevenLabs",
    kind="cloud",
    detail="a voice in ElevenLabs' cloud",
    settings=ElevenLabsSettings,
    required=("elevenlabs_api_key",),
    modules=("elevenlabs",),
    load=load,
    build=build,
    auto=1,
    model_setting="elevenlabs_model",
    prices=(
        Price(
            date(2026, 6, 9),
            "https://elevenlabs.io/pricing/api",
            {"per_thousand_characters": Decimal("0.05")},
            models=_PRICED,
        ),
        Price(
            date(2026, 10, 6),
            "https://elevenlabs.io/pricing/api",
            {"per_thousand_characters": Decimal("0.04")},
            models=_PRICED,
        ),
    ),
)
