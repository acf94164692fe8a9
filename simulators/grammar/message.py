"""What a message may hold, and in what a real one differs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Shape(BaseModel):
    """One object of a message: these fields, of these types, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a message is not as it is documented.

    Parameters:
        where: The message's kind and the path to the field, such as ``Results.channel.words``.
        what: What is different: an unknown field or kind, a missing field, another type.
    """

    where: str
    what: str


def differences(kind: str, shape: type[Shape] | None, message: Any) -> list[Difference]:
    """How a message differs from its shape.

    Args:
        kind: What the message is called.
        shape: What it may hold; ``None`` if no such message is documented.
        message: The message, parsed.
    """
    if shape is None:
        return [Difference(kind, "no such message is documented")]
    try:
        shape.model_validate(message)
    except ValidationError as error:
        return [
            Difference(
                ".".join([kind, *(str(part) for part in trouble["loc"])]),
                _WORDS.get(trouble["type"], trouble["msg"]).format(type(trouble["input"]).__name__),
            )
            for trouble in error.errors(include_url=False, include_context=False)
        ]
    return []


_WORDS = {
    "extra_forbidden": "this field is not documented",
    "missing": "this field is documented, and missing",
    "string_type": "{} instead of text",
    "int_type": "{} instead of a whole number",
    "float_type": "{} instead of a number",
    "bool_type": "{} instead of true or false",
    "list_type": "{} instead of a list",
    "model_type": "{} instead of an object",
}


@dataclass(frozen=True, slots=True)
class Grammar:
    """All that a vendor may send.

    Parameters:
        messages: The messages by kind.
        kind_of: The kind of a message.
        path: Beginning of the paths whose messages these are; others are not held against it.
    """

    messages: Mapping[str, type[Shape]]
    kind_of: Callable[[Mapping[str, Any]], str]
    path: str = "/"

    def check(self, message: Any) -> list[Difference]:
        """How a message differs from what is documented."""
        if not isinstance(message, Mapping):
            return [Difference("message", f"{type(message).__name__} instead of an object")]
        kind = self.kind_of(message)
        return differences(kind, self.messages.get(kind), message)
