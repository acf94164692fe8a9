"""The commands ``viva recording``: what is in a recorded call, and how to repair or redact it."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recording.message import Message
from recording.recording import Recording, RecordingError
from recording.schemas import AUDIO_TOPICS, schema_name
from recording.writer import create
from terminal import fail, output

app = typer.Typer(
    help="What is in a recorded call, and how to repair or redact it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A recording: DATA_DIR/recordings/<call>.mcap.")
]
InPlace = Annotated[bool, typer.Option("--in-place", help="Replace the file itself.")]


@app.command(
    epilog="""\b
Examples:
  viva recording show data/recordings/c-0123456789abcdef.mcap
  viva recording show call.mcap --messages | grep /turn/
  viva recording show call.mcap --json | jq .digest"""
)
def show(
    *,
    file: File,
    messages: Annotated[
        bool, typer.Option("--messages", help="List every message instead of the topics.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; with --messages, one a line.")
    ] = False,
) -> None:
    """Show what is in a recording.

    Prints the call's metadata, and for each topic the number of messages and the time of the first
    and last. Every checksum in the file is verified.
    """
    recording = _read(file)
    if messages:
        _list_messages(recording, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps(_summary(recording), indent=2, ensure_ascii=False))
    else:
        _print_summary(recording)


@app.command(
    epilog="""\b
Examples:
  viva recording audio call.mcap
  viva recording audio call.mcap --out heard.wav"""
)
def audio(
    *,
    file: File,
    out: Annotated[
        Path | None, typer.Option(metavar="WAV", help="The file; the recording's name and .wav.")
    ] = None,
) -> None:
    """Write both voices to a stereo WAV file.

    The caller is on the left. The agent is on the right, as it was played: cut where it was
    interrupted.
    """
    from recording.sound import stereo_wav

    recording = _read(file)
    target = out or file.with_suffix(".wav")
    with _writing(target), create(target) as stream:
        stream.write(stereo_wav(recording))
    typer.echo(f"{target}: {_clock(recording.duration_secs)}, caller left, agent right.")


@app.command(
    epilog="""\b
Examples:
  viva recording transcript call.mcap
  viva recording transcript call.mcap --json | jq '.[] | select(.interrupted)'"""
)
def transcript(
    *,
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Print who said what, and when.

    Of an interrupted answer, the part that was not heard is in brackets.
    """
    from recording.transcript import transcript as of

    said = of(_read(file))
    if as_json:
        plain = [line.as_dict() for line in said]
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    for line in said:
        words = line.heard
        if line.heard != line.text:
            rest = line.text.removeprefix(line.heard).strip()
            words = f"{line.heard} [{'interrupted' if line.interrupted else 'not heard'}: {rest}]"
        typer.echo(f"{_clock(line.at):>7}  {line.who:<6}  {words.strip()}")


@app.command(
    epilog="""\b
Examples:
  viva recording redact call.mcap
  viva recording redact call.mcap --word Ada --word Lovelace --in-place"""
)
def redact(
    *,
    file: File,
    out: Annotated[
        Path | None, typer.Option(metavar="MCAP", help="The new file; <name>-redacted.mcap.")
    ] = None,
    in_place: InPlace = False,
    word: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Mask this too, such as a name; may be repeated."),
    ] = None,
) -> None:
    """Remove both voices, addresses and telephone numbers.

    Of audio, the length remains; in texts, e-mail addresses and telephone numbers, spelled out or
    not, are masked letter by letter. The rest can still be replayed from the transcript on. What
    else was said stays: a name is masked if it is given as --word.
    """
    from recording.redaction import redact as without
    from recording.rewriting import rewrite

    recording = _read(file)
    target = _target(file, out, in_place=in_place, ending="redacted")
    redacted = without(recording, word or ())
    with _writing(target):
        rewrite(target, redacted.metadata, redacted.messages, trouble=redacted.trouble)
    typer.echo(f"{target}: both voices are removed, and addresses and numbers masked.")


