"""One forced call of a model behind an OpenAI-compatible endpoint: a judge's, a persona's.

What such endpoints refuse is left out as for the brain, by its
:class:`~processors.brain.openai_compatible.Dialect`; a model that makes no call is asked for the
same as JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conversation.records import Used
from pipeline.vendor import secret
from pipeline.vendors.openai import DIALECTS_FILE, OpenAISettings
from processors.brain import lenient_json, written_call
from settings import Settings

if TYPE_CHECKING:
    from processors.brain.openai_compatible import Dialect

_INVALID = (400, 422)  # statuses of a request that an endpoint cannot take
_MOST_OBJECTS = 16  # that a text is searched for, from its start


class ForcedCallError(Exception):
    """The model cannot be asked, or did not reply; the text says why."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model is made to call.

    Parameters:
        name: Its name.
        description: What calling it does.
        parameters: Its arguments' JSON schema; all are required.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its arguments."""
        return tuple(self.parameters["properties"])

    @property
    def without_tools(self) -> str:
        """What tells a model to write the call instead."""
        *most, last = self.fields
        return (
            f"There is no tool {self.name}: reply with one JSON object instead, with the fields "
            f"{', '.join(most)} and {last}."
        )

    def read(self, text: str) -> Mapping[str, Any] | None:
        """The arguments that a text has, whatever stands around them; ``None`` if it has none."""
        if found := written_call.find(text, (self.name,)):
            return found.arguments
        given, at = None, 0
        for _ in range(_MOST_OBJECTS):
            if (at := text.find("{", at)) < 0:
                break
            try:
                value, end, _faults = lenient_json.read(text, at)
            except lenient_json.LenientJSONError:
                at += 1
                continue
            at = end
            if isinstance(value, dict) and value.keys() & set(self.fields):
                given = value
        return given


@dataclass(frozen=True, slots=True)
class Given:
    """What a model gave.

    Parameters:
        fields: The arguments of its call; ``None`` if it made none that can be read.
        text: Its text.
        used: What the call has used.
    """

    fields: Mapping[str, Any] | None
    text: str
    used: Used


class ForcedCallModel:
    """A model behind an OpenAI-compatible endpoint that is made to call a tool.

    Parameters:
        tool: The tool.
        base_url: The endpoint.
        model: The model.
        api_key: The endpoint's key, where it wants one.
        max_tokens: Longest reply, in tokens.
        timeout_secs: Longest wait for a reply.
        dialect: What was found out about the model before.
    """

    def __init__(
        self,
        tool: Tool,
        *,
        base_url: str,
        model: str,
        api_key: str = "",
        max_tokens: int,
        timeout_secs: float,
        dialect: "Dialect | None" = None,
    ) -> None:
        import openai

        from processors.brain.openai_compatible import Dialect

        self.name = model
        self._tool = tool
        self._max_tokens = max_tokens
        self._dialect = replace(dialect or Dialect(), counts=False)  # Nothing is streamed.
        self._steady = True  # Until the endpoint refuses a temperature or a seed.
        self._errors, self._refusals = openai.OpenAIError, openai.APIStatusError
        self._headers = {} if api_key else {"Authorization": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            # Never None: the SDK would take OpenAI's own key from the environment, for anyone.
            api_key=api_key or "none",
            base_url=base_url,
            timeout=timeout_secs,
        )

    async def call(
        self,
        instruction: str,
        messages: Sequence[Mapping[str, str]],
        *,
        seed: int | None = None,
        tool: Tool | None = None,
    ) -> Given:
        """Ask for one call.

        Args:
            instruction: The system's message.
            messages: The others.
            seed: The seed, for endpoints that heed one.
            tool: Another form of the model's tool, of the same name and arguments.

        Raises:
            ForcedCallError: The model did not reply.
        """
        while True:
            dialect, steady = self._dialect, self._steady
            try:
                completion = await self._complete(instruction, messages, seed, tool or self._tool)
            except self._refusals as error:
                said = str(error).lower()
                if steady and ("temperature" in said or "seed" in said):
                    self._steady = False
                    continue
                plainer = dialect.after(error)
                if plainer is None and error.status_code in _INVALID and dialect.form == "tools":
                    plainer = dialect.plainer  # It did not say what it refuses.
                if plainer is None:
                    raise self._error(error) from None
                self._dialect = plainer
                continue
            except self._errors as error:
                raise self._error(error) from None
            given = self._given(completion)
            if given.fields is None and dialect.form == "tools":
                self._dialect = dialect.plainer or dialect
            return given

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def _complete(
        self,
        instruction: str,
        messages: Sequence[Mapping[str, str]],
        seed: int | None,
        tool: Tool,
    ) -> Any:
        dialect = self._dialect
        asked: dict[str, Any] = {dialect.limit: self._max_tokens}
        if self._steady:
            asked["temperature"] = 0
            asked |= {} if seed is None else {"seed": seed}
        told = instruction
        if dialect.form == "tools":
            function = {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }  # fmt: skip
            asked["tools"] = [{"type": "function", "function": function}]
            asked["tool_choice"] = "required" if dialect.forces else "auto"
            asked |= {"parallel_tool_calls": False} if dialect.parallel else {}
        else:
            told = f"{instruction} {tool.without_tools}"
        if dialect.form == "schema":
            schema = {"name": tool.name, "strict": True, "schema": tool.parameters}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif dialect.form == "object":
            asked["response_format"] = {"type": "json_object"}
        return await self._client.chat.completions.create(
            model=self.name,
            messages=[{"role": "system", "content": told}, *messages],  # type: ignore[list-item]
            extra_headers=self._headers,
            **asked,
        )

    def _given(self, completion: Any) -> Given:
        used = Used()
        if completion.usage is not None:
            used = Used(
                input_tokens=completion.usage.prompt_tokens,
                output_tokens=completion.usage.completion_tokens,
            )
        if not completion.choices:
            return Given(None, "", used)
        message = completion.choices[0].message
        text = message.content or ""
        for call in message.tool_calls or ():
            if call.type == "function":
                written = str(call.function.arguments)
                return Given(self._tool.read(written), text or written, used)
        return Given(self._tool.read(text), text, used)

    def _error(self, error: Exception) -> ForcedCallError:
        return ForcedCallError(f"{self.name}: {' '.join(str(error).split())}")


def described_by(
    settings: Settings, tool: Tool, *, model: str, max_tokens: int, timeout_secs: float
) -> ForcedCallModel:
    """The model that the settings of ``BRAIN=openai`` describe, asked as its probe found.

    Args:
        settings: The endpoint's address, key and model.
        tool: What it is made to call.
        model: Another model than that of the settings, or empty.
        max_tokens: Longest reply, in tokens.
        timeout_secs: Longest wait for a reply.

    Raises:
        ForcedCallError: A setting is missing; the text is its name.
    """
    own = settings.for_vendor(OpenAISettings)
    model = model or own.brain_model
    if not own.brain_base_url or not model:
        raise ForcedCallError("BRAIN_MODEL" if own.brain_base_url else "BRAIN_BASE_URL")
    from processors.brain.openai_compatible import Dialects

    found = Dialects(settings.data_dir / DIALECTS_FILE).read(own.brain_base_url, model)
    return ForcedCallModel(
        tool,
        dialect=found,
        base_url=own.brain_base_url,
        model=model,
        api_key=secret(own.brain_api_key),
        max_tokens=max_tokens,
        timeout_secs=timeout_secs,
    )
