"""What was looked at, how it was found, and what to change."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Parameters:
        area: What it belongs to, such as ``disk``.
        name: What it is, in a word or three.
        state: ``ok``; ``warning`` where Viva runs, though not as well as it could; ``problem``
            where something must be changed.
        detail: How it was found.
        remedy: What to change: a setting and its value, or a command; empty if nothing is off.
    """

    area: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def worst(states: Iterable[State]) -> State:
    """The worst of some states; ``ok`` of none."""
    order: tuple[State, ...] = ("ok", "warning", "problem")
    return max(states, key=order.index, default="ok")
