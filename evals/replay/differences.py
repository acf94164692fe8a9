"""Differences between a recording and its replay: turns, decisions, and what was heard."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from recording.message import Message
from recording.recording import Recording

BOUNDARY_SECS = 0.05
"""Ends of turns within this time of each other, on the caller's time line, count as the same."""


def differences(recorded: Recording, replayed: Recording) -> list[dict[str, Any]]:
    """Compare a recording with its replay.

    Returns:
        A dictionary per difference: ``what`` differs, and its ``recorded`` and ``replayed`` value,
        ``None`` if there is none.
    """
    return [
        {"what": what, "recorded": then, "replayed": now}
        for what, then, now in _all(recorded, replayed)
    ]


def _all(recorded: Recording, replayed: Recording) -> Iterator[tuple[str, Any, Any]]:
    if recorded.metadata.get("document_hash") != replayed.metadata.get("document_hash"):
        yield "document", recorded.metadata.get("document"), replayed.metadata.get("document")
    yield from _boundaries(recorded, replayed)
    for name, topic, fields in (
        ("decision", "/brain/DecisionFrame", ("decision", "sections", "confidence", "text")),
        ("reason", "/brain/DecisionFrame", ("reason",)),
    ):
        yield from _by_turn(
            name,
            {m.data["turn"]: _picked(m, fields) for m in recorded.topic(topic)},
            {m.data["turn"]: _picked(m, fields) for m in replayed.topic(topic)},
        )
    then, now = (
        [message.data["turn"] for message in recording.topic("/turn/InterruptionFrame")]
        for recording in (recorded, replayed)
    )
    if then != now:
        yield "interruptions", then, now
    for name, field in (
        ("heard", "heard_text"),
        ("interrupted", "interrupted"),
        ("withdrawn", "withdrawn"),
    ):
        was, is_now = _records(recorded, field), _records(replayed, field)
        if not recorded.whole:  # the turn in progress when it was cut has no record
            is_now = {turn: value for turn, value in is_now.items() if turn in was}
        yield from _by_turn(name, was, is_now)
    then, now = (
        [message.data["reason"] for message in recording.topic("/call/End")]
        for recording in (recorded, replayed)
    )
    if then and then != now:
        yield "end", then[0], now[0] if now else None


def _boundaries(recorded: Recording, replayed: Recording) -> Iterator[tuple[str, Any, Any]]:
    shifts = [
        (float(m.data["replayed"]), float(m.data["recorded"]))
        for m in replayed.topic("/replay/Shift")
    ]

    def in_recording(at: float) -> float:
        index = bisect_right([replayed_at for replayed_at, _ in shifts], at) - 1
        if index < 0:
            return at
        return at - shifts[index][0] + shifts[index][1]

    then = {m.data["turn"]: m for m in _turns(recorded)}
    now = {m.data["turn"]: m for m in _turns(replayed)}
    for turn in sorted({*then, *now}):
        was, is_now = then.get(turn), now.get(turn)
        if was is None or is_now is None or was.data["question"] != is_now.data["question"]:
            yield (
                f"turn {turn}: question",
                was.data["question"] if was else None,
                is_now.data["question"] if is_now else None,
            )
            continue
        at = in_recording(is_now.at)
        if abs(at - was.at) > BOUNDARY_SECS:
            yield f"turn {turn}: end of turn", round(was.at, 3), round(at, 3)


def _turns(recording: Recording) -> Sequence[Message]:
    return [m for m in recording.topic("/turn/TurnFrame") if not m.data["speculation"]]


def _picked(message: Message, fields: Sequence[str]) -> Any:
    picked = {name: message.data[name] for name in fields}
    return picked if len(fields) > 1 else picked[fields[0]]


def _records(recording: Recording, field: str) -> dict[int, Any]:
    return {
        message.data["number"]: message.data[field]
        for message in recording.topic("/call/Turn")
        if message.data["number"]
    }


def _by_turn(
    name: str, then: dict[int, Any], now: dict[int, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for turn in sorted({*then, *now}):
        if then.get(turn) != now.get(turn):
            yield f"turn {turn}: {name}", then.get(turn), now.get(turn)
