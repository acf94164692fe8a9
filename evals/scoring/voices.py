"""Recordings of people with what they say, and how well a recogniser hears them.

A folder of recordings has an ``index.tsv`` with the columns ``file``, ``text`` and ``group``. A
text that begins with ``SLOTS:`` is no transcript, but phrases separated by ``|`` that are said.
"""

import csv
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from client.wav import INPUT_RATE, WavError, read_wav
from evals.scoring.metrics.words import compared, normalised
from evals.scoring.statistics import Values, interval, mean, quantile, wilson

INDEX = "index.tsv"
MAX_SECS = 30.0
"""The longest recording: what an embedded recogniser hears at once."""

_SLOTS = "SLOTS:"
_COLUMNS = ("file", "text", "group")
_ALSO_CALLED = {"transcript": "text"}


class VoicesError(Exception):
    """A folder of recordings cannot be read; the message says why, line by line."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One recording.

    Parameters:
        file: Its name in the folder.
        group: What it is counted with.
        text: What is said; empty when no word is.
        phrases: What is said among other words, where ``text`` is not known.
        pcm: 16 kHz mono, 16 bits.
    """

    file: str
    group: str
    text: str
    phrases: tuple[str, ...]
    pcm: bytes

    @property
    def secs(self) -> float:
        """How long it is."""
        return len(self.pcm) / (2 * INPUT_RATE)

    def errors(self, heard: str) -> tuple[int, int]:
        """Wrong words and words; of phrases, those not heard and all."""
        if not self.phrases:
            return compared(_words(self.text), _words(heard))
        found = f" {_words(heard)} "
        missing = sum(f" {_words(phrase)} " not in found for phrase in self.phrases)
        return missing, len(self.phrases)


class Transcript(Protocol):
    """A recogniser's result."""

    @property
    def text(self) -> str:
        """The words; empty when there are none."""
        ...


class Recogniser(Protocol):
    """Transcribes; :class:`processors.stt.whisper.engine.WhisperEngine` does."""

    async def transcribe(self, pcm: bytes) -> Transcript:
        """Transcribe 16 kHz mono 16-bit audio."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """A recogniser's transcript of one recording.

    Parameters:
        voice: The recording.
        text: The transcript.
        wrong: Wrong, missing or added words; or missing phrases.
        words: Words, or phrases, that are said.
        delay_secs: From the request to the text.
        cpu_secs: Processor time of it, over all threads of this process.
    """

    voice: Voice
    text: str
    wrong: int
    words: int
    delay_secs: float
    cpu_secs: float


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The figures of a group.

    Parameters:
        group: Its name.
        counts: What ``wrong`` and ``words`` count.
        recordings: How many.
        words: How many are said.
        wrong: How many of them are wrong.
        error_rate: ``wrong`` of ``words``; ``None`` where no word is said.
        ci95: Its interval; ``None`` for fewer than two recordings.
        dropped: Recordings with words of which none was heard.
        invented: Recordings without words in which some were heard.
    """

    group: str
    counts: Literal["words", "phrases"]
    recordings: int
    words: int
    wrong: int
    error_rate: float | None
    ci95: tuple[float, float] | None
    dropped: int
    invented: int


def read_folder(folder: Path) -> list[Voice]:
    """Read a folder's index and all its recordings.

    Raises:
        VoicesError: The folder, the index, a column or a recording is missing or invalid.
    """
    index = folder / INDEX
    try:
        lines = index.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise VoicesError(
            f"{index} cannot be read: {reason or error}. It must be a table with tabs and the "
            f"columns {', '.join(_COLUMNS)}."
        ) from None
    table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    names = [_ALSO_CALLED.get(name, name) for name in table.fieldnames or ()]
    if missing := [name for name in _COLUMNS if name not in names]:
        raise VoicesError(
            f"{index} has no column {', '.join(missing)}: its first line must name "
            f"{', '.join(_COLUMNS)}, separated by tabs."
        )
    table.fieldnames = names
    voices, faults = [], []
    for number, row in enumerate(table, start=2):
        try:
            voices.append(_read(folder, row))
        except (VoicesError, WavError) as error:
            faults.append(f"{INDEX}, line {number}: {error}")
    if faults:
        raise VoicesError("\n".join(faults))
    if not voices:
        raise VoicesError(f"{index} names no recording.")
    return voices


