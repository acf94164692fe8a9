"""The command ``viva replay``."""

import json
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from terminal import errors, fail, print_error

if TYPE_CHECKING:
    from evals.replay.batch import Batch, Outcome, Workers
    from evals.replay.recorded_call import Options

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SHOWN = 5
"""Number of differences printed per call; run.json has all."""


def _vendor(stage: str) -> Any:
    return typer.Option(
        metavar="VENDOR", help=f"Re-run {stage}: a vendor's name; see `viva vendors`."
    )


@app.command(
    epilog="""\b
Examples:
  viva replay data/recordings --out again
  viva replay evals/corpus --jobs 2 --out run && viva score run
  viva replay call.mcap --brain claude --out claude && viva compare again claude
  viva replay call.mcap --set vad_stop_secs=0.4 --vad silero --stt whisper --out slower
  viva replay redacted.mcap --from transcript --out again"""
)
def replay(
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR…", help="Recordings (*.mcap), or folders of them."),
    ],
    *,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the run goes: run.json and a file a call.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="STAGE",
            help="What enters the call. audio: the caller's voice; transcript: the recogniser's "
            "output; decision: the decisions, to compare voices.",
        ),
    ] = "audio",
    vad: Annotated[str, _vendor("voice activity")] = "",
    stt: Annotated[str, _vendor("speech to text")] = "",
    brain: Annotated[str, _vendor("the decisions")] = "",
    tts: Annotated[str, _vendor("text to speech")] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Change a setting; may be repeated [viva settings]."
        ),
    ] = None,
    timing: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="reactive: the caller keeps their timing relative to the agent's voice; recorded: "
            "the caller speaks at the recorded times.",
        ),
    ] = "reactive",
    knowledge: Annotated[
        Path | None, typer.Option(help="The document to answer from [KNOWLEDGE].")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes that replay.")] = 1,
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Replay by Ray: a cluster's address, or local (with --jobs)."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what run.json holds.")] = False,
) -> None:
    """Replay recorded calls faster than real time, with any stage re-run by another vendor.

    Stages that are not re-run give their recorded output. The exit status is 0 if every recording
    was replayed, 1 if some could not be, 2 if no replay was started.
    """
    from evals.replay.batch import Batch
    from evals.replay.recorded_call import Options, ReplayError

    vendors = {"vad": vad, "stt": stt, "brain": brain, "tts": tts}
    try:
        options = Options(
            source=source,  # type: ignore[arg-type]
            timing=timing,  # type: ignore[arg-type]
            vendors={stage: name for stage, name in vendors.items() if name},  # type: ignore[misc]
            overrides=_overrides(set_ or []),
            knowledge=str(knowledge) if knowledge else None,
        )
        batch = Batch.find_recordings(recordings, out, options, workers=jobs)
        workers = _workers(ray, jobs)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _run(batch, workers)
    except ReplayError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        print_error(f"interrupted; {out} has the {len(batch.outcomes)} calls that were finished.")
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(batch.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(batch)
    raise typer.Exit(1 if batch.refused else 0)


def _workers(ray: str, jobs: int) -> "Workers":
    if ray:
        from evals.replay.ray_tasks import RayTasks

        return RayTasks(ray, jobs)
    from evals.replay.processes import Processes

    return Processes(jobs)


def _run(batch: "Batch", workers: "Workers") -> None:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors(),
        transient=True,
    )
    task = bar.add_task("replaying", total=len(batch.jobs))

    def report(outcome: "Outcome") -> None:
        bar.advance(task)
        if outcome.error:
            print_error(outcome.error)

    with bar:
        batch.run(workers, report)


def _print(batch: "Batch") -> None:
    run = batch.as_dict()
    swapped = _swapped(batch.options)
    # With another vendor, the voice or the recogniser's words may be others although no turn is.
    alike = f"turns and words as before, with {', '.join(swapped)}" if swapped else "as recorded"
    for call in run["calls"]:
        differs = call["differs"]
        same = f"{len(differs)} differences" if differs else alike
        typer.echo(f"{call['file']}  {call['turns']} turns, {call['seconds']:.1f} s, {same}")
        for difference in differs[:_SHOWN]:
            typer.echo(
                f"  {difference['what']}: {_short(difference['recorded'])} → "
                f"{_short(difference['replayed'])}"
            )
        if len(differs) > _SHOWN:
            typer.echo(f"  … and {len(differs) - _SHOWN} more, in run.json")
        if differs and call.get("irregular_page"):
            typer.echo("  its page reported irregularly, so what it played is known roughly")
    speed = f"{run['speed_x_realtime']:g} times real time, per core"
    typer.echo(f"{len(run['calls'])} of {len(batch.jobs)} calls replayed into {batch.out}, {speed}")
    for stage, count in _missing(run["calls"]).items():
        what = {"brain": "answers", "tts": "texts"}.get(stage, "things")
        instead = {"brain": "handed to a person", "tts": "silent"}.get(stage, "left out")
        print_error(
            f"{count} {what} are not in the recordings, and were {instead}; --{stage} VENDOR has "
            "them made."
        )


def _swapped(options: "Options") -> list[str]:
    """Stages and settings in which a replay differs from its recordings."""
    swapped = [f"{stage} {vendor}" for stage, vendor in options.vendors.items()]
    swapped += [f"{name}={value}" for name, value in options.overrides.items()]
    if options.knowledge:
        swapped.append(Path(options.knowledge).name)
    if options.source != "audio":
        swapped.append(f"--from {options.source}")
    if options.timing != "reactive":
        swapped.append(f"--timing {options.timing}")
    return swapped


def _missing(calls: Iterable[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for call in calls:
        for missing in call["missing"]:
            found[missing["stage"]] = found.get(missing["stage"], 0) + 1
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else f"{text[:69]}…"


def _overrides(pairs: Iterable[str]) -> dict[str, str]:
    from evals.replay.recorded_call import ReplayError

    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ReplayError(f"--set {pair!r}: write NAME=VALUE, such as VAD_STOP_SECS=0.4.")
        found[name.strip().lower()] = value.strip()
    return found
