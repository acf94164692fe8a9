"""Says in plain words what is wrong with a value that pydantic refuses."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

_ALLOWED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "it is required",
    "string_type": lambda _: "it must be text",
    "string_too_short": lambda ctx: _at_least(ctx["min_length"], "characters"),
    "string_too_long": lambda ctx: f"it must have at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda ctx: f"it must match {ctx['pattern']}",
    "too_short": lambda ctx: _at_least(ctx["min_length"], _counted(ctx)),
    "too_long": lambda ctx: f"it must have at most {ctx['max_length']} {_counted(ctx)}",
    "bool_parsing": lambda _: "it must be true or false",
    "bool_type": lambda _: "it must be true or false",
    "int_parsing": lambda _: "it must be a whole number",
    "int_type": lambda _: "it must be a whole number",
    "int_from_float": lambda _: "it must be a whole number",
    "float_parsing": lambda _: "it must be a number",
    "float_type": lambda _: "it must be a number",
    "decimal_parsing": lambda _: "it must be a number",
    "decimal_type": lambda _: "it must be a number",
    "finite_number": lambda _: "it must be a finite number",
    "decimal_max_places": lambda ctx: f"it must have at most {ctx['decimal_places']} decimals",
    "greater_than": lambda ctx: f"it must be more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"it must be at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"it must be less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"it must be at most {ctx['le']:g}",
    "literal_error": lambda ctx: f"allowed: {ctx['expected'].replace(' or ', ', ')}",
    "list_type": lambda _: "it must be a list",
    "tuple_type": lambda _: "it must be a list",
    "dict_type": lambda _: 'it must be fields, such as "name: Viva"',
    "model_type": lambda _: 'it must be fields, such as "name: Viva"',
    "value_error": lambda ctx: str(ctx["error"]),
}


def _at_least(least: int, things: str) -> str:
    return "it must not be empty" if least == 1 else f"it must have at least {least} {things}"


def _counted(ctx: Mapping[str, Any]) -> str:
    return "characters" if isinstance(ctx["input"], str) else "entries"


def what_is_allowed(error: ErrorDetails) -> str:
    """Say what is allowed where a value was refused, without a full stop.

    Args:
        error: One of :meth:`pydantic.ValidationError.errors`.
    """
    if words := _ALLOWED.get(error["type"]):
        return words({**error.get("ctx", {}), "input": error["input"]})
    message = error["msg"].replace("Input should be", "it must be")
    return message[0].lower() + message[1:]
