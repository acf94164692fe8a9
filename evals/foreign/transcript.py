"""Reads transcripts of other systems: who said what, and when.

Formats: JSON (a list of objects with ``start``, ``end``, ``text`` and ``speaker``, or such a list
under ``segments`` or ``utterances``; also what ``viva recording transcript --json`` prints),
WebVTT, SubRip, NIST's STM, and RTTM, which has no words.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CALLERS = ("caller", "customer", "user", "client", "human", "guest")
_AGENTS = ("agent", "assistant", "bot", "system", "operator", "ai")
_SPEAKER_FIELDS = ("speaker", "who", "role", "channel")
_LISTS = ("segments", "utterances", "turns", "transcript")
_ENDLESS_SECS = 0.1  # length of a passage without an end

_CUE = re.compile(
    r"(?:(\d+):)?(\d{1,2}):(\d{1,2}[.,]\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{1,2}[.,]\d{1,3})"
)
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"<[^>]*>")
_NAMED = re.compile(r"([^:\n]{1,40}):\s+(.*)", re.DOTALL)


class TranscriptError(Exception):
    """A transcript cannot be used; the text names the place and what is allowed."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What somebody said at one time.

    Parameters:
        speaker: Their name; empty if unknown.
        start: In seconds of the call.
        end: In seconds of the call.
        text: The words; empty in a format that has none.
    """

    speaker: str
    start: float
    end: float
    text: str


def read(path: Path, sound: str) -> tuple[Passage, ...]:
    """The passages of a transcript, by their start.

    Args:
        path: The file; its ending says its format.
        sound: The name of the call's sound file without its ending: of a transcript of several
            files, its passages are taken.

    Raises:
        TranscriptError: The file cannot be read or is not what its ending says.
    """
    readers = {".json": _json, ".vtt": _cues, ".srt": _cues, ".stm": _stm, ".rttm": _rttm}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise TranscriptError(
            f"{path}: its ending is {path.suffix!r}; allowed: {', '.join(readers)}."
        )
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise TranscriptError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise TranscriptError(f"{path} is not UTF-8; convert it.") from None
    try:
        found = sorted(_of_file(reader(text), sound), key=lambda passage: passage.start)
    except TranscriptError as error:
        raise TranscriptError(f"{path}: {error}") from None
    if not found:
        raise TranscriptError(f"{path} has no passages.")
    return tuple(found)


def sides(
    passages: Sequence[Passage], caller: str = "", agent: str = ""
) -> tuple[tuple[Passage, ...], tuple[Passage, ...]]:
    """The caller's passages and the agent's.

    Args:
        passages: All of them.
        caller: The caller's name in the transcript; by default, one that means a caller.
        agent: The agent's.

    Raises:
        TranscriptError: It cannot be told who is who.
    """
    names = sorted({passage.speaker for passage in passages})
    callers = _called(names, caller, _CALLERS, "--caller-name")
    agents = _called(names, agent, _AGENTS, "--agent-name")
    if len(names) == 2 and bool(callers) != bool(agents):
        other = set(names) - callers - agents
        callers, agents = callers or other, agents or other
    if not callers and len(names) > 1:
        raise TranscriptError(
            f"its speakers are {', '.join(map(repr, names))}; say which of them is the caller by "
            "--caller-name."
        )
    if not callers:
        callers = set(names) - agents
    return (
        tuple(passage for passage in passages if passage.speaker in callers),
        tuple(passage for passage in passages if passage.speaker in agents),
    )


def _called(names: Sequence[str], given: str, usual: Sequence[str], option: str) -> set[str]:
    if given:
        if given not in names:
            raise TranscriptError(
                f"{option} is {given!r}; its speakers are {', '.join(map(repr, names))}."
            )
        return {given}
    return {name for name in names if name.lower() in usual}


def _of_file(passages: Iterator[tuple[str, Passage]], sound: str) -> list[Passage]:
    """The passages of the file that a sound file's name ends with."""
    found = list(passages)
    files = sorted({file for file, _ in found if file})
    if len(files) < 2:
        return [passage for _, passage in found]
    mine = [file for file in files if sound.endswith(file)]
    if not mine:
        raise TranscriptError(
            f"it is of the files {', '.join(files)}, and none of them is {sound!r}; name the sound "
            "file as the transcript does."
        )
    return [passage for file, passage in found if file == max(mine, key=len)]


