"""What a persona says next: by its script, or by a language model that plays it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evals.callers.persona import Line, Persona
from pipeline.vendor import secret
from pipeline.vendors.openai import OpenAISettings
from settings import Settings

TIMEOUT_SECS = 30.0
"""Longest wait for a model's next line."""

MAX_TOKENS = 300
"""Longest reply of a model."""

MAX_LINE = 400
"""Longest line of a model that is said, in characters; what is behind it is left out."""

TOOL = "speak"
_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "say": {
            "type": "string",
            "description": "What you say next: one or two short spoken sentences; empty for "
            "nothing.",
        },
        "hang_up": {
            "type": "boolean",
            "description": "Whether you hang up after that, as you have what you wanted, or "
            "cannot get it.",
        },
    },
    "required": ["say", "hang_up"],
    "additionalProperties": False,
}

_INSTRUCTION = (
    "You play a person who calls a voice agent, to test it. Stay this person; never say that you "
    "are simulated or an AI. Who you are: {name}. What you want of the call: {goal}. {manner}"
    "{wrong_idea}The agent's words are the user's messages. Reply by calling speak: say one thing "
    "at a time, as people speak, without lists or stage directions. Do not repeat what has been "
    "answered. Set hang_up as soon as you have what you wanted, or it is clear that you will not "
    "get it."
)
_WITHOUT_TOOLS = (
    ' There is no tool: reply with one JSON object instead, such as {"say": "…", "hang_up": false}.'
)
_CUT_IN = "(You interrupt the agent here.)"


class LeadError(Exception):
    """Nobody says what comes next; the text says why."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one side of a call has said.

    Parameters:
        caller: Whether it was the caller.
        text: Its words; of the agent, those that were heard.
    """

    caller: bool
    text: str


@dataclass(frozen=True, slots=True)
class Next:
    """What the caller does next.

    Parameters:
        line: What they say; ``None`` for nothing.
        hang_up: Whether they hang up after that.
    """

    line: Line | None
    hang_up: bool = False


class Lead(Protocol):
    """Decides what a caller says next."""

    async def next(self, so_far: Sequence[Spoken], *, cutting_in: bool) -> Next:
        """The next line.

        Args:
            so_far: The call so far.
            cutting_in: Whether it is said over the agent.

        Raises:
            LeadError: There is none.
        """
        ...


class ScriptLead:
    """Says the lines of a script, in order."""

    def __init__(self, script: Sequence[Line]) -> None:
        self._left = list(script)

    async def next(self, so_far: Sequence[Spoken], *, cutting_in: bool) -> Next:
        """The next line of the script; see :class:`Lead`."""
        if not self._left:
            return Next(None, hang_up=True)
        return Next(self._left.pop(0))