@app.command(
    epilog="""\b
Examples:
  viva recording repair data/recordings/c-0123456789abcdef.mcap --in-place"""
)
def repair(
    *,
    file: File,
    out: Annotated[
        Path | None, typer.Option(metavar="MCAP", help="The new file; <name>-repaired.mcap.")
    ] = None,
    in_place: InPlace = False,
) -> None:
    """Finish a recording that was cut by a crash.

    All but about the last second before the crash is kept. A file that is damaged rather than cut
    is left alone.
    """
    from recording.rewriting import repair as finish

    recording = _read(file)
    if recording.whole:
        typer.echo(f"{file} is whole: there is nothing to repair.")
        return
    if not recording.messages:
        raise fail(f"{file} is {_cut(recording)}.")
    target = _target(file, out, in_place=in_place, ending="repaired")
    with _writing(target):
        finish(recording, target)
    count, length = len(recording.messages), _clock(recording.duration_secs)
    typer.echo(f"{target}: {count} messages, {length} of the call.")


def _read(file: Path) -> Recording:
    try:
        return Recording.load(file)
    except RecordingError as error:
        raise fail(str(error)) from None


def _target(file: Path, out: Path | None, *, in_place: bool, ending: str) -> Path:
    if out is not None and in_place:
        raise typer.BadParameter("--out and --in-place exclude each other; choose one.")
    target = file if in_place else out or file.with_name(f"{file.stem}-{ending}.mcap")
    if not in_place and target.is_file():
        raise fail(
            f"{target} is there already. Choose another by --out, or --in-place to replace the "
            "recording itself."
        )
    return target


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise fail(
            f"{target} cannot be written: {error.strerror or error}. Choose another by --out."
        ) from None


def _topics(recording: Recording) -> dict[str, list[Message]]:
    topics: defaultdict[str, list[Message]] = defaultdict(list)
    for message in recording.messages:
        topics[message.topic].append(message)
    return dict(sorted(topics.items()))


def _summary(recording: Recording) -> dict[str, Any]:
    return {
        "call": recording.call,
        "started_at": recording.started_at,
        "duration_secs": recording.duration_secs,
        "whole": recording.whole,
        "trouble": recording.trouble,
        "digest": recording.digest,
        "version": recording.metadata.get("version", ""),
        "source": recording.metadata.get("source", ""),
        "consent": recording.metadata.get("consent", ""),
        "document": recording.metadata.get("document", ""),
        "document_hash": recording.metadata.get("document_hash", ""),
        "vendors": recording.vendors,
        "models": recording.models,
        "settings": recording.settings,
        "topics": {
            topic: {
                "schema": schema_name(topic),
                "messages": len(messages),
                "first": messages[0].at,
                "last": messages[-1].at,
            }
            for topic, messages in _topics(recording).items()
        },
    }


def _cut(recording: Recording) -> str:
    """What is lost of a file without its end, and what repair can do."""
    if not recording.messages:
        return "cut before anything of the call was in it: there is nothing to repair"
    return (
        f"cut: what came after {_clock(recording.duration_secs)} is lost; `viva recording repair` "
        "makes a whole file of the rest"
    )


def _print_summary(recording: Recording) -> None:
    state = "whole" if recording.whole else _cut(recording)
    vendors = ", ".join(f"{stage} {name}" for stage, name in sorted(recording.vendors.items()))
    facts = [
        ("call", recording.call),
        ("document", recording.metadata.get("document", "")),
        ("vendors", vendors),
        ("length", _clock(recording.duration_secs)),
        ("file", state),
        ("trouble", recording.trouble),
        ("digest", recording.digest),
    ]
    for name, value in facts:
        if value:
            typer.echo(f"{name:<9} {value}")
    typer.echo()
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", overflow="fold")
    for heading in ("messages", "first", "last", "audio"):
        table.add_column(heading, justify="right")
    for topic, messages in _topics(recording).items():
        length = ""
        if topic in AUDIO_TOPICS:
            length = _clock(
                sum(message.samples / message.data["sample_rate"] for message in messages)
            )
        table.add_row(
            topic, str(len(messages)), _clock(messages[0].at), _clock(messages[-1].at), length
        )
    output(highlight=True).print(table)


def _list_messages(recording: Recording, *, as_json: bool) -> None:
    for message in recording.messages:
        data = dict(message.data)
        if message.topic in AUDIO_TOPICS:
            data["data"] = f"{message.samples} samples"
            del data["timestamp"]
        if as_json:
            line = {"at": message.at, "topic": message.topic, "data": data}
            typer.echo(json.dumps(line, ensure_ascii=False))
        else:
            told = json.dumps(data, ensure_ascii=False) if data else ""
            typer.echo(f"{message.at:9.3f}  {message.topic}  {told}".rstrip())


def _clock(secs: float) -> str:
    return f"{int(secs // 60)}:{secs % 60:04.1f}"
