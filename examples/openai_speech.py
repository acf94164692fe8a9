"""A service of pipecat's as a vendor: a voice behind OpenAI's ``/audio/speech``.

As it stands, the file is a vendor when it is copied into ``pipeline/vendors``.
"""

from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Vendor, VendorSettings, secret

MODEL = "gpt-4o-mini-tts"


class SpeechSettings(VendorSettings):
    """The settings of the endpoint."""

    speech_url: str = Field("", description="Address of the speech endpoint.")
    speech_key: SecretStr | None = Field(None, description="Key of the speech endpoint.")


def build(_: Any, context: Context) -> Any:
    """Create one call's voice."""
    from pipecat.services.openai.tts import OpenAITTSService

    from processors.tts.pipecat_services import stock_voice

    own = context.settings.for_vendor(SpeechSettings)
    return stock_voice(OpenAITTSService)(
        api_key=secret(own.speech_key) or "none",
        base_url=own.speech_url,
        first_audio_secs=context.settings.first_audio_timeout_secs,
        settings=OpenAITTSService.Settings(model=MODEL, voice="alloy"),
    )


VENDOR = Vendor(
    stage="tts",
    name="speech",
    label="Speech endpoint",
    kind="cloud",
    detail="a voice behind an endpoint that speaks OpenAI's audio API",
    settings=SpeechSettings,
    required=("speech_url",),
    address=("speech_url", ""),
    build=build,
    model=MODEL,
    unpriced="it depends on whose endpoint it is",
    checked="construction",
)
