"""What the report's editor of the ground truth begins with: each call's utterances and sound."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.scoring.draft import draft
from evals.scoring.facts import Facts

FIELDS = (
    "kind", "text", "start", "end", "pauses", "over_agent", "takes_turn", "decision", "sections",
    "says", "never", "expect", "sensitive", "snr_db",
)  # fmt: skip
"""The fields of an utterance in a truth file."""

KIND_LABELS = {
    "question": "question",
    "bargein": "interruption",
    "backchannel": "backchannel",
    "courtesy": "courtesy",
    "noise": "noise",
    "background": "other people",
}
"""The editor's labels of the kinds of utterances."""

DECISION_LABELS = {"": "either", "respond": "an answer", "escalate": "a person"}
"""The editor's labels of the decisions that are right; empty where both are."""


@dataclass(frozen=True, slots=True)
class CallEditor:
    """The editor of one call.

    Parameters:
        file: The recording's file name.
        sound: The whole call as a ``data:`` URI.
        drafted: Whether its utterances come from a draft that nobody has corrected.
    """

    file: str
    sound: str
    drafted: bool


def truth_of(call: Mapping[str, Any], facts: Facts | None) -> dict[str, Any]:
    """A call's table of a truth file: as it was scored, or a draft.

    Args:
        call: Its entry in ``scores.json``.
        facts: Its facts, from which it is drafted; without them it has no utterances.
    """
    utterances: Sequence[Mapping[str, Any]] = call.get("utterances") or ()
    if not utterances and facts is not None:
        (drafted,) = tomllib.loads(draft([facts]))["call"]
        utterances = drafted.get("utterance", ())
    return {
        "file": call["file"],
        "title": call.get("title") or "",
        "tags": list(call.get("tags") or ()),
        "voice": call.get("voice") or "",
        "utterance": [
            {name: said[name] for name in FIELDS if said.get(name) is not None}
            for said in utterances
        ],
    }


def as_json(calls: Sequence[Mapping[str, Any]]) -> str:
    """Tables for the page."""
    return json.dumps(list(calls), ensure_ascii=False, separators=(",", ":"))
