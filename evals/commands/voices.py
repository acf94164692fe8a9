"""The command ``viva evaluate-voices``: measures the recogniser on people's recordings."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from terminal import errors, fail, output

if TYPE_CHECKING:
    from evals.scoring.voices import GroupResult, Heard, Voice

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_terminal = errors()


@app.command(
    "evaluate-voices",
    epilog="""\b
Examples:
  viva evaluate-voices recordings
  viva evaluate-voices recordings --differences
  viva evaluate-voices recordings --json | jq '.groups'""",
)
def evaluate_voices(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A folder of WAV files with an index.tsv: file, text, group, separated by tabs.",
        ),
    ],
    *,
    differences: Annotated[
        bool, typer.Option("--differences", help="Print what was heard otherwise than said.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how well the embedded recogniser transcribes your recordings, by group.

    Nothing leaves this machine, and nothing is kept. Words are compared as Whisper's paper has it:
    numbers as digits, each of them a word; without punctuation, case and fillers. An interval is of
    the recordings, drawn 2,000 times. "Dropped" are recordings with words in which none was heard,
    "invented" those without words in which some were. Where not all words are known, a text "SLOTS:
    tea | two sugars" has phrases, and what is counted is how many of them were not heard.
    """
    from evals.scoring.voices import VoicesError, by_group, cost, read_folder

    try:
        voices = read_folder(folder)
        heard = _heard(voices)
    except VoicesError as error:
        raise fail(str(error)) from None
    except ImportError as error:
        raise fail(
            f"{error.name} is not installed; scoring needs it: run `make install-dev`."
        ) from None
    groups, costs = by_group(heard), cost(heard)
    if as_json:
        typer.echo(json.dumps(as_dict(heard, groups, costs), indent=1, ensure_ascii=False))
        return
    if differences:
        _print_differences(heard)
    print_groups(groups)
    typer.echo(
        f"{len(heard)} recordings: p50 {costs['delay_p50_ms']:.0f} ms, "
        f"p95 {costs['delay_p95_ms']:.0f} ms to the text; CPU {costs['cpu_ms_a_recording']:.0f} ms "
        f"a recording, {costs['cpu_ms_a_second']:.0f} ms a second of audio."
    )


def as_dict(
    heard: "Sequence[Heard]", groups: "Sequence[GroupResult]", costs: dict[str, float]
) -> dict[str, Any]:
    """All results as plain values, ready for JSON."""
    from dataclasses import asdict

    return {
        "groups": [asdict(group) for group in groups],
        "cost": costs,
        "recordings": [
            {
                "file": outcome.voice.file,
                "group": outcome.voice.group,
                "said": outcome.voice.text or list(outcome.voice.phrases),
                "heard": outcome.text,
                "wrong": outcome.wrong,
                "words": outcome.words,
                "delay_ms": round(1000 * outcome.delay_secs, 1),
                "cpu_ms": round(1000 * outcome.cpu_secs, 1),
            }
            for outcome in heard
        ],
    }


def print_groups(groups: "Sequence[GroupResult]") -> None:
    """Print the figures of each group as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "recordings", "said", "wrong", "95 % interval", "dropped", "invented"):
        table.add_column(heading, overflow="fold")
    for group in groups:
        rate = "" if group.error_rate is None else f"{100 * group.error_rate:.1f} %"
        interval = " to ".join(f"{100 * end:.1f}" for end in group.ci95 or ())
        said = f"{group.words} {group.counts}"
        counts = (str(group.recordings), said, rate, interval, group.dropped, group.invented)
        table.add_row(_plain(group.group), *map(str, counts))
    output(highlight=True).print(table)


def _heard(voices: "Sequence[Voice]") -> "list[Heard]":
    from evals.scoring.voices import hear
    from knowledge.loading.document import load
    from pipeline.vendors import Context
    from pipeline.vendors.whisper import VENDOR
    from settings import Settings, SettingsError

    try:
        context = Context(Settings.load(), load(None))
    except SettingsError as error:
        raise fail(str(error)) from None
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(
        *columns, MofNCompleteColumn(), TimeRemainingColumn(), console=_terminal, transient=True
    ) as bar:
        task = bar.add_task("loading the recogniser", total=len(voices))
        recogniser = VENDOR.load(context, lambda _what, _share: None)
        bar.update(task, description="hearing")
        try:
            return asyncio.run(
                hear(recogniser, voices, lambda done: bar.update(task, completed=done))
            )
        finally:
            recogniser.close()


def _print_differences(heard: "Sequence[Heard]") -> None:
    table = Table("recording", "said", "heard", box=None, pad_edge=False)
    for outcome in heard:
        if outcome.wrong or (outcome.text and not outcome.words):
            said = outcome.voice.text or " | ".join(outcome.voice.phrases)
            table.add_row(*map(_plain, (outcome.voice.file, said, outcome.text)))
    output(highlight=True).print(table)


def _plain(text: str) -> Text:
    """Text without markup and terminal control characters."""
    return Text("".join(c if c.isprintable() else " " for c in text))
