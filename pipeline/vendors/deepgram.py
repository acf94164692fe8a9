"""Deepgram's Nova: a recogniser in its cloud; Viva's turn model detects the end of a turn."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, Progress, RecordedText, Vendor, VendorSettings, secret
from server_settings import ServerSettings

URL = "https://api.deepgram.com"


class DeepgramSettings(VendorSettings):
    """The settings of Deepgram's recogniser; Aura, its voices, uses the same key."""

    deepgram_api_key: SecretStr | None = Field(None, description="Key of Deepgram.")
    deepgram_base_url: str = Field(
        "",
        description="Deepgram's address; empty: its cloud (https://api.eu.deepgram.com in the EU).",
    )
    deepgram_model: RecordedText = Field("nova-3", description="Deepgram's model.")
    deepgram_language: RecordedText = Field(
        "en-GB", description="What callers speak, for Deepgram's Nova."
    )
    deepgram_endpointing_ms: int = Field(
        150,
        ge=10,
        le=5000,
        description="Silence after which Deepgram's Nova gives its final words; it ends no turn.",
    )


def load(context: Context, _: Progress) -> Any:
    """Make the client, which all calls share."""
    from processors.stt.deepgram.connection import create_client

    own = context.settings.for_vendor(DeepgramSettings)
    return create_client(api_key=secret(own.deepgram_api_key), base_url=own.deepgram_base_url)


def build(client: Any, context: Context) -> Any:
    """Make one call's recogniser, with the document's names as key terms."""
    from processors.stt.deepgram.service import DeepgramSTT

    own = context.settings.for_vendor(DeepgramSettings)
    return DeepgramSTT(
        client=client,
        model=own.deepgram_model,
        language=own.deepgram_language,
        keyterms=context.document.proper_nouns(),
        endpointing_ms=own.deepgram_endpointing_ms,
    )


def unavailable(settings: ServerSettings) -> str:
    """Ask Deepgram whether it accepts the key; blocks for up to seconds."""
    from processors.key_check import key_refusal

    own = settings.for_vendor(DeepgramSettings)
    page = re.sub("^ws", "http", own.deepgram_base_url or URL).rstrip("/")
    headers = {"Authorization": f"Token {secret(own.deepgram_api_key)}"}
    return key_refusal(f"{page}/v1/auth/token", headers, setting="deepgram_api_key")


VENDOR = Vendor(
    stage="stt",
    name="deepgram",
    label="Deepgram Nova",
    kind="cloud",
    detail="in Deepgram's cloud; your voice is sent there",
    settings=DeepgramSettings,
    required=("deepgram_api_key",),
    modules=("deepgram",),
    load=load,
    build=build,
    unavailable=unavailable,
    early_answers="judged",  # its interim results come about once a second
    auto=2,
    model_setting="deepgram_model",
    address=("deepgram_base_url", URL),
    prices=(
        # Streaming in one language, pay as you go: 0.0077, plus 0.0013 for key terms, which Viva
        # sends. The page offers 0.0048 "for a limited time"; the spend cap must hold after that.
        Price(
            date(2026, 6, 25),
            "https://deepgram.com/pricing",
            {"per_minute_of_audio": Decimal("0.0090")},
            models=("nova-3",),
        ),
        # Several languages at once: 0.0092 (0.0058 "for a limited time"), plus key terms.
        Price(
            date(2026, 8, 1),
            "https://deepgram.com/pricing",
            {"per_minute_of_audio": Decimal("0.0105")},
            models=("nova-3",),
            only_if={"deepgram_language": "multi"},
        ),
    ),
)
