"""Groq: a language model in its cloud, which speaks OpenAI's chat completions."""

from datetime import date
from decimal import Decimal

from pydantic import Field, SecretStr

from pipeline.vendor import Price, RecordedText, VendorSettings, openai_style


class GroqSettings(VendorSettings):
    """The settings of Groq."""

    groq_api_key: SecretStr | None = Field(None, description="Key of Groq.")
    groq_model: RecordedText = Field("openai/gpt-oss-20b", description="Groq's model.")


VENDOR = openai_style(
    "groq",
    label="Groq",
    detail="a language model in Groq's cloud, held to the document",
    url="https://api.groq.com/openai/v1",
    settings=GroqSettings,
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
)
