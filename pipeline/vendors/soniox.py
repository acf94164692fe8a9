"""Soniox: it transcribes in its cloud, by pipecat's service."""

from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Vendor, VendorSettings, secret

URL = "wss://stt-rt.soniox.com/transcribe-websocket"
MODEL = "stt-rt-v5"


class SonioxSettings(VendorSettings):
    """The settings of Soniox."""

    soniox_api_key: SecretStr | None = Field(None, description="Key of Soniox.")


def build(_: Any, context: Context, url: str = URL) -> Any:
    """Create one call's recogniser, with the document's names as hints."""
    from pipecat.services.soniox.stt import SonioxContextObject, SonioxSTTService
    from pipecat.transcriptions.language import Language

    from processors.stt.pipecat_services import DELIMITED_BY_VAD, stock_recogniser

    # Far within the 8,000 tokens that it takes (https://soniox.com/docs/stt/concepts/context).
    names = list(context.document.proper_nouns()[:200])
    return stock_recogniser(SonioxSTTService)(
        api_key=secret(context.settings.for_vendor(SonioxSettings).soniox_api_key),
        url=url,
        settings=SonioxSTTService.Settings(
            model=MODEL,
            language_hints=[Language.EN],
            context=SonioxContextObject(terms=names) if names else None,
        ),
        **DELIMITED_BY_VAD,
    )


VENDOR = Vendor(
    stage="stt",
    name="soniox",
    label="Soniox",
    kind="cloud",
    detail="in Soniox' cloud; your voice is sent there",
    settings=SonioxSettings,
    required=("soniox_api_key",),
    modules=("websockets",),
    build=build,
    model=MODEL,
    unpriced="it charges by its own tokens, of which about 0.12 an hour is only an average",
    checked="construction",
)
