"""AssemblyAI: it transcribes in its cloud, by pipecat's service."""

from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, Vendor, VendorSettings, secret

URL = "wss://streaming.assemblyai.com/v3/ws"
MODEL = "universal-3-6-pro"


class AssemblyAISettings(VendorSettings):
    """The settings of AssemblyAI."""

    assemblyai_api_key: SecretStr | None = Field(None, description="Key of AssemblyAI.")


def build(_: Any, context: Context, url: str = URL) -> Any:
    """Create one call's recogniser, with the document's names as hints."""
    from pipecat.services.assemblyai.stt import AssemblyAISTTService
    from pipecat.transcriptions.language import Language

    from processors.stt.pipecat_services import DELIMITED_BY_VAD, stock_recogniser

    # It takes 100 names, of up to 50 characters each
    # (https://assemblyai.com/docs/streaming/keyterms-prompting).
    names = [name for name in context.document.proper_nouns() if len(name) <= 50][:100]
    return stock_recogniser(AssemblyAISTTService)(
        api_key=secret(context.settings.for_vendor(AssemblyAISettings).assemblyai_api_key),
        api_endpoint_base_url=url,
        settings=AssemblyAISTTService.Settings(
            model=MODEL,
            language=Language.EN,
            language_codes=[Language.EN],
            keyterms_prompt=names or None,
        ),
        **DELIMITED_BY_VAD,
    )


VENDOR = Vendor(
    stage="stt",
    name="assemblyai",
    label="AssemblyAI",
    kind="cloud",
    detail="in AssemblyAI's cloud; your voice is sent there",
    settings=AssemblyAISettings,
    required=("assemblyai_api_key",),
    modules=("websockets",),
    build=build,
    model=MODEL,
    prices=(
        # Universal-3.6 Pro Realtime, 0.45 an hour with key terms, for as long as the connection is
        # open.
        Price(
            date(2026, 10, 6),
            "https://www.assemblyai.com/pricing",
            {"per_minute_of_audio": Decimal("0.0075")},
        ),
    ),
    checked="construction",
)
