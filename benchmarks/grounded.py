"""Measures the cost of parsing a decision while it is streamed.

    viva bench grounded [--json]

A tool call with an answer of about 600 characters arrives in pieces of several sizes. Viva's parser
yields the text as it arrives. It is compared with one ``json.loads`` at the end, which yields
nothing earlier (pipecat's way with tool calls), and with ``json.loads`` of all that has arrived
after each piece, the only way to see a part early without a streaming parser.
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
    """Parse with Viva's streaming parser."""
    reader = ToolCallStream("respond")
    for piece in pieces:
        reader.feed(piece)
    reader.close()


def whole(pieces: Sequence[str]) -> None:
    """Parse once at the end."""
    json.loads("".join(pieces))


def again(pieces: Sequence[str]) -> None:
    """Parse everything again after each piece."""
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
    """Nanoseconds per byte, by the size of the pieces."""
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
