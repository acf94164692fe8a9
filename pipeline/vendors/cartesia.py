"""Cartesia: a voice in its cloud, by pipecat's service."""

from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, RecordedText, Vendor, VendorSettings, secret

URL = "wss://api.cartesia.ai/tts/websocket"
MODEL = "sonic-3.6"


class CartesiaSettings(VendorSettings):
    """The settings of Cartesia."""

    cartesia_api_key: SecretStr | None = Field(None, description="Key of Cartesia.")
    cartesia_voice_id: RecordedText = Field("", description="Cartesia's id of the voice.")


def build(_: Any, context: Context, url: str = URL) -> Any:
    """Create one call's voice, which also sends word times."""
    from pipecat.services.cartesia.tts import CartesiaTTSService

    from processors.tts.pipecat_services import timed_voice

    own = context.settings.for_vendor(CartesiaSettings)
    return timed_voice(CartesiaTTSService)(
        api_key=secret(own.cartesia_api_key),
        url=url,
        first_audio_secs=context.settings.first_audio_timeout_secs,
        append_trailing_space=True,  # It joins an answer's texts as they are.
        settings=CartesiaTTSService.Settings(model=MODEL, voice=own.cartesia_voice_id),
    )


VENDOR = Vendor(
    stage="tts",
    name="cartesia",
    label="Cartesia",
    kind="cloud",
    detail="a voice in Cartesia's cloud",
    settings=CartesiaSettings,
    required=("cartesia_api_key", "cartesia_voice_id"),
    modules=("websockets",),
    build=build,
    model=MODEL,
    unpriced="it charges credits, whose price depends on the plan",
    checked="construction",
)
