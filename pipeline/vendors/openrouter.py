"""OpenRouter: a language model that it finds, by OpenAI's chat completions."""

from pydantic import Field, SecretStr

from pipeline.vendor import RecordedText, VendorSettings, openai_style


class OpenRouterSettings(VendorSettings):
    """The settings of OpenRouter."""

    openrouter_api_key: SecretStr | None = Field(None, description="Key of OpenRouter.")
    openrouter_model: RecordedText = Field("", description="OpenRouter's model.")


VENDOR = openai_style(
    "openrouter",
    label="OpenRouter",
    detail="a language model that OpenRouter finds, held to the document",
    url="https://openrouter.ai/api/v1",
    readable="key",  # its models can be read without one
    settings=OpenRouterSettings,
    unpriced="each of its models has its own",
)
