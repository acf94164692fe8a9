"""The scenarios of the corpus's calls: reads ``calls.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from client.wav import INPUT_RATE, SPEECH_RMS, read_wav

HERE = Path(__file__).parent
CALLS = HERE / "calls.toml"
AUDIO = HERE.parents[1] / "tests" / "audio"

Samples = npt.NDArray[np.float32]
Kind = Literal["question", "bargein", "courtesy", "backchannel", "noise", "background"]
Cue = Literal["after", "into", "then"]

CUES: tuple[Cue, ...] = ("after", "into", "then")
TAKES_TURN: frozenset[Kind] = frozenset({"question", "bargein", "courtesy"})

LONGEST_WORD_GAP_SECS = 0.3
"""A longer silence within a line is a pause."""

_KINDS: Mapping[str, Kind] = {
    "question": "question",
    "injection": "question",
    "barge-in": "bargein",
    "backchannel": "backchannel",
    "cough": "noise",
    "noise": "noise",
    "human": "background",
}
_WINDOW = INPUT_RATE // 100


class ScenarioError(Exception):
    """A scenario cannot be used; the text names the call, the field and what is allowed."""


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One line of the script: an utterance or a noise of the caller's side.

    Parameters:
        file: Its audio file in ``tests/audio``.
        cue: When it is said: ``after`` the agent has fallen silent, ``into`` the agent's answer or
            greeting, ``then`` after the previous line.
        secs: Seconds after the cue.
        kind: The utterance's kind, as in ``truth.toml``.
        text: The words; empty for a noise.
        decision: ``respond``, ``escalate``, or empty if either is right.
        sections: Ids that a right answer cites.
        says: Facts that a right answer says.
        sensitive: Whether it must be refused as sensitive.
        gain_db: Its gain against other lines.
        halting: Whether it has pauses at which its words are evidently incomplete.
        samples: The audio at 16 kHz, -1 to 1.
    """

    file: str
    cue: Cue
    secs: float
    kind: Kind
    text: str
    decision: str
    sections: tuple[str, ...]
    says: tuple[str, ...]
    sensitive: bool
    gain_db: float
    halting: bool
    samples: Samples = field(repr=False)

    @property
    def takes_turn(self) -> bool:
        """Whether the agent must take the turn."""
        return self.kind in TAKES_TURN

    @property
    def speech(self) -> tuple[float, float]:
        """Start and end of its sound, in seconds from the file's start."""
        loud = _loud(self.samples)
        return float(loud[0]) / 100, float(loud[-1] + 1) / 100

    @property
    def pauses(self) -> tuple[tuple[float, float], ...]:
        """The silences in which the agent must not speak, in seconds from the file's start."""
        if not self.halting:
            return ()
        loud = _loud(self.samples)
        gaps = np.flatnonzero(np.diff(loud) > 100 * LONGEST_WORD_GAP_SECS)
        return tuple((float(loud[at] + 1) / 100, float(loud[at + 1]) / 100) for at in gaps)


@dataclass(frozen=True, slots=True)
class Bed:
    """The background noise of a call.

    Parameters:
        kind: ``line`` (hum and hiss), ``babble`` (people talking behind the caller) or ``crowd``
            (many people, unintelligible).
        snr_db: The signal-to-noise ratio of the caller's speech.
    """

    kind: Literal["line", "babble", "crowd"]
    snr_db: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call.

    Parameters:
        name: The recording's name, without ``.mcap``.
        title: A short title.
        tags: What it is an example of, as in ``truth.toml``.
        voice: The caller's voice.
        lines: The lines, in order.
        bed: The background noise, if any.
        stays: Whether the caller falls silent at the end instead of hanging up.
    """

    name: str
    title: str
    tags: tuple[str, ...]
    voice: str
    lines: tuple[ScriptLine, ...]
    bed: Bed | None = None
    stays: bool = False


def load(path: Path = CALLS) -> list[Scenario]:
    """Read the scenarios of a file.

    Raises:
        ScenarioError: It cannot be used.
    """
    manifest = tomllib.loads((AUDIO / "manifest.toml").read_text())
    recordings = {entry["file"]: entry for entry in manifest["recording"]}
    scenarios = []
    for call in tomllib.loads(path.read_text())["call"]:
        where = call.get("name", "a call without a name")
        try:
            lines = tuple(_line(say, recordings) for say in call.get("say", []))
            bed = Bed(**call["bed"]) if "bed" in call else None
            known = {"bed", "say", "tags", "name", "title", "voice", "stays"}
            if unknown := sorted(call.keys() - known):
                raise ScenarioError(
                    f"{unknown[0]} is no field; allowed: {', '.join(sorted(known))}"
                )
            scenarios.append(
                Scenario(
                    name=call["name"],
                    title=call["title"],
                    tags=tuple(call["tags"]),
                    voice=call["voice"],
                    lines=lines,
                    bed=bed,
                    stays=call.get("stays", False),
                )
            )
        except KeyError as error:
            raise ScenarioError(f"{path.name}, {where}: {error.args[0]} is missing") from None
        except ScenarioError as error:
            raise ScenarioError(f"{path.name}, {where}: {error}") from None
    return scenarios


def _line(say: Mapping[str, Any], recordings: Mapping[str, Mapping[str, Any]]) -> ScriptLine:
    file = say["file"]
    entry = recordings.get(file)
    if entry is None:
        raise ScenarioError(f"file is {file!r}: tests/audio/manifest.toml has no such recording")
    cues = [cue for cue in CUES if cue in say]
    if len(cues) != 1:
        raise ScenarioError(f"{file} has the cues {cues}: one of {', '.join(CUES)} is needed")
    (cue,) = cues
    kind: Kind = say.get("kind", _KINDS[entry["kind"]])
    if cue == "into" and kind == "question":
        kind = "bargein"
    gain_db = float(say.get("gain_db", 0.0))
    pcm = np.frombuffer(read_wav(AUDIO / file), np.int16).astype(np.float32)
    section = entry.get("section", "")
    return ScriptLine(
        file=file,
        cue=cue,
        secs=float(say[cue]),
        kind=kind,
        text=entry["text"],
        decision=say.get("decision", entry.get("expect", "") if kind in TAKES_TURN else ""),
        sections=tuple(say.get("sections", [section] if section else [])),
        says=tuple(say.get("says", entry.get("says", ()) if kind in TAKES_TURN else ())),
        sensitive=say.get("sensitive", False),
        gain_db=gain_db,
        halting=any(isinstance(part, int | float) for part in entry.get("say", [])),
        samples=pcm * np.float32(10 ** (gain_db / 20)),
    )


def _loud(samples: Samples) -> npt.NDArray[np.intp]:
    """Indices of the 10 ms windows with sound, by the rule of ``speech_end_secs``."""
    frames = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    level = np.sqrt((frames**2).mean(axis=1))
    return np.flatnonzero(level > SPEECH_RMS * np.abs(samples).max())