def _passage(speaker: str, start: float, end: float, text: str, where: str) -> Passage:
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
        raise TranscriptError(
            f"{where} goes from {start:g} to {end:g} s; it must end after it starts."
        )
    return Passage(speaker.strip(), start, end, " ".join(text.split()))


def _json(text: str) -> Iterator[tuple[str, Passage]]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TranscriptError(f"it is not JSON: {error}.") from None
    if isinstance(plain, dict):
        plain = next((plain[name] for name in _LISTS if isinstance(plain.get(name), list)), None)
    if not isinstance(plain, list):
        raise TranscriptError(
            "it must be a list of objects with start, end, text and speaker, or have one under "
            f"{', '.join(_LISTS)}."
        )
    for number, entry in enumerate(plain, 1):
        where = f"passage {number}"
        if not isinstance(entry, dict):
            raise TranscriptError(f"{where} is {entry!r}; it must be an object.")
        start = _number(entry, ("start", "at", "begin"), where)
        end = _number(entry, ("end", "stop"), where, start + _ENDLESS_SECS)
        said = entry.get("text", "")
        if not isinstance(said, str):
            raise TranscriptError(f"{where}: text is {said!r}; it must be a text.")
        speaker = next((str(entry[name]) for name in _SPEAKER_FIELDS if name in entry), "")
        yield "", _passage(speaker, start, end, said, where)


def _number(
    entry: Mapping[str, Any], names: Sequence[str], where: str, default: float | None = None
) -> float:
    value = next((entry[name] for name in names if entry.get(name) is not None), default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TranscriptError(f"{where}: {names[0]} is {value!r}; it must be a number of seconds.")
    return float(value)


def _cues(text: str) -> Iterator[tuple[str, Passage]]:
    for number, block in enumerate(re.split(r"\n\s*\n", text.replace("\r\n", "\n")), 1):
        match = _CUE.search(block)
        if match is None:
            continue  # the head, a note, a style
        start, end = (
            3600 * int(hours or 0) + 60 * int(minutes) + float(secs.replace(",", "."))
            for hours, minutes, secs in (match.groups()[:3], match.groups()[3:])
        )
        said = block[match.end() :].partition("\n")[2]
        voice, named = _VOICE.search(said), _NAMED.match(said.strip())
        speaker = voice[1] if voice else ""
        said = _TAG.sub("", said)
        if not voice and named:
            speaker, said = named[1], named[2]
        yield "", _passage(speaker, start, end, said, f"cue {number}")


def _stm(text: str) -> Iterator[tuple[str, Passage]]:
    for number, line in _lines(text):
        words = line.split(None, 5)
        if len(words) < 5:
            raise TranscriptError(
                f"line {number} is {line!r}; it must be: file channel speaker start end words."
            )
        start, end = (_seconds(word, number) for word in words[3:5])
        said = words[5] if len(words) > 5 else ""
        if said.startswith("<"):  # labels, such as <o,f0,male>
            said = said.partition(">")[2]
        if said.strip() != "IGNORE_TIME_SEGMENT_IN_SCORING":
            yield words[0], _passage(words[2], start, end, said, f"line {number}")


def _rttm(text: str) -> Iterator[tuple[str, Passage]]:
    for number, line in _lines(text):
        words = line.split()
        if words[0] != "SPEAKER":
            continue
        if len(words) < 8:
            raise TranscriptError(
                f"line {number} is {line!r}; it must be: SPEAKER file channel start seconds <NA> "
                "<NA> speaker."
            )
        start, secs = (_seconds(word, number) for word in words[3:5])
        yield words[1], _passage(words[7], start, start + secs, "", f"line {number}")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(";;"):
            yield number, line.strip()


def _seconds(word: str, number: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise TranscriptError(f"line {number}: {word!r} is no number of seconds.") from None
