"""A finding: what was checked, its state, and what to change."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Parameters:
        area: Its area, such as ``disk``.
        name: What was checked, in one to three words.
        state: ``ok``; ``warning`` if Viva runs, but not as well as it could; ``problem`` if
            something must be changed.
        detail: What was found.
        remedy: What to change: a setting and its value, or a command; empty if all is well.
    """

    area: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def worst(states: Iterable[State]) -> State:
    """The worst state; ``ok`` without any."""
    order: tuple[State, ...] = ("ok", "warning", "problem")
    return max(states, key=order.index, default="ok")
