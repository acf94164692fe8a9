"""What a persona says next: by its script, or by a language model that plays it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evals.callers.persona import Line, Persona
from evals.forced_call import ForcedCallError, ForcedCallModel, Given, Tool, described_by
from settings import Settings

TIMEOUT_SECS = 30.0
"""Longest wait for a model's next line."""

MAX_TOKENS = 300
"""Longest reply of a model."""

MAX_LINE = 400
"""Longest line of a model that is said, in characters; what is behind it is left out."""

TOOL = Tool(
    "speak",
    "Say something, or hang up.",
    {
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
    },
)
"""What a model that plays a persona is made to call."""

_INSTRUCTION = (
    "You play a person who calls a voice agent, to test it. Stay this person; never say that you "
    "are simulated or an AI. Who you are: {name}. What you want of the call: {goal}. {manner}"
    "{wrong_idea}The agent's words are the user's messages. Reply by calling speak: say one thing "
    "at a time, as people speak, without lists or stage directions. Do not repeat what has been "
    "answered. Set hang_up as soon as you have what you wanted, or it is clear that you will not "
    "get it."
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


def persona_model(settings: Settings, model: str = "") -> ForcedCallModel:
    """The model that plays personas, shared by all calls, as the settings describe it.

    Raises:
        LeadError: A setting is missing.
    """
    try:
        return described_by(
            settings, TOOL, model=model, max_tokens=MAX_TOKENS, timeout_secs=TIMEOUT_SECS
        )
    except ForcedCallError as missing:
        raise LeadError(
            f"{missing} is not set; a persona without [[say]] is played by a model: "
            "BRAIN_BASE_URL (an OpenAI-compatible endpoint) and BRAIN_MODEL, or --model."
        ) from None


class ModelLead:
    """Has a model play a persona in one call.

    Parameters:
        persona: The persona.
        model: The model, made to call :data:`TOOL`.
        seed: The seed of its replies, for endpoints that have one.
    """

    def __init__(self, persona: Persona, model: ForcedCallModel, seed: int) -> None:
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
        try:
            given = await self._model.call(self._instruction, messages, seed=self._seed)
        except ForcedCallError as error:
            raise LeadError(str(error)) from None
        return next_of(given)


def next_of(given: Given) -> Next:
    """What a model's reply says to do next.

    Args:
        given: Its call; or words alone, which are then what is said.

    Raises:
        LeadError: There is nothing in it.
    """
    fields = {"say": given.text} if given.fields is None else given.fields
    say = " ".join(str(fields.get("say") or "").split())[:MAX_LINE]
    hang_up = fields.get("hang_up") in (True, "true")
    if not any(map(str.isalnum, say)):
        if not hang_up:
            raise LeadError(f"the model says nothing: {given.text[:80]!r}")
        return Next(None, hang_up=True)
    return Next(Line(say, kind="courtesy" if hang_up else "question"), hang_up)
