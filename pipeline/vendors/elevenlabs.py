"""ElevenLabs: a voice in its cloud, streamed word by word or asked for a whole answer."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, Progress, RecordedText, Vendor, VendorSettings, secret
from server_settings import ServerSettings

URL = "https://api.elevenlabs.io"

_OTHER_PROTOCOL = ("eleven_v4", "eleven_v3_conversational")

_PRICED = ("eleven_flash_v2_5", "eleven_flash_v2", "eleven_turbo_v2_5", "eleven_turbo_v2")


class ElevenLabsSettings(VendorSettings):
    """The settings of ElevenLabs."""

    elevenlabs_api_key: SecretStr | None = Field(None, description="Key of ElevenLabs.")
    elevenlabs_base_url: str = Field(
        "",
        description="ElevenLabs' address; empty: its cloud "
        "(https://api.eu.residency.elevenlabs.io in the EU).",
    )
    elevenlabs_model: RecordedText = Field("eleven_flash_v2_5", description="ElevenLabs' model.")
    elevenlabs_voice_id: RecordedText = Field(
        "",
        description="ElevenLabs' id of the voice; empty: the account's first that does not expire.",
    )
    tts_mode: Literal["stream", "whole"] = Field(
        "stream",
        description="ElevenLabs: speak while the answer is still being decided, or ask once for "
        "the whole of it.",
    )


@dataclass(frozen=True, slots=True)
class Loaded:
    """What all calls share: the voice, and for whole answers a client."""

    voice_id: str
    client: Any = None


def unfit(settings: ServerSettings) -> str:
    """Why Viva cannot use its model; empty if it can."""
    model = settings.for_vendor(ElevenLabsSettings).elevenlabs_model
    if model.startswith(_OTHER_PROTOCOL):
        return (
            f"ELEVENLABS_MODEL={model} needs the text-to-dialogue protocol, which Viva does not "
            "support; set eleven_flash_v2_5"
        )
    return ""


def unavailable(settings: ServerSettings) -> str:
    """Ask ElevenLabs whether the account has the voice; blocks for up to seconds."""
    from processors.key_check import UnreachableError
    from processors.tts.elevenlabs.voices import UnansweredError, VoicesError, choose_voice

    own = settings.for_vendor(ElevenLabsSettings)
    url = own.elevenlabs_base_url or URL
    try:
        choose_voice(secret(own.elevenlabs_api_key), url, own.elevenlabs_voice_id)
    except UnansweredError as error:
        raise UnreachableError(str(error)) from None
    except VoicesError as error:
        return str(error) if error.permanent else ""
    return ""


def load(context: Context, _: Progress) -> Loaded:
    """Choose the voice, looked up if none is set, and make a client for whole answers."""
    own = context.settings.for_vendor(ElevenLabsSettings)
    voice_id = own.elevenlabs_voice_id or _first_voice(own)
    if own.tts_mode == "stream":
        return Loaded(voice_id)
    from processors.tts.elevenlabs.whole import create_client

    url = own.elevenlabs_base_url or URL
    return Loaded(voice_id, create_client(api_key=secret(own.elevenlabs_api_key), base_url=url))


def _first_voice(own: ElevenLabsSettings) -> str:
    from processors.tts.elevenlabs.voices import VoicesError, choose_voice

    try:
        url = own.elevenlabs_base_url or URL
        return choose_voice(secret(own.elevenlabs_api_key), url, "").id
    except VoicesError:
        return "none"  # The first request then fails with the vendor's own explanation.


def build(loaded: Loaded, context: Context) -> Any:
    """Make one call's voice."""
    own = context.settings.for_vendor(ElevenLabsSettings)
    if loaded.client is not None:
        from processors.tts.elevenlabs.whole import ElevenLabsWholeTTS

        return ElevenLabsWholeTTS(
            client=loaded.client, voice_id=loaded.voice_id, model=own.elevenlabs_model
        )
    from processors.tts.elevenlabs.service import ElevenLabsTTS

    return ElevenLabsTTS(
        api_key=secret(own.elevenlabs_api_key),
        voice_id=loaded.voice_id,
        model=own.elevenlabs_model,
        url=(own.elevenlabs_base_url or URL).replace("http", "ws", 1),
        stall_secs=context.settings.first_audio_timeout_secs,
        # Without a reserve, a voice that stalls is asked once more.
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
    unfit=unfit,
    unavailable=unavailable,
    address=("elevenlabs_base_url", URL),
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
