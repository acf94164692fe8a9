"""The commands ``viva bench …``."""

import asyncio
import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from terminal import errors, output

app = typer.Typer(
    help="Measure speed and capacity, beside other voice frameworks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Seconds = Annotated[float, typer.Option("--seconds", help="Steady time that is measured.")]
Steps = Annotated[str, typer.Option("--calls", help="Numbers of calls, with commas between them.")]
Systems = Annotated[
    str,
    typer.Option(
        "--systems",
        help="viva, viva-turn-model, pipecat, pipecat-lean, livekit, livekit-vad; "
        "empty: all installed.",
    ),
]


def module(name: str) -> ModuleType:
    """Import a benchmark when it runs."""
    return importlib.import_module(f"benchmarks.{name}")


def _names(systems: str) -> tuple[str, ...]:
    from benchmarks.side import SERVERS

    names = tuple(name.strip() for name in systems.split(",") if name.strip())
    for name in names:
        if name not in SERVERS:
            raise typer.BadParameter(f"{name!r} is not a system; allowed: {', '.join(SERVERS)}")
    return names


def _numbers(steps: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(step) for step in steps.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise typer.BadParameter(
            f"--calls={steps!r}; give numbers from 1, separated by commas, such as 1,20"
        )
    return numbers


def _show(name: str, result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    heading, *rows = module(name).table(result)
    table = Table(*heading, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    output(highlight=True).print(table)
    typer.echo(f"{result['machine']}; load average {result['load_average'][0]}")


@app.command()
def density(
    calls: Annotated[
        int | None,
        typer.Option(min=1, help="Calls at once; empty: more and more until it is late."),
    ] = None,
    seconds: Seconds = 20.0,
    repeat: Annotated[int, typer.Option(min=1, help="Measurements of each.")] = 1,
    systems: Systems = "",
    as_json: AsJson = False,
) -> None:
    """CPU, memory, event-loop lag and late audio of a process with many calls."""
    result = module("density").measure(calls, seconds, repeat=repeat, systems=_names(systems))
    _show("density", result, as_json=as_json)


@app.command()
def turn(
    calls: Steps = "1,20", seconds: Seconds = 30.0, systems: Systems = "", as_json: AsJson = False
) -> None:
    """The time that a system adds to a turn, by stage."""
    result = module("turn").measure(_numbers(calls), seconds, systems=_names(systems))
    _show("turn", result, as_json=as_json)


@app.command("barge_in")
def barge_in(
    calls: Steps = "1,20", seconds: Seconds = 30.0, systems: Systems = "", as_json: AsJson = False
) -> None:
    """How soon the voice stops for a caller who speaks over it."""
    result = module("barge_in").measure(_numbers(calls), seconds, systems=_names(systems))
    _show("barge_in", result, as_json=as_json)


@app.command()
def start(
    calls: Annotated[int, typer.Option(min=2, help="Calls that are held.")] = 8,
    seconds: Seconds = 10.0,
    systems: Systems = "",
    as_json: AsJson = False,
) -> None:
    """How soon a server listens, is ready, and takes a call."""
    result = module("start").measure(calls, secs=seconds, systems=_names(systems))
    _show("start", result, as_json=as_json)


@app.command()
def embedded(calls: Steps = "1,2,4,8", seconds: Seconds = 60.0, as_json: AsJson = False) -> None:
    """How many callers the embedded vendors answer within 1.2 s of the last word, at p95."""
    result = module("embedded").measure(_numbers(calls), seconds)
    _show("embedded", result, as_json=as_json)
    if not as_json:
        typer.echo(
            f"Held: {result['held']} calls; by processor time alone, two cores have enough for "
            f"{result['calls_by_cpu']:.1f}."
        )


@app.command()
def vad(as_json: AsJson = False) -> None:
    """The cost of a window in the voice activity detector, by batch size."""
    _show("vad", module("vad").measure(), as_json=as_json)


@app.command()
def grounded(as_json: AsJson = False) -> None:
    """The cost of parsing a decision while it is streamed."""
    _show("grounded", module("grounded").measure(), as_json=as_json)


@app.command()
def recording(
    calls: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 10,
    seconds: Seconds = 30.0,
    as_json: AsJson = False,
) -> None:
    """The cost of recording a call."""
    result = asyncio.run(module("recording").measure(calls, seconds))
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        typer.echo(f"{name}: {value}")


@app.command()
def soak(
    calls: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 30,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 20.0,
    as_json: AsJson = False,
) -> None:
    """Memory growth and lost turns of a process over a long time."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=errors(),
        transient=True,
    )
    task = bar.add_task("calling", total=1.0)
    with bar:
        result = module("soak").measure(
            calls,
            minutes,
            progress=lambda what, share: bar.update(
                task, description=f"{calls} calls, {what}", completed=share
            ),
        )
    _show("soak", result, as_json=as_json)
    if faults := module("soak").faults(result):
        typer.echo("WRONG: " + "; ".join(faults), err=True)
        raise typer.Exit(1)


@app.command()
def flood(
    calls: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 5,
    flooders: Annotated[int, typer.Option(min=1, help="Flooders beside them.")] = 10,
    seconds: Seconds = 20.0,
    as_json: AsJson = False,
) -> None:
    """What callers notice of others who send as much as they can."""
    result = module("flood").measure(calls, flooders, seconds)
    _show("flood", result, as_json=as_json)
    if faults := module("flood").faults(result):
        typer.echo("WRONG: " + "; ".join(faults), err=True)
        raise typer.Exit(1)


@app.command()
def growth(
    only: Annotated[
        str,
        typer.Option(help="calls, workers, document, call, ledger, recordings; empty: all."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Also write the result there, as growth.json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How cost grows with calls, workers, document, length of a call, ledger and recordings."""
    axes = module("growth").AXES
    names = tuple(name.strip() for name in only.split(",") if name.strip())
    for name in names:
        if name not in axes:
            raise typer.BadParameter(f"{name!r} does not grow here; allowed: {', '.join(axes)}")
    result = module("growth").measure(names)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "growth.json").write_text(json.dumps(result, indent=2) + "\n")
    _show("growth", result, as_json=as_json)


if find_spec("benchmarks.replay") is not None:

    @app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def replay(context: typer.Context) -> None:
        """How fast recorded calls are replayed; takes the options of its module."""
        import sys

        sys.argv = ["viva bench replay", *context.args]
        module("replay").main()


@app.command("all")
def everything(
    out: Annotated[Path, typer.Option(help="Where each result is written, as JSON.")] = Path(
        "build/bench"
    ),
    seconds: Annotated[float, typer.Option(help="Steady time of each measurement.")] = 8.0,
) -> None:
    """All benchmarks with modest sizes, compared with the budgets: about 20 minutes."""
    budgets = module("budgets")
    results = budgets.measure(out, seconds)
    heading, *rows = budgets.table(results)
    table = Table(*heading, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    output(highlight=True).print(table)
    typer.echo(f"Results are in {out}.")
