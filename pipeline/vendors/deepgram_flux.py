"""Deepgram's Flux: a recogniser in its cloud that also detects the end of a turn."""

from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field

from pipeline.vendor import Context, Price, RecordedText, Vendor, secret
from pipeline.vendors.deepgram import DeepgramSettings, load
from pipeline.vendors.deepgram import unavailable as key_refused
from server_settings import ServerSettings


class DeepgramFluxSettings(DeepgramSettings):
    """The settings of Flux, in addition to Deepgram's."""

    deepgram_flux_model: RecordedText = Field(
        "flux-general-en", description="Flux's model; flux-general-multi for several languages."
    )
    deepgram_flux_eot_threshold: float = Field(
        0.7, ge=0.5, le=1, description="Flux: how certain it is when it ends a turn."
    )
    deepgram_flux_eager_eot_threshold: float = Field(
        0.5,
        ge=0.3,
        le=0.9,
        description="Flux: how certain it is when an answer is begun early (PREEMPTIVE).",
    )
    deepgram_flux_eot_timeout_ms: int = Field(
        5000, ge=500, le=60_000, description="Flux: silence that ends a turn in any case."
    )


def build(client: Any, context: Context) -> Any:
    """Make one call's recogniser, with the document's names as key terms."""
    from processors.stt.deepgram.flux import DeepgramFluxSTT

    own = context.settings.for_vendor(DeepgramFluxSettings)
    return DeepgramFluxSTT(
        client=client,
        model=own.deepgram_flux_model,
        language=context.settings.for_vendor(DeepgramSettings).deepgram_language,
        keyterms=context.document.proper_nouns(),
        eot_threshold=own.deepgram_flux_eot_threshold,
        eager_eot_threshold=min(
            own.deepgram_flux_eager_eot_threshold, own.deepgram_flux_eot_threshold
        ),
        eot_timeout_ms=own.deepgram_flux_eot_timeout_ms,
    )


def unavailable(settings: ServerSettings) -> str:
    """Ask Deepgram whether this account may use Flux; blocks for up to seconds."""
    if refused := key_refused(settings):
        return refused
    from processors.stt.deepgram.connection import flux_refusal

    deepgram = settings.for_vendor(DeepgramSettings)
    return flux_refusal(
        secret(deepgram.deepgram_api_key),
        base_url=deepgram.deepgram_base_url,
        model=settings.for_vendor(DeepgramFluxSettings).deepgram_flux_model,
    )


VENDOR = Vendor(
    stage="stt",
    name="deepgram-flux",
    label="Deepgram Flux",
    kind="cloud",
    detail="in Deepgram's cloud, made for conversation; your voice is sent there",
    settings=DeepgramFluxSettings,
    required=("deepgram_api_key",),
    modules=("deepgram",),
    load=load,
    build=build,
    unavailable=unavailable,
    ends_turns=True,
    early_answers="predicted",
    auto=1,
    model_setting="deepgram_flux_model",
    address=("deepgram_base_url", "https://api.deepgram.com"),
    prices=(
        # Pay as you go, with key terms as for Nova. The page offers less "for a limited time"; the
        # spend cap must hold after that.
        Price(
            date(2026, 9, 1),
            "https://deepgram.com/pricing",
            {"per_minute_of_audio": Decimal("0.0090")},
            models=("flux-general-en",),
        ),
        Price(
            date(2026, 11, 4),
            "https://deepgram.com/pricing",
            {"per_minute_of_audio": Decimal("0.0091")},
            models=("flux-general-multi",),
        ),
    ),
)
