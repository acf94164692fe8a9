"""Claude: a language model in Anthropic's cloud, with the document in its prompt cache."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, Progress, RecordedText, Vendor, VendorSettings, secret
from server_settings import ServerSettings

UNFORCED = ("claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5-1")
"""Models that reject a forced tool call (HTTP 400), by prefix of their ids.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools
"""


URL = "https://api.anthropic.com"


class ClaudeSettings(VendorSettings):
    """The settings of Claude."""

    anthropic_api_key: SecretStr | None = Field(None, description="Key of Anthropic.")
    anthropic_base_url: str = Field("", description="Anthropic's address; empty: its cloud.")
    claude_model: RecordedText = Field("claude-haiku-5-5", description="Claude's model.")
    claude_strict: Literal["on", "off"] = Field(
        "on", description="Have Anthropic hold Claude's tool calls to their schema, if it can."
    )
    claude_cache_ttl: Literal["5m", "1h"] = Field(
        "5m", description="How long Anthropic keeps the document in its prompt cache."
    )


def load(context: Context, progress: Progress) -> Any:
    """Make the brain, which all calls share."""
    from processors.brain.claude import ClaudeBrain

    progress("Claude's prompt", 0.0)
    own = context.settings.for_vendor(ClaudeSettings)
    return ClaudeBrain.load(
        context.document,
        api_key=secret(own.anthropic_api_key),
        model=own.claude_model,
        base_url=own.anthropic_base_url or None,
        cache_ttl=own.claude_cache_ttl,
        strict=own.claude_strict == "on",
        registered=context.tools,
    )


def unfit(settings: ServerSettings) -> str:
    """Why its model cannot decide turns; empty if it can."""
    model = settings.for_vendor(ClaudeSettings).claude_model
    if model.startswith(UNFORCED):
        return (
            f"CLAUDE_MODEL={model} does not support forced tool calls, which every answer needs; "
            "set a model that does, such as claude-haiku-5-5 or claude-haiku-4-5"
        )
    return ""


def caches_from(model: str) -> int:
    """The shortest prompt that a model caches, in tokens."""
    from processors.brain.claude_models import minimum_tokens

    return minimum_tokens(model)


def token_ratio(model: str) -> float:
    """Most tokens that a model makes of a text, relative to the older tokenizer."""
    from processors.brain import claude_models

    return claude_models.token_ratio(model)


def unavailable(settings: ServerSettings) -> str:
    """Ask Anthropic whether it accepts the key and has the model; blocks for up to seconds."""
    from processors.key_check import key_refusal

    own = settings.for_vendor(ClaudeSettings)
    page, model = (own.anthropic_base_url or URL).rstrip("/"), own.claude_model
    headers = {"x-api-key": secret(own.anthropic_api_key), "anthropic-version": "2023-06-01"}
    missing = f"it has no model {model!r}; set CLAUDE_MODEL to one that it has"
    return key_refusal(
        f"{page}/v1/models/{model}", headers, setting="anthropic_api_key", missing=missing
    )


VENDOR = Vendor(
    stage="brain",
    name="claude",
    label="Claude",
    kind="cloud",
    detail="a language model in Anthropic's cloud, held to the document",
    settings=ClaudeSettings,
    required=("anthropic_api_key",),
    modules=("anthropic",),
    load=load,
    auto=1,
    model_setting="claude_model",
    caches_from=caches_from,
    token_ratio=token_ratio,
    unfit=unfit,
    unavailable=unavailable,
    address=("anthropic_base_url", URL),
    prices=(
        Price(
            date(2025, 10, 15),
            "https://platform.claude.com/docs/en/about-claude/pricing",
            {
                "per_million_input_tokens": Decimal("1.00"),
                "per_million_output_tokens": Decimal("5.00"),
                "per_million_cache_read_tokens": Decimal("0.10"),
                "per_million_cache_write_tokens_5m": Decimal("1.25"),
                "per_million_cache_write_tokens_1h": Decimal("2.00"),
            },
            models=("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ),
        # Longer prompts cost five times as much; none of the prices here covers them.
        Price(
            date(2026, 10, 7),
            "https://platform.claude.com/docs/en/about-claude/pricing",
            {
                "per_million_input_tokens": Decimal("0.10"),
                "per_million_output_tokens": Decimal("0.50"),
                "per_million_cache_read_tokens": Decimal("0.01"),
                "per_million_cache_write_tokens_5m": Decimal("0.125"),
                "per_million_cache_write_tokens_1h": Decimal("0.20"),
            },
            models=("claude-haiku-5-5",),
            up_to_prompt_tokens=100_000,
        ),
    ),
)
