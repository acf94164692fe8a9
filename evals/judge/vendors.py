"""The judges: Claude, and any model behind an OpenAI-compatible endpoint."""

import json
from collections.abc import Mapping
from typing import Any

from conversation.records import Used
from evals.judge.judge import (
    INSTRUCTION,
    MAX_VERDICT_TOKENS,
    TIMEOUT_SECS,
    TOOL,
    TOOL_DESCRIPTION,
    TOOL_PARAMETERS,
    JudgeError,
    ModelJudge,
)
from ledger.money.prices import Prices
from pipeline.vendor import secret
from pipeline.vendors.claude import UNFORCED, ClaudeSettings
from pipeline.vendors.openai import OpenAISettings
from settings import Settings

WITHOUT_TOOLS = (
    "There is no tool: reply with one JSON object instead, with the fields evidence, why and "
    "verdict."
)

JUDGES = ("openai", "claude")
"""The vendors that judge."""


class OpenAIJudge(ModelJudge):
    """A model behind any OpenAI-compatible endpoint.

    Parameters:
        base_url: The endpoint.
        model: The model.
        api_key: The endpoint's key, where it wants one.
    """

    def __init__(self, *, base_url: str, model: str, api_key: str = "") -> None:
        import openai

        super().__init__("openai", model)
        self._errors, self._refusals = openai.OpenAIError, openai.APIStatusError
        self._forces = True  # until the endpoint refuses a forced call
        self._headers = {} if api_key else {"Authorization": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            # Never None: the SDK would take OpenAI's own key from the environment, for anyone.
            api_key=api_key or "none",
            base_url=base_url,
            timeout=TIMEOUT_SECS,
        )

    async def _reply(self, asked: str) -> Mapping[str, Any] | str:
        try:
            completion = await self._complete(asked)
        except self._refusals as error:
            if not self._forces or error.status_code not in (400, 422):
                raise JudgeError(f"{self.name}: {' '.join(str(error).split())}") from None
            self._forces = False
            return await self._reply(asked)
        except self._errors as error:
            raise JudgeError(f"{self.name}: {' '.join(str(error).split())}") from None
        usage = completion.usage
        if usage is not None:
            self.used += Used(
                input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens
            )
        if not completion.choices:
            return ""
        message = completion.choices[0].message
        for call in message.tool_calls or ():
            if call.type == "function":
                return _arguments(call.function.arguments)
        return message.content or ""

    async def _complete(self, asked: str) -> Any:
        """Ask for a forced call; of an endpoint that has refused one, for a JSON object."""
        function = {
            "name": TOOL, "description": TOOL_DESCRIPTION, "parameters": TOOL_PARAMETERS,
        }  # fmt: skip
        forced: dict[str, Any] = {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": TOOL}},
            "temperature": 0,
        }
        told = INSTRUCTION if self._forces else f"{INSTRUCTION} {WITHOUT_TOOLS}"
        return await self._client.chat.completions.create(
            model=self.name,
            messages=[{"role": "system", "content": told}, {"role": "user", "content": asked}],
            extra_headers=self._headers,
            **(forced if self._forces else {}),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


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

    async def _reply(self, asked: str) -> Mapping[str, Any] | str:
        tool: Any = {
            "name": TOOL, "description": TOOL_DESCRIPTION, "input_schema": TOOL_PARAMETERS,
        }  # fmt: skip
        try:
            message = await self._client.messages.create(
                model=self.name,
                max_tokens=MAX_VERDICT_TOKENS,
                system=INSTRUCTION,
                messages=[{"role": "user", "content": asked}],
                tools=[tool],
                tool_choice={"type": "tool", "name": TOOL, "disable_parallel_tool_use": True},
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
        own = settings.for_vendor(OpenAISettings)
        model = model or own.brain_model
        if not own.brain_base_url or not model:
            missing = "BRAIN_MODEL" if own.brain_base_url else "BRAIN_BASE_URL"
            raise JudgeError(
                f"{missing} is not set; --judge openai needs BRAIN_BASE_URL (an OpenAI-compatible "
                "endpoint) and BRAIN_MODEL."
            )
        return OpenAIJudge(
            base_url=own.brain_base_url, model=model, api_key=secret(own.brain_api_key)
        )
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


def _arguments(plain: str) -> Mapping[str, Any] | str:
    """The arguments of a call; the text as it is, if it is no JSON object."""
    try:
        fields = json.loads(plain)
    except ValueError:
        return plain
    return fields if isinstance(fields, dict) else plain
