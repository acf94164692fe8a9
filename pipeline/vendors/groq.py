"""Groq: a language model in its cloud, which speaks OpenAI's chat completions."""

from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, Progress, RecordedText, Vendor, VendorSettings, secret

URL = "https://api.groq.com/openai/v1"
"""It is no setting, so that the key can go nowhere else."""


class GroqSettings(VendorSettings):
    """The settings of Groq."""

    groq_api_key: SecretStr | None = Field(None, description="Key of Groq.")
    groq_model: RecordedText = Field("openai/gpt-oss-20b", description="Groq's model.")


def load(context: Context, _: Progress) -> Any:
    """The brain that all calls share."""
    from processors.brain.openai_compatible import OpenAICompatibleBrain

    own = context.settings.of(GroqSettings)
    key = secret(own.groq_api_key)
    return OpenAICompatibleBrain(
        context.document,
        base_url=URL,
        model=own.groq_model,
        api_key=key,
        name="groq",
        registered=context.tools,
    )


VENDOR = Vendor(
    stage="brain",
    name="groq",
    label="Groq",
    kind="cloud",
    detail="a language model in Groq's cloud, held to the document",
    settings=GroqSettings,
    required=("groq_api_key", "groq_model"),
    modules=("openai",),
    load=load,
    model_setting="groq_model",
    prices=(
        Price(
            date(2026, 4, 11),
            "https://groq.com/pricing",
            {
                "per_million_input_tokens": Decimal("0.075"),
                "per_million_output_tokens": Decimal("0.30"),
                # Half of the input's, says https://console.groq.com/docs/prompt-caching.
                "per_million_cache_read_tokens": Decimal("0.0375"),
            },
            models=("openai/gpt-oss-20b",),
        ),
    ),
    checked="construction",
)
