"""What it costs to read a decision while it is still being streamed.

    viva bench grounded [--json]

A tool call with an answer of some 600 characters comes in pieces of several sizes. Viva's reader
gives the text as it comes. Beside it: ``json.loads`` of the whole at its end, which gives nothing
before (pipecat's way with a tool call), and ``json.loads`` tried anew with each piece, which is
what one has to do to see anything of it earlier without a reader of one's own.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.side import machine, spread
from processors.brain.tool_call import ToolCallStream

SPLITS = (1, 4, 16, 64, 4096)
_SENTENCE = "She earned a master's degree in mathematics from Yale University in 1930. "
_CALL = json.dumps({"sections": ["education"], "confidence": "high", "answer": _SENTENCE * 8})


def stream(pieces: Sequence[str]) -> None:
    """Viva's reader."""
    reader = ToolCallStream("respond")
    for piece in pieces:
        reader.feed(piece)
    reader.close()


def whole(pieces: Sequence[str]) -> None:
    """Nothing until the end."""
    json.loads("".join(pieces))


def again(pieces: Sequence[str]) -> None:
    """The whole anew with each piece."""
    text = ""
    for piece in pieces:
        text += piece
        try:
            json.loads(text)
        except json.JSONDecodeError:
            continue


def _ns_a_byte(read: Callable[[Sequence[str]], None], split: int, rounds: int) -> float:
    pieces = [_CALL[at : at + split] for at in range(0, len(_CALL), split)]
    begun = time.perf_counter_ns()
    for _ in range(rounds):
        read(pieces)
    return (time.perf_counter_ns() - begun) / rounds / len(_CALL)


def measure(
    splits: Sequence[int] = SPLITS, *, rounds: int = 200, repeat: int = 5
) -> dict[str, Any]:
    """Nanoseconds a byte, by the size of the pieces."""
    rows = []
    for split in splits:
        few = max(1, rounds * min(split, 16) // 16)
        row: dict[str, Any] = {"bytes_a_piece": split}
        for name, read in (("stream", stream), ("whole", whole), ("again", again)):
            row[name] = spread([_ns_a_byte(read, split, few) for _ in range(repeat)], 1)
        rows.append(row)
    return {"benchmark": "grounded", **machine(), "bytes": len(_CALL), "ns_per_byte": rows}


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    rows = [["bytes a piece", "Viva's reader ns/byte", "json.loads at the end", "anew a piece"]]
    for row in result["ns_per_byte"]:
        figures = [f"{row[name]['median']:.1f}" for name in ("stream", "whole", "again")]
        rows.append([str(row["bytes_a_piece"]), *figures])
    return rows
