"""The judges: Claude, and any model behind an OpenAI-compatible endpoint."""

from collections.abc import Mapping
from typing import Any

from conversation.records import Used
from evals.forced_call import ForcedCallError, ForcedCallModel, Tool, described_by
from evals.judge.judge import (
    INSTRUCTION,
    MAX_VERDICT_TOKENS,
    TIMEOUT_SECS,
    TOOL,
    JudgeError,
    ModelJudge,
)
from ledger.money.prices import Prices
from pipeline.vendor import secret
from pipeline.vendors.claude import UNFORCED, ClaudeSettings
from settings import Settings

JUDGES = ("openai", "claude")
"""The vendors that judge."""


class OpenAIJudge(ModelJudge):
    """A model behind any OpenAI-compatible endpoint.

    Parameters:
        model: The model, made to call :data:`~evals.judge.judge.TOOL`.
    """

    def __init__(self, model: ForcedCallModel) -> None:
        super().__init__("openai", model.name)
        self._model = model

    async def _reply(self, asked: str, tool: Tool) -> Mapping[str, Any] | str:
        messages = [{"role": "user", "content": asked}]
        try:
            given = await self._model.call(INSTRUCTION, messages, tool=tool)
        except ForcedCallError as error:
            raise JudgeError(str(error)) from None
        self.used += given.used
        return given.text if given.fields is None else given.fields

    async def close(self) -> None:
        """Close its connections."""
        await self._model.close()


class ClaudeJudge(ModelJudge):
    """A model of Anthropic's.

    Parameters:
        api_key: The key.
        model: The model.
        base_url: Where the API is; empty for Anthropic's own.
    """

    def __init__(self, *, api_key: str, model: str, base_url: str = "") -> None:
        import anthropic

        super().__init__("claude", model)
        self._errors = anthropic.AnthropicError
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key, base_url=base_url or None, timeout=TIMEOUT_SECS
        )

    async def _reply(self, asked: str, tool: Tool) -> Mapping[str, Any] | str:
        called: Any = {
            "name": tool.name, "description": tool.description, "input_schema": tool.parameters,
        }  # fmt: skip
        try:
            message = await self._client.messages.create(
                model=self.name,
                max_tokens=MAX_VERDICT_TOKENS,
                system=INSTRUCTION,
                messages=[{"role": "user", "content": asked}],
                tools=[called],
                tool_choice={"type": "tool", "name": tool.name, "disable_parallel_tool_use": True},
            )
        except self._errors as error:
            raise JudgeError(f"{self.name}: {' '.join(str(error).split())}") from None
        usage = message.usage
        self.used += Used(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
        for block in message.content:
            if block.type == "tool_use":
                return block.input if isinstance(block.input, dict) else {}
        return " ".join(block.text for block in message.content if block.type == "text")

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def judge_of(vendor: str, settings: Settings, *, model: str = "") -> ModelJudge:
    """The judge that the settings describe.

    Args:
        vendor: One of :data:`JUDGES`.
        settings: Address, key and model.
        model: Another model than that of the settings.

    Raises:
        JudgeError: The vendor is unknown, or what it needs is missing.
    """
    if vendor == "openai":
        try:
            return OpenAIJudge(
                described_by(
                    settings,
                    TOOL,
                    model=model,
                    max_tokens=MAX_VERDICT_TOKENS,
                    timeout_secs=TIMEOUT_SECS,
                )
            )
        except ForcedCallError as missing:
            raise JudgeError(
                f"{missing} is not set; --judge openai needs BRAIN_BASE_URL (an OpenAI-compatible "
                "endpoint) and BRAIN_MODEL."
            ) from None
    if vendor == "claude":
        claude = settings.for_vendor(ClaudeSettings)
        model = model or claude.claude_model
        if claude.anthropic_api_key is None:
            raise JudgeError("ANTHROPIC_API_KEY is not set; --judge claude needs it.")
        if model.startswith(UNFORCED):
            raise JudgeError(
                f"{model} cannot be made to give a verdict; --judge-model names one that can, such "
                "as claude-haiku-4-5."
            )
        return ClaudeJudge(
            api_key=secret(claude.anthropic_api_key),
            model=model,
            base_url=claude.anthropic_base_url,
        )
    raise JudgeError(f"--judge is {vendor!r}; allowed: {', '.join(JUDGES)}.")


def describe_cost(judge: ModelJudge, settings: Settings) -> str:
    """Describe what a judge has cost.

    Raises:
        PriceError: The operator's price table is invalid.
    """
    used = judge.used
    tokens = f"{used.input_tokens:,} tokens read, {used.output_tokens:,} written"
    prices = Prices.for_settings(settings)
    price = prices.price(judge.vendor, judge.name)
    if price is None:
        return f"The judge, {judge.name}: {tokens}; its price is not known here."
    dollars = prices.cost(judge.vendor, judge.name, used) / 1_000_000
    return f"The judge, {judge.name}: {tokens}, ${dollars:.4f}."
