"""Loads the project's recordings that ``tests/audio/manifest.toml`` describes."""

import re
import tomllib
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
from num2words import num2words

FOLDER = Path(__file__).parent.parent / "tests" / "audio"
SAMPLE_RATE = 16_000
_LEAD_SECS = 0.25
_TAIL_SECS = 0.4
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b")
_SPELLINGS = {"flowmatic": "flow matic", "ph d": "phd", "mr": "mister", "favourite": "favorite"}


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording.

    Parameters:
        file: Its name in ``tests/audio``.
        text: The words; empty if there are none.
        voice: The speaker: ``person``, a synthetic voice, or ``synthesis`` for sounds.
        kind: ``question``, ``backchannel``, ``barge-in``, ``cough``, ``noise`` or ``human``.
        expect: For a question: ``respond`` or ``escalate``; empty if either is right.
        section: Id of the section that answers it, or of a parent of it; empty if none does.
        after: The recording that it follows up; empty if it stands alone.
        pcm: The audio, 16 kHz mono 16-bit.
        speech: Begin and end of the words, in seconds.
    """

    file: str
    text: str
    voice: str
    kind: str
    expect: str
    section: str
    after: str
    pcm: bytes
    speech: tuple[float, float]

    @property
    def secs(self) -> float:
        """Its length, in seconds."""
        return len(self.pcm) / (2 * SAMPLE_RATE)

    def spoken(self, *, before: float = 0.25, behind: float = 0.1) -> bytes:
        """The words with some seconds around them, as a recogniser gets them at a pause."""
        start, end = self.speech[0] - before, self.speech[1] + behind
        return self.pcm[2 * max(0, round(start * SAMPLE_RATE)) : 2 * round(end * SAMPLE_RATE)]


def load(*, kinds: Sequence[str] = ()) -> list[Recording]:
    """Read the manifest and the audio.

    Args:
        kinds: Kinds to load; all by default.

    Raises:
        ValueError: A file is not 16 kHz mono 16-bit.
    """
    entries = tomllib.loads((FOLDER / "manifest.toml").read_text())["recording"]
    recordings = []
    for entry in entries:
        if kinds and entry["kind"] not in kinds:
            continue
        pcm = read(entry["file"])
        secs = len(pcm) / (2 * SAMPLE_RATE)
        start, end = entry.get("speech", (_LEAD_SECS, secs - _TAIL_SECS))
        recordings.append(
            Recording(
                file=entry["file"],
                text=entry["text"],
                voice=entry["voice"],
                kind=entry["kind"],
                expect=entry.get("expect", ""),
                section=entry.get("section", ""),
                after=entry.get("after", ""),
                pcm=pcm,
                speech=(start, end),
            )
        )
    return recordings


def read(name: str) -> bytes:
    """Read the audio of one recording.

    Raises:
        ValueError: It is not 16 kHz mono 16-bit.
    """
    with wave.open(str(FOLDER / name)) as file:
        found = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if found != (SAMPLE_RATE, 1, 2):
            raise ValueError(f"{name} is (rate, channels, bytes) {found}: it must be 16 kHz mono")
        return bytes(file.readframes(file.getnframes()))


def normalised(text: str) -> str:
    """Normalize a text: lower case, numbers as words, no punctuation, one spelling per name."""

    def spelt(match: re.Match[str]) -> str:
        digits = match.group(1)
        return f" {num2words(int(digits), to='year' if len(digits) == 4 else 'cardinal')} "

    text = _ORDINAL.sub(spelt, re.sub(r"(\d+)", spelt, text.lower().replace("ph.d", "phd")))
    text = " ".join(re.sub(r"[^a-z' ]", " ", text).split())
    for spelling, other in _SPELLINGS.items():
        text = re.sub(rf"\b{spelling}\b", other, text)
    return text


def word_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Word error rate over all pairs of spoken and heard text; 0 is perfect."""
    said = [normalised(pair[0]) for pair in pairs]
    heard = [normalised(pair[1]) for pair in pairs]
    return float(jiwer.wer(said, heard))
