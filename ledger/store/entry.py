"""A ledger entry: a database row, which can wait on disk as a line of JSON."""

import json
import math
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any, Literal

from conversation.records import CallRecord, StageCost, TurnRecord, Used
from ledger.store.tables import Call, Turn

SUMS = ("stt_cost", "brain_cost", "tts_cost", "cost")
"""Columns of a call that sum up its turns."""

_MODELS: dict[str, type[Call | Turn]] = {"call": Call, "turn": Turn}
_STAGES = ("stt", "brain", "tts")
_MOST_NESTED = 8  # a turn's checks are three deep
_NOT_OF_THE_RECORD = {"call": {"turns", *SUMS, "reply_to"}, "turn": {"was_right"}}
"""Columns that are written elsewhere, and that an entry leaves as they are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be written; it replaces an earlier row with the same key.

    Parameters:
        table: Its table.
        row: Values by column, ready for JSON. A call's sums are not included.
    """

    table: Literal["call", "turn"]
    row: dict[str, Any]

    @classmethod
    def of_call(cls, record: CallRecord) -> "Entry":
        """The entry of a call."""
        row = {
            "id": record.id,
            "caller": record.caller.email,
            "caller_key": record.caller.key,
            "day": record.day,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "why": record.why,
            "document": record.document,
            "document_hash": record.document_hash,
        }
        row |= {stage: record.vendors.get(stage, "") for stage in _STAGES}
        return cls("call", _clean(row))

    @classmethod
    def of_turn(cls, record: TurnRecord) -> "Entry":
        """The entry of a turn."""
        row = record.as_dict()
        used, cost = Used(**row.pop("used")), StageCost(**row.pop("cost"))
        vendors, models = row.pop("vendors"), row.pop("models")
        row |= asdict(used)
        row |= {stage: vendors.get(stage, "") for stage in _STAGES}
        row |= {f"{stage}_model": models.get(stage, "") for stage in _STAGES}
        row |= {f"{stage}_cost": getattr(cost, stage) for stage in _STAGES}
        row["cost"] = cost.total
        return cls("turn", _clean(row))

    @classmethod
    def parse(cls, line: str | bytes) -> "Entry":
        """Parse a line.

        Raises:
            ValueError: The line is not an entry.
        """
        try:
            value = json.loads(line)
        except RecursionError:
            raise ValueError("nested too deep") from None
        match value:
            case {"table": "call" | "turn" as table, "row": dict(row)} if _is_flat(row):
                return cls(table, row)
        raise ValueError("not an entry of the ledger")

    def to_line(self) -> str:
        """The entry as a line of JSON, with its newline."""
        return json.dumps({"table": self.table, "row": self.row}, ensure_ascii=False) + "\n"

    @property
    def call(self) -> str:
        """The call's id; empty if the row has none."""
        return str(self.row.get("id" if self.table == "call" else "call", ""))

    def __str__(self) -> str:
        """A description for logs, without anything that was said."""
        number = self.row.get("number")
        return f"call {self.call}" + ("" if self.table == "call" else f", turn {number}")

    def values(self) -> dict[str, Any]:
        """The values to write by column; missing columns get their defaults.

        Raises:
            ValueError: A value is invalid, or a required one is missing.
        """
        model = _MODELS[self.table].model_validate(self.row)
        return model.model_dump(exclude=_NOT_OF_THE_RECORD[self.table])


def _is_flat(value: Any, levels: int = _MOST_NESTED) -> bool:
    """Whether a value is nested so little that databases and JSON can represent it."""
    match value:
        case dict():
            return levels > 0 and all(_is_flat(item, levels - 1) for item in value.values())
        case list():
            return levels > 0 and all(_is_flat(item, levels - 1) for item in value)
    return True


def _clean(value: Any) -> Any:
    """A value without what databases and JSON cannot represent."""
    match value:
        case str():
            return (
                value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
            )
        case None | bool():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value) if math.isfinite(value) else None
        case dict():
            return {_clean(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be stored")
