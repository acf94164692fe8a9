"""Plots of the results, for docs/benchmarks.md.

    python -m benchmarks.plots [--results build/bench] [--out docs/benchmarks]

SVG with a transparent background and colours that are legible on white and on black.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

INK = "#7a7f87"
COLOURS: Mapping[str, str] = {
    "viva": "#1f8f6b",
    "viva-turn-model": "#7cc4a9",
    "livekit": "#3b7dd8",
    "livekit-vad": "#8fb4ea",
    "pipecat": "#d2692e",
    "pipecat-lean": "#e6a57f",
}
NAMES: Mapping[str, str] = {
    "viva": "Viva",
    "viva-turn-model": "Viva with its turn model",
    "livekit": "LiveKit Agents, no room",
    "livekit-vad": "… without its turn detector",
    "pipecat": "stock pipecat",
    "pipecat-lean": "… at its cheapest",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "viva",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.figsize": (6.4, 3.2),
}


def _middle(row: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    value = row[name]
    return value["median"], value["min"], value["max"]


def by_calls(result: Mapping[str, Any], name: str, label: str, limit: float) -> Any:
    """Plot a figure of the density by number of calls, with the design's limit."""
    figure, axes = plt.subplots()
    for side, colour in COLOURS.items():
        rows = [row for row in result.get(side, {}).get("sweep", ()) if name in row]
        if rows:
            calls = [row["calls"] for row in rows]
            middle, low, high = zip(*(_middle(row, name) for row in rows), strict=True)
            axes.plot(calls, middle, "o-", color=colour, label=NAMES[side])
            axes.fill_between(calls, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(limit, color=INK, linestyle=":", label=f"allowed: {limit:g}")
    axes.set(xlabel="calls at once", ylabel=label, yscale="log")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def own_time(result: Mapping[str, Any]) -> Any:
    """Plot the time that each system adds to a turn: bars to the median, whiskers to p99."""
    figure, axes = plt.subplots()
    labels: list[str] = []
    for side in COLOURS:
        for row in result.get(side, {}).get("by_calls", ()):
            if row["own_ms"]["n"]:
                place, own = len(labels), row["own_ms"]
                labels.append(f"{NAMES[side]}, {row['calls']}")
                axes.barh(place, own["p50"], color=COLOURS[side])
                axes.plot([own["p50"], own["p99"]], [place, place], color=INK)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="ms added to a turn, p50 and p99", xscale="log")
    return figure


def growth(axis: Mapping[str, Any]) -> Any:
    """Plot how each figure grows along one axis, as a multiple of its first value."""
    size, *names = axis["rows"][0]
    figure, axes = plt.subplots()
    sizes = [row[size] for row in axis["rows"]]
    for name in names:
        first = axis["rows"][0][name]
        if first > 0:
            label = f"{name.replace('_', ' ')}: {axis['grows'][name]}"
            axes.plot(sizes, [row[name] / first for row in axis["rows"]], "o-", label=label)
    axes.plot(sizes, [each / sizes[0] for each in sizes], ":", color=INK, label="the work itself")
    axes.set(xlabel=size, ylabel=f"times that at {sizes[0]:,}", xscale="log", yscale="log")
    axes.legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    """Draw the plots for which there are results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args()
    mpl.rcParams.update(_STYLE)
    options.out.mkdir(parents=True, exist_ok=True)
    drawings: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
        "cpu": (
            "density",
            lambda results: by_calls(results, "cpu_percent_per_call", "% of a core per call", 0.8),
        ),
        "memory": (
            "density",
            lambda results: by_calls(results, "mb_per_call", "MB per further call", 0.4),
        ),
        "lag": (
            "density",
            lambda results: by_calls(
                results, "loop_lag_ms_p99", "event loop late by, ms (p99)", 20.0
            ),
        ),
        "turn": ("turn", own_time),
    }
    for name, (benchmark, draw) in drawings.items():
        path = options.results / f"{benchmark}.json"
        if path.exists():
            _save(draw(json.loads(path.read_text())), options.out / f"{name}.svg")
    grown = options.results / "growth.json"
    for name, axis in json.loads(grown.read_text()).items() if grown.exists() else ():
        if isinstance(axis, dict) and "grows" in axis:
            _save(growth(axis), options.out / f"growth-{name}.svg")


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
