"""Makes calls of people's recordings, with their truth: the corpus **people**.

    python -m evals.corpus.people DIR --out OUT [--only N]
    viva score OUT

DIR is a folder as ``viva evaluate-voices`` takes it, anyone's own. Its recordings are spliced into
calls with the bundled CV, with which they have nothing to do: what is measured is hearing and turn
taking, not answers. Each recording with a text asks once. In every third call it does so over the
greeting. In the others somebody of another group, 15 or 20 dB softer than the caller, talks over
the answer: the voice must go on. Where the folder has meetings with labels of who speaks when
(``dialogue/*.rttm`` and the WAV files that they name), what is said in them alone and within 0.6 s
is said over the answer like a backchannel. A call whose answer is too short for that is left out.

Nothing of it belongs into the repository: the calls hold the recordings.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from loguru import logger

from client.wav import INPUT_RATE, WavError, read_wav
from evals.corpus.beds import softer
from evals.corpus.make import TRUTH, make, write_truth
from evals.corpus.scenario import Cue, Kind, Samples, Scenario, ScenarioError, ScriptLine
from evals.replay import virtual_time
from evals.scoring.voices import Voice, VoicesError, read_folder
from knowledge.loading.document import load as load_document
from pipeline.choice import choose
from pipeline.engines import Engines
from settings import Settings

OVER_SECS = 1.2
"""How far into the greeting or an answer somebody speaks."""

AFTER_SECS = 0.7
"""How long after the greeting the caller asks."""

FAR_DB = (15.0, 20.0)
"""How much softer than the caller somebody behind them is, in turn."""

BRIEF_SECS = 0.6
"""Longest sound that counts as a backchannel in a recording of a meeting."""

APART_SECS = 0.05
"""The least silence around what counts as said alone."""


def scenarios(folder: Path) -> list[Scenario]:
    """Plan the calls of a folder.

    Raises:
        VoicesError: The folder cannot be read, or has no recording with a text.
    """
    voices = read_folder(folder)
    callers = [voice for voice in voices if voice.text]
    if not callers:
        raise VoicesError(f"{folder} has no recording with a text, so nobody to call.")
    said_briefly = list(brief(folder / "dialogue"))
    calls = [
        _call(f"{number:03}", voice, number, voices) for number, voice in enumerate(callers, 1)
    ]
    for number, samples in enumerate(said_briefly, 1):
        voice = callers[number % len(callers)]
        over = _line("meeting", "into", "backchannel", "", samples)
        calls.append(_scenario(f"brief-{number:03}", voice, (_asks(voice), over), "backchannel"))
    return calls


def _call(name: str, voice: Voice, number: int, voices: Sequence[Voice]) -> Scenario:
    if number % 3 == 0:
        return _scenario(f"over-{name}", voice, (_asks(voice, over=True),), "bargein")
    others = [other for other in voices if other.group != voice.group and any(other.pcm)] or [voice]
    other = others[7 * number % len(others)]
    far = softer(_samples(other.pcm), [_samples(voice.pcm)], FAR_DB[number % 2])
    behind = _line(other.file, "into", "background", other.text, far)
    tag = f"background {FAR_DB[number % 2]:g} dB"
    return _scenario(f"far-{name}", voice, (_asks(voice), behind), tag)


def _scenario(name: str, voice: Voice, lines: tuple[ScriptLine, ...], tag: str) -> Scenario:
    return Scenario(name, f"{voice.file}, {tag}", (tag, voice.group), voice.group, lines)


def _asks(voice: Voice, *, over: bool = False) -> ScriptLine:
    kind: Kind = "bargein" if over else "question"
    return _line(voice.file, "into" if over else "after", kind, voice.text, _samples(voice.pcm))


def _line(file: str, cue: Cue, kind: Kind, text: str, samples: Samples) -> ScriptLine:
    secs = AFTER_SECS if cue == "after" else OVER_SECS
    return ScriptLine(file, cue, secs, kind, text, "", (), (), False, 0.0, False, samples)


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def brief(folder: Path) -> Iterator[Samples]:
    """What is said alone and briefly in a folder of meetings with labels.

    Raises:
        VoicesError: A label or a recording cannot be read.
    """
    for labels in sorted(folder.glob("*.rttm")):
        spoken: dict[str, list[tuple[float, float]]] = {}
        for number, line in enumerate(labels.read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split()
            if fields[:1] != ["SPEAKER"]:
                continue
            try:
                start, length = float(fields[3]), float(fields[4])
            except (IndexError, ValueError):
                raise VoicesError(
                    f"{labels}, line {number}: its fourth and fifth fields must be seconds"
                ) from None
            spoken.setdefault(fields[1], []).append((start, start + length))
        for meeting, spans in sorted(spoken.items()):
            for path in sorted(folder.glob(f"*{meeting}.wav")):
                try:
                    samples = _samples(read_wav(path))
                except WavError as error:
                    raise VoicesError(str(error)) from None
                for start, end in _alone(spans):
                    yield samples[round(start * INPUT_RATE) : round(end * INPUT_RATE)]


def _alone(spans: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    for at, (start, end) in enumerate(spans):
        others = (*spans[:at], *spans[at + 1 :])
        clear = all(
            other[1] <= start - APART_SECS or other[0] >= end + APART_SECS for other in others
        )
        if clear and end - start <= BRIEF_SECS:
            yield max(0.0, start - APART_SECS), end + APART_SECS


async def hold(calls: Sequence[Scenario], out: Path) -> dict[str, str]:
    """Hold the calls with the embedded engines, and write their recordings.

    Returns:
        The truth of each call that followed its script, as TOML, by its name.
    """
    document = load_document()
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    engines = await Engines.load(settings, document, choose(settings), lambda _label, _share: None)
    truths: dict[str, str] = {}
    for call in calls:
        try:
            truths |= await make([call], out, engines)
        except ScenarioError as error:
            sys.stderr.write(f"\nleft out: {error}\n")
    return truths


def main() -> None:
    """Make the calls of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="recordings with an index.tsv")
    parser.add_argument("--out", type=Path, required=True, help="where the calls go")
    parser.add_argument("--only", type=int, help="only every so many-th call, for a trial")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    try:
        calls = scenarios(options.folder)[:: options.only or 1]
        options.out.mkdir(parents=True, exist_ok=True)
        made = virtual_time.run(
            hold(calls, options.out),
            counted=True,
            counted_by=virtual_time.cpu_clock,
        )
    except (VoicesError, OSError) as error:
        sys.exit(f"people: {error}")
    write_truth(options.out / TRUTH, made, [call.name for call in calls])


if __name__ == "__main__":
    main()