async def hear(
    recogniser: Recogniser, voices: Sequence[Voice], progress: Callable[[int], None]
) -> list[Heard]:
    """Transcribe recordings, one after another.

    Args:
        recogniser: The recogniser. Nothing else may run in this process meanwhile: its processor
            time would be counted, too.
        voices: The recordings.
        progress: Called with the number of recordings done.
    """
    heard = []
    for done, voice in enumerate(voices, start=1):
        begun, cpu = time.monotonic(), time.process_time()
        text = (await recogniser.transcribe(voice.pcm)).text
        taken = time.monotonic() - begun, time.process_time() - cpu
        heard.append(Heard(voice, text, *voice.errors(text), *taken))
        progress(done)
    return heard


def by_group(heard: Sequence[Heard]) -> list[GroupResult]:
    """The figures of each group, and of all of them."""
    return [
        *(_result(name, members) for name, members in _groups(heard)),
        *(
            _result(f"all with {kind}", members)
            for kind, members in (
                ("a text", [outcome for outcome in heard if not outcome.voice.phrases]),
                ("phrases", [outcome for outcome in heard if outcome.voice.phrases]),
            )
            if members
        ),
    ]


def cost(heard: Sequence[Heard]) -> dict[str, float]:
    """Delay in milliseconds, and processor time by recording and by second of audio."""
    delays = np.array([outcome.delay_secs for outcome in heard])
    cpu, audio = (
        sum(outcome.cpu_secs for outcome in heard),
        sum(outcome.voice.secs for outcome in heard),
    )
    return {
        "delay_p50_ms": round(1000 * quantile(delays, 0.5), 1),
        "delay_p95_ms": round(1000 * quantile(delays, 0.95), 1),
        "cpu_ms_a_recording": round(1000 * cpu / len(heard), 1),
        "cpu_ms_a_second": round(1000 * cpu / audio, 1),
    }


def _words(text: str) -> str:
    """Words as they are compared; each digit is one, as numbers are dictated."""
    return " ".join(re.sub(r"\d", r" \g<0> ", normalised(text)).split())


def _read(folder: Path, row: dict[str, Any]) -> Voice:
    file, text, group = ((row[name] or "").strip() for name in _COLUMNS)
    if not file or not group:
        raise VoicesError("file and group must not be empty")
    phrases: tuple[str, ...] = ()
    if text.startswith(_SLOTS):
        phrases = tuple(phrase.strip() for phrase in text.removeprefix(_SLOTS).split("|"))
        text = ""
    voice = Voice(file, group, text, phrases, read_wav(folder / file))
    if voice.secs > MAX_SECS:
        raise VoicesError(f"{file} is {voice.secs:.1f} s long: at most {MAX_SECS:.0f} are heard")
    return voice


def _groups(heard: Sequence[Heard]) -> Iterator[tuple[str, list[Heard]]]:
    groups: dict[tuple[str, bool], list[Heard]] = {}
    for outcome in heard:
        groups.setdefault((outcome.voice.group, bool(outcome.voice.phrases)), []).append(outcome)
    for (name, _), members in sorted(groups.items()):
        yield name, members


def _result(group: str, heard: Sequence[Heard]) -> GroupResult:
    spoken = [outcome for outcome in heard if outcome.words]
    words, wrong = (
        sum(outcome.words for outcome in spoken),
        sum(outcome.wrong for outcome in spoken),
    )
    weights = np.array([outcome.words for outcome in spoken], np.float64)
    rates = np.array([outcome.wrong for outcome in spoken], np.float64) / np.maximum(weights, 1)
    ci95 = None
    if len(spoken) > 1:
        values = Values(rates, weights, np.zeros(len(spoken), np.int64))
        # If all recordings have the same rate, the bootstrap has no width.
        ci95 = wilson(wrong, words) if wrong == 0 else interval(values, range(len(spoken)), mean)
    return GroupResult(
        group=group,
        counts="phrases" if any(outcome.voice.phrases for outcome in heard) else "words",
        recordings=len(heard),
        words=words,
        wrong=wrong,
        error_rate=wrong / words if words else None,
        ci95=ci95,
        dropped=sum(not outcome.text.strip() for outcome in spoken),
        invented=sum(bool(outcome.text.strip()) for outcome in heard if not outcome.words),
    )
