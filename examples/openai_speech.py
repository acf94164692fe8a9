"""A service of pipecat's as a vendor: a voice behind OpenAI's ``/audio/speech``.

``SPEECH_URL`` says where it is, ``SPEECH_KEY`` what it asks for. As it stands the file is a vendor
when it is copied into ``pipeline/vendors``.
"""

from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Vendor, VendorSettings, secret

MODEL = "gpt-4o-mini-tts"
SAMPLE_RATE = 24_000


class SpeechSettings(VendorSettings):
    """The settings of the endpoint."""

    speech_url: str = Field("", description="Address of the speech endpoint.")
    speech_key: SecretStr | None = Field(None, description="Key of the speech endpoint.")


def build(_: Any, context: Context) -> Any:
    """One call's voice."""
    # Not at the top: the settings read this file long before anybody speaks.
    from pipecat.services.openai.tts import OpenAITTSService

    from processors.tts.pipecat_services import stock_voice

    own = context.settings.for_vendor(SpeechSettings)
    # With what Viva adds: words that an interruption has overtaken are not spoken, and when the
    # endpoint refuses or stays silent another voice says what was not said.
    return stock_voice(OpenAITTSService)(
        api_key=secret(own.speech_key) or "none",
        base_url=own.speech_url,
        sample_rate=SAMPLE_RATE,
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
    build=build,
    model=MODEL,
    unpriced="it depends on whose endpoint it is",
    checked="construction",
)