class PersonaModel:
    """A model behind an OpenAI-compatible endpoint that plays personas, shared by all calls.

    Parameters:
        base_url: The endpoint.
        model: The model.
        api_key: The endpoint's key, where it wants one.
    """

    def __init__(self, *, base_url: str, model: str, api_key: str = "") -> None:
        import openai

        self.name = model
        self._errors, self._refusals = openai.OpenAIError, openai.APIStatusError
        self._forces = True  # until the endpoint refuses a forced call
        self._headers = {} if api_key else {"Authorization": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            # Never None: the SDK would take OpenAI's own key from the environment, for anyone.
            api_key=api_key or "none",
            base_url=base_url,
            timeout=TIMEOUT_SECS,
        )

    @classmethod
    def of(cls, settings: Settings, model: str = "") -> "PersonaModel":
        """The model that the settings describe.

        Raises:
            LeadError: A setting is missing.
        """
        own = settings.for_vendor(OpenAISettings)
        model = model or own.brain_model
        if not own.brain_base_url or not model:
            missing = "BRAIN_MODEL" if own.brain_base_url else "BRAIN_BASE_URL"
            raise LeadError(
                f"{missing} is not set; a persona without [[say]] is played by a model: "
                "BRAIN_BASE_URL (an OpenAI-compatible endpoint) and BRAIN_MODEL, or --model."
            )
        return cls(base_url=own.brain_base_url, model=model, api_key=secret(own.brain_api_key))

    async def ask(self, instruction: str, so_far: Sequence[Mapping[str, Any]], seed: int) -> str:
        """The arguments of its call, or its text if it made none.

        Raises:
            LeadError: It did not reply.
        """
        try:
            completion = await self._complete(instruction, so_far, seed)
        except self._refusals as error:
            if not self._forces or error.status_code not in (400, 422):
                raise LeadError(f"{self.name}: {' '.join(str(error).split())}") from None
            self._forces = False
            return await self.ask(instruction, so_far, seed)
        except self._errors as error:
            raise LeadError(f"{self.name}: {' '.join(str(error).split())}") from None
        if not completion.choices:
            return ""
        message = completion.choices[0].message
        for call in message.tool_calls or ():
            if call.type == "function":
                return str(call.function.arguments)
        return message.content or ""

    async def _complete(
        self, instruction: str, so_far: Sequence[Mapping[str, Any]], seed: int
    ) -> Any:
        """Ask for a forced call; of an endpoint that has refused one, for a JSON object."""
        function = {
            "name": TOOL, "description": "Say something, or hang up.", "parameters": _PARAMETERS,
        }  # fmt: skip
        forced: dict[str, Any] = {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": TOOL}},
        }
        told = instruction if self._forces else instruction + _WITHOUT_TOOLS
        return await self._client.chat.completions.create(
            model=self.name,
            messages=[{"role": "system", "content": told}, *so_far],  # type: ignore[list-item]
            temperature=0,
            seed=seed,
            max_tokens=MAX_TOKENS,
            extra_headers=self._headers,
            **(forced if self._forces else {}),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


class ModelLead:
    """Has a model play a persona in one call.

    Parameters:
        persona: The persona.
        model: The model.
        seed: The seed of its replies, for endpoints that have one.
    """

    def __init__(self, persona: Persona, model: PersonaModel, seed: int) -> None:
        self._model = model
        self._seed = seed
        self._turns_left = persona.most_turns
        idea = persona.wrong_idea
        believes = f"You wrongly believe this, and say so once: {idea.believes}. " if idea else ""
        if idea:
            believes += "Once the agent corrects you, accept it. "
        self._instruction = _INSTRUCTION.format(
            name=persona.name,
            goal=persona.goal,
            manner=f"Your manner: {persona.manner}. " if persona.manner else "",
            wrong_idea=believes,
        )

    async def next(self, so_far: Sequence[Spoken], *, cutting_in: bool) -> Next:
        """What the model says; see :class:`Lead`."""
        if not self._turns_left:
            return Next(None, hang_up=True)
        self._turns_left -= 1
        messages = [
            {"role": "assistant" if spoken.caller else "user", "content": spoken.text}
            for spoken in so_far
        ]
        if cutting_in:
            messages.append({"role": "user", "content": _CUT_IN})
        given = await self._model.ask(self._instruction, messages, self._seed)
        return read_next(given)


def read_next(given: str) -> Next:
    """What a model's reply says to do next.

    Args:
        given: A JSON object, perhaps within other text; or the words themselves.

    Raises:
        LeadError: There is nothing in it.
    """
    fields = _object_in(given)
    if fields is None:
        fields = {"say": given, "hang_up": False}
    say = " ".join(str(fields.get("say") or "").split())[:MAX_LINE]
    hang_up = fields.get("hang_up") in (True, "true")
    if not any(map(str.isalnum, say)):
        if not hang_up:
            raise LeadError(f"the model says nothing: {given[:80]!r}")
        return Next(None, hang_up=True)
    return Next(Line(say, kind="courtesy" if hang_up else "question"), hang_up)


def _object_in(text: str) -> Mapping[str, Any] | None:
    """The JSON object that a text is, or that stands in it."""
    start, end = text.find("{"), text.rfind("}")
    try:
        fields = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
