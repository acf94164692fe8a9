"""OpenRouter: a language model that it finds, by OpenAI's chat completions."""

from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Progress, RecordedText, Vendor, VendorSettings, secret

URL = "https://openrouter.ai/api/v1"
"""It is no setting, so that the key can go nowhere else."""


class OpenRouterSettings(VendorSettings):
    """The settings of OpenRouter."""

    openrouter_api_key: SecretStr | None = Field(None, description="Key of OpenRouter.")
    openrouter_model: RecordedText = Field("", description="OpenRouter's model.")


def load(context: Context, _: Progress) -> Any:
    """The brain that all calls share."""
    from processors.brain.openai_compatible import OpenAICompatibleBrain

    own = context.settings.of(OpenRouterSettings)
    key = secret(own.openrouter_api_key)
    return OpenAICompatibleBrain(
        context.document,
        base_url=URL,
        model=own.openrouter_model,
        api_key=key,
        name="openrouter",
        registered=context.tools,
    )


VENDOR = Vendor(
    stage="brain",
    name="openrouter",
    label="OpenRouter",
    kind="cloud",
    detail="a language model that OpenRouter finds, held to the document",
    settings=OpenRouterSettings,
    required=("openrouter_api_key", "openrouter_model"),
    modules=("openai",),
    load=load,
    model_setting="openrouter_model",
    unpriced="each of its models has its own",
    checked="construction",
)
