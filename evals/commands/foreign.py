"""The command ``viva recording import``: a call from elsewhere as a recording."""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from terminal import errors, fail, print_error

if TYPE_CHECKING:
    from evals.foreign.sound import Voices
    from evals.foreign.transcript import Passage

_terminal = errors()


def mount(recordings: typer.Typer) -> None:
    """Add the command to ``viva recording``."""
    recordings.command(
        "import",
        epilog="""\b
Examples:
  viva recording import call.wav --stereo --document handbook.md
  viva recording import --caller a.wav --agent b.wav --transcript call.vtt
  viva recording import mixed.wav --transcript call.stm --caller-name Ada
  viva recording import voicemail.wav && viva replay voicemail.mcap --brain auto --out run""",
    )(import_call)


def import_call(
    sound: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOUND",
            help="The call, in WAV (mu-law, too), FLAC, Ogg or MP3: the caller alone, or both "
            "voices with --stereo or a --transcript that names the speakers.",
        ),
    ] = None,
    *,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="The caller is left and the agent right.")
    ] = False,
    swapped: Annotated[
        bool, typer.Option("--swapped", help="With --stereo: the agent is left.")
    ] = False,
    caller: Annotated[
        Path | None, typer.Option(metavar="SOUND", help="The caller's voice, in its own file.")
    ] = None,
    agent: Annotated[
        Path | None,
        typer.Option(metavar="SOUND", help="The agent's, from the same moment on."),
    ] = None,
    transcript: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who said what and when: .json, .vtt, .srt, .stm or .rttm. Words that it does not "
            "give are the embedded recogniser's.",
        ),
    ] = None,
    caller_name: Annotated[
        str, typer.Option(metavar="NAME", help="The caller in the transcript.")
    ] = "",
    agent_name: Annotated[
        str, typer.Option(metavar="NAME", help="The agent in the transcript.")
    ] = "",
    document: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What the agent answered from; its answers are held against it."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="MCAP", help="The recording; by default SOUND's name and .mcap."),
    ] = None,
) -> None:
    """Make a recording of a call that another system, or a person, has answered.

    Voice activity and turn model hear the caller as in a call, so that a replay gives each
    utterance its place relative to the agent's voice. What the caller says until the agent speaks
    is a turn, and what the agent says then its answer. The recording is replayed and scored like
    any other; only its delays within a turn are not known. An existing file is not replaced.
    """
    from evals.foreign.sound import SoundError
    from evals.foreign.transcript import TranscriptError
    from knowledge.loading.document import DocumentError
    from settings import SettingsError

    first = sound or caller
    if first is None:
        raise fail("name the call's sound, or its voices by --caller and --agent.")
    if (sound is None) == (caller is None) or (agent is not None and caller is None):
        raise fail("give one sound of the call, or --caller and --agent, and not both.")
    if swapped and not stereo:
        raise fail("--swapped is for --stereo.")
    if stereo and caller is not None:
        raise fail("--stereo is for one file with both voices; leave out --caller and --agent.")
    target = out or first.with_suffix(".mcap")
    if target.exists():
        raise fail(f"{target} is there already; --out FILE writes another.")
    try:
        said = _passages(transcript, first, caller_name, agent_name)
        voices = _voices(first, agent, said, stereo=stereo, swapped=swapped)
        _write(target, voices, said, document)
    except (SoundError, TranscriptError, DocumentError, SettingsError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{target} cannot be written: {error.strerror or error}.") from None


_Sides = tuple[tuple["Passage", ...], tuple["Passage", ...]]


def _passages(path: Path | None, sound: Path, caller_name: str, agent_name: str) -> "_Sides | None":
    from evals.foreign.transcript import TranscriptError, read, sides

    if path is None:
        if caller_name or agent_name:
            raise fail("--caller-name and --agent-name are names in a --transcript.")
        return None
    passages = read(path, sound.stem)
    try:
        return sides(passages, caller_name, agent_name)
    except TranscriptError as error:
        raise TranscriptError(f"{path}: {error}") from None


def _voices(
    sound: Path, agent: Path | None, said: "_Sides | None", *, stereo: bool, swapped: bool
) -> "Voices":
    from evals.foreign.sound import two_channels, two_files, unmixed

    if stereo:
        return two_channels(sound, caller_right=swapped)
    if agent is None and said is not None and said[1]:
        times = ([(passage.start, passage.end) for passage in side] for side in said)
        return unmixed(sound, *times)
    return two_files(sound, agent)


def _write(target: Path, voices: "Voices", said: "_Sides | None", document: Path | None) -> None:
    import soxr

    from evals.foreign.imported_call import ImportedCall, bursts_of, turns_of
    from evals.foreign.speech import NO_DOCUMENT, EmbeddedListener, stretches, transcribed, worded
    from knowledge.loading.document import load
    from recording.recording import AGENT_RATE, CALLER_RATE
    from recording.rewriting import rewrite
    from settings import Settings

    settings = Settings.load()
    known = load(document) if document is not None else None
    texts = [passage.text for side in said or () for passage in side]
    with Progress(console=_terminal, transient=True) as bar:
        task = bar.add_task("loading", total=3)
        listener = EmbeddedListener(settings, known or NO_DOCUMENT, hears_words=not any(texts))
        try:
            bar.update(task, advance=1, description="hearing the caller")
            heard = listener.listen(voices.caller)
            bar.update(task, advance=1, description="hearing the agent")
            agent = listener.listen(soxr.resample(voices.agent, AGENT_RATE, CALLER_RATE))
        finally:
            listener.close()
    mine, others = stretches(heard), stretches(agent)
    if any(texts) and said is not None:
        mine, others = worded(mine, said[0]), worded(others, said[1])
        heard = transcribed(heard, mine)
    if not mine:
        raise fail(
            "nobody speaks in the caller's sound. If the caller is the other voice, use --swapped "
            "or --caller-name."
        )
    bursts = bursts_of(others, mine)
    turns = turns_of(mine, bursts)
    call = ImportedCall(
        f"c-{secrets.token_hex(8)}", voices, heard, turns, document=known, vendors=listener.names
    )
    metadata = call.metadata(settings, time.time())
    rewrite(target, metadata, call.messages(), trouble=voices.trouble)
    if voices.trouble:
        print_error(f"{voices.trouble} What is there was imported.")
    cut = sum(burst.cut for burst in bursts)
    typer.echo(
        f"{target}: {voices.secs:.1f} s, {len(turns) - 1} turns, {len(mine)} stretches of the "
        f"caller's speech and {len(others)} of the agent's, {cut} interruptions."
    )
