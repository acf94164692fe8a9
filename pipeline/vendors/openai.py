"""Any endpoint that speaks OpenAI's chat completions, such as one of your own."""

from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Progress, RecordedText, Vendor, VendorSettings, secret
from server_settings import ServerSettings

DIALECTS_FILE = "dialects.json"
"""In ``DATA_DIR``: how each model makes its calls, as was found out."""

FIRST_TOKEN_SECS = 8.0
"""A model on one's own machine reads the document first: 5 s are usual without a graphics card.

Half of it remains for a second attempt within DECISION_TIMEOUT_SECS; the caller is told meanwhile.
"""


class OpenAISettings(VendorSettings):
    """The settings of the endpoint."""

    brain_base_url: str = Field(
        "", description="BRAIN=openai: the endpoint, such as http://127.0.0.1:11434/v1 (Ollama)."
    )
    brain_model: RecordedText = Field("", description="BRAIN=openai: the endpoint's model.")
    brain_api_key: SecretStr | None = Field(
        None, description="BRAIN=openai: the endpoint's key, where it wants one."
    )


def load(context: Context, _: Progress) -> Any:
    """Create the brain that all calls share."""
    from processors.brain.openai_compatible import Dialects, OpenAICompatibleBrain

    own = context.settings.for_vendor(OpenAISettings)
    return OpenAICompatibleBrain(
        context.document,
        base_url=own.brain_base_url,
        model=own.brain_model,
        api_key=secret(own.brain_api_key) or None,
        name="openai",
        registered=context.tools,
        probes=True,
        found=Dialects(context.settings.data_dir / DIALECTS_FILE),
    )


def unavailable(settings: ServerSettings) -> str:
    """Ask the endpoint whether it accepts the key, or wants one; blocks for up to seconds."""
    from processors.key_check import key_refusal

    own = settings.for_vendor(OpenAISettings)
    key, page = secret(own.brain_api_key), own.brain_base_url.rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    hello = [{"role": "user", "content": "Hello"}]
    shortest = {"model": own.brain_model, "messages": hello, "max_tokens": 1}
    return key_refusal(
        f"{page}/models",
        headers,
        setting="brain_api_key",
        otherwise=(f"{page}/chat/completions", shortest),  # some gateways list no models
    )


VENDOR = Vendor(
    stage="brain",
    address=("brain_base_url", ""),
    name="openai",
    label="OpenAI-compatible endpoint",
    kind="cloud",
    detail="any endpoint that speaks OpenAI's chat completions: Ollama, vLLM …",
    settings=OpenAISettings,
    required=("brain_base_url", "brain_model"),
    modules=("openai",),
    load=load,
    unavailable=unavailable,
    auto=2,
    first_token_secs=FIRST_TOKEN_SECS,
    model_setting="brain_model",
    unpriced="it depends on whose endpoint it is",
)
