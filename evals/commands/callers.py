"""The command ``viva simulate-callers``."""

import asyncio
import json
import signal
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from terminal import errors, fail, output, print_error

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from evals.callers.batch import Batch, CallsFrom
    from evals.callers.persona import Persona
    from evals.callers.site import Held, Target

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MOST_CALLS = 10_000
MOST_AT_ONCE = 1_000


@app.command(
    "simulate-callers",
    epilog="""\b
Examples:
  viva simulate-callers examples/personas --calls 50 --out runs/callers
  viva score runs/callers && viva report runs/callers
  viva simulate-callers personas/hurried.toml --knowledge cv.md --out runs/hurried
  viva simulate-callers personas --url ws://127.0.0.1:8000/call --at-once 20 --out runs/load
docs/evaluating.md describes a persona's file.""",
)
def simulate_callers(
    personas: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR…", help="Personas (*.toml), or folders of them."),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where the recordings, truth.toml and callers.json go: a new folder.",
        ),
    ],
    calls: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_CALLS,
            help="Number of calls, for which the personas take turns; by default one of each.",
        ),
    ] = None,
    at_once: Annotated[
        int,
        typer.Option(min=1, max=MOST_AT_ONCE, help="Calls at the same time; by Ray, on each node."),
    ] = 4,
    seed: Annotated[
        int, typer.Option(min=0, help="What chance is drawn by; the same gives the same callers.")
    ] = 0,
    knowledge: Annotated[
        Path | None, typer.Option(help="The document to answer from [KNOWLEDGE].")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Who plays personas without a script, at BRAIN_BASE_URL [BRAIN_MODEL].",
        ),
    ] = "",
    url: Annotated[
        str,
        typer.Option(help="Call this running server instead of one that is started for this."),
    ] = "",
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where that server keeps its recordings; of this machine: DATA_DIR/recordings.",
        ),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            envvar="VIVA_OPERATOR_KEY",
            help="That server's operator key; read from DATA_DIR for a server on this machine.",
        ),
    ] = "",
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Call from all nodes of a Ray cluster, each with a server of its own unless --url "
            "names one: the cluster's address, or local.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what callers.json holds.")] = False,
) -> None:
    """Have simulated callers call, many at once, in real time, and record the calls.

    A server with the settings of this process is started for it, and stopped afterwards. Score the
    folder with `viva score`; its truth.toml has what was said and wanted.

    Ctrl-C ends the calls that go on and keeps those that are finished. The exit status is 0 if
    every call was made and recorded, 1 if some were not, 2 if none could be.
    """
    from evals.callers.batch import Batch, plan
    from evals.callers.persona import PersonaError, load_all
    from evals.callers.site import SiteError, Target
    from evals.callers.voice import VoiceError, check_sounds

    try:
        callers = load_all(personas)
        for persona in callers:
            check_sounds(persona)
        asked = Target(url, key, recordings, knowledge, model, at_once)
        target = _checked(asked, callers)
        batch = Batch(plan(callers, calls or len(callers), seed), out, at_once, seed)
        site = _site(ray, target, callers)
        batch.open_folder()
    except (PersonaError, SiteError) as error:
        raise fail(str(error)) from None
    try:
        _run(batch, site)
    except (SiteError, VoiceError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        print_error(f"interrupted; {out} has the {len(batch.held)} calls that were finished.")
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(batch.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(batch)
    made = len(batch.held) - len(batch.failed)
    raise typer.Exit(0 if not batch.failed else 1 if made else 2)


def _checked(asked: "Target", callers: "Sequence[Persona]") -> "Target":
    """What is called, complete, once it is known that it can be."""
    from accounts import operator_key
    from accounts.network import is_loopback_host
    from evals.callers.lead import LeadError, persona_model
    from evals.callers.site import SiteError
    from knowledge.loading.document import DocumentError, load
    from settings import Settings, SettingsError

    url = asked.url
    if not url and asked.recordings:
        raise SiteError("--recordings is of a running server; name it by --url.")
    if url and asked.knowledge:
        raise SiteError("--knowledge is for a server that is started; that of --url has its own.")
    try:
        settings = Settings.load()
        load(asked.knowledge or settings.knowledge)
        if any(persona.leader == "model" for persona in callers):
            persona_model(settings, asked.model)
        if url and is_loopback_host(urlsplit(url).netloc):
            return replace(
                asked,
                key=asked.key or operator_key.read(settings.data_dir) or "",
                recordings=asked.recordings or settings.data_dir / "recordings",
            )
    except (SettingsError, DocumentError, LeadError) as error:
        raise SiteError(str(error)) from None
    return asked if url else replace(asked, key="")


def _site(
    ray: str, target: "Target", callers: "Sequence[Persona]"
) -> "AbstractAsyncContextManager[CallsFrom]":
    if ray:
        from evals.callers.ray_sites import RaySites

        return RaySites(ray, target, callers)
    from evals.callers.site import Site

    return Site(target, callers)


def _run(batch: "Batch", site: "AbstractAsyncContextManager[CallsFrom]") -> None:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors(),
        transient=True,
    )
    task = bar.add_task("loading models", total=len(batch.planned))

    def begin() -> None:
        bar.update(task, description="calling")

    def report(held: "Held") -> None:
        bar.advance(task)
        if held.error:
            print_error(f"{held.file}: {held.error}")

    signal.signal(signal.SIGINT, signal.default_int_handler)
    with bar:
        asyncio.run(batch.run(site, begin, report))


def _print(batch: "Batch") -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("persona", "calls", "recorded", "lines said", "gave up", "median wait"):
        table.add_column(heading)
    for persona in dict.fromkeys(held.persona for held in batch.held):
        calls = [held for held in batch.held if held.persona == persona]
        waits = [secs for held in calls for secs in held.waits_secs]
        row = (
            persona,
            str(len(calls)),
            str(sum(bool(held.recording) for held in calls)),
            str(sum(held.said for held in calls)),
            str(sum(held.gave_up for held in calls)),
            f"{statistics.median(waits):.2f} s" if waits else "",
        )
        table.add_row(*map(Text, row))
    output(highlight=True).print(table)
    made = len(batch.held) - len(batch.failed)
    typer.echo(f"{made} of {len(batch.planned)} calls are in {batch.out}.")
    if made:
        typer.echo(f"viva score {batch.out}")
