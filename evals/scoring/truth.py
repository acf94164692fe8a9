"""Ground truth of calls: what the caller did, and what the agent should have done."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.scoring.intervals import Interval

KINDS = ("question", "backchannel", "noise", "background", "bargein", "courtesy")
"""Kinds of utterances; docs/metrics/README.md defines them."""

TAKES_TURN = ("question", "bargein", "courtesy")
"""The kinds that the agent must answer, unless the truth says otherwise."""

DECISIONS = ("respond", "escalate", "")

SHIPPED_TRUTH = Path(__file__).parents[1] / "corpus" / "truth.toml"
"""The truth of the corpus that ships."""

_REQUIRED = object()

EARLY_SECS = 0.2
"""How far before a replay's cut between two utterances the second one may begin."""


class TruthError(ValueError):
    """A truth file cannot be used; the text names the call, the field and what is allowed."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance or noise of the caller's side.

    Parameters:
        kind: One of :data:`KINDS`.
        text: The words; empty for noise.
        start: Its start, in seconds of the recording.
        end: The end of its last word, in seconds of the recording.
        pauses: Silences within it in which the agent must not take over.
        over_agent: Whether it begins while the agent speaks, in the recording.
        takes_turn: Whether the agent must answer it.
        decision: ``respond``, ``escalate``, or empty if either is right.
        sections: Ids of which a right answer cites at least one, or one above or below it.
        says: Facts that a right answer says; ``|`` separates forms of one fact.
        never: Texts that a right answer does not say.
        expect: What a right answer is, in words for a judge.
        sensitive: Whether it must be refused as sensitive.
        snr_db: The signal-to-noise ratio; ``None`` for clean audio.
    """

    kind: str
    text: str
    start: float
    end: float
    pauses: tuple[Interval, ...] = ()
    over_agent: bool = False
    takes_turn: bool = True
    decision: str = ""
    sections: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    expect: str = ""
    sensitive: bool = False
    snr_db: float | None = None

    def moved(self, start: float, end: float, pauses: Sequence[Interval]) -> "Utterance":
        """A copy at other times."""
        return replace(self, start=start, end=max(start, end), pauses=tuple(pauses))


@dataclass(frozen=True, slots=True)
class CallTruth:
    """The truth of one call.

    Parameters:
        file: The recording's file name.
        title: A short title.
        tags: What it is an example of.
        voice: The caller's voice.
        utterances: The utterances, in order.
        goal: What the caller wanted of the call, in words.
        reached: Facts that they have heard once it is reached; ``|`` separates forms of one fact.
        wrong_idea: Something false that they believed and said.
        corrected: Facts that its correction says; ``|`` likewise.
    """

    file: str
    title: str
    tags: tuple[str, ...]
    voice: str
    utterances: tuple[Utterance, ...]
    goal: str = ""
    reached: tuple[str, ...] = ()
    wrong_idea: str = ""
    corrected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Truth:
    """A truth file.

    Parameters:
        calls: The calls, by name of the recording.
    """

    calls: Mapping[str, CallTruth]

    def find_call(self, *names: str) -> CallTruth | None:
        """Find the truth of a recording by one of its names."""
        return next((self.calls[name] for name in names if name in self.calls), None)

    @classmethod
    def for_folder(cls, folder: Path, given: Path | None = None) -> "Truth | None":
        """The truth for a folder's calls: the given file, the folder's, or the one that ships.

        Raises:
            TruthError: As :meth:`load`.
        """
        beside = (folder / "truth.toml", SHIPPED_TRUTH)
        path = given or next((candidate for candidate in beside if candidate.exists()), None)
        return cls.load(path) if path is not None else None

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Read a truth file.

        Raises:
            TruthError: It cannot be read or is invalid.
        """
        try:
            plain = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise TruthError(f"{path} cannot be read: {error.strerror or error}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TruthError(f"{path} is not TOML: {error}.") from None
        unknown = sorted(set(plain) - {"call"})
        if unknown:
            raise TruthError(f"{path}: {unknown[0]!r} is unknown; it holds [[call]] tables only.")
        calls: dict[str, CallTruth] = {}
        for number, table in enumerate(_tables(plain, "call", str(path)), 1):
            call = _call(table, f"{path}: call {number}")
            if call.file in calls:
                raise TruthError(f"{path}: file {call.file!r} is there twice; name each call once.")
            calls[call.file] = call
        return cls(calls)


def _tables(plain: Mapping[str, Any], name: str, where: str) -> list[Mapping[str, Any]]:
    tables = plain.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(entry, dict) for entry in tables):
        raise TruthError(f"{where}: {name} must be tables, each under [[{name}]].")
    return tables


def _call(table: Mapping[str, Any], where: str) -> CallTruth:
    fields = _Fields(table, where)
    file = fields.text("file")
    if not file or Path(file).name != file:
        raise TruthError(f"{where}: file is {file!r}; it must be a file's name without a folder.")
    where = f"{where} ({file})"
    utterances = tuple(
        _utterance(entry, f"{where}, utterance {number}")
        for number, entry in enumerate(_tables(table, "utterance", where), 1)
    )
    starts = [utterance.start for utterance in utterances]
    if starts != sorted(starts):
        raise TruthError(f"{where}: its utterances are not in order; sort them by start.")
    call = CallTruth(
        file=file,
        title=fields.text("title", ""),
        tags=fields.texts("tags"),
        voice=fields.text("voice", ""),
        utterances=utterances,
        goal=fields.text("goal", "").strip(),
        reached=fields.facts("reached"),
        wrong_idea=fields.text("wrong_idea", "").strip(),
        corrected=fields.facts("corrected"),
    )
    fields.no_more("utterance")
    return call


def _utterance(table: Mapping[str, Any], where: str) -> Utterance:
    fields = _Fields(table, where)
    kind = fields.one_of("kind", KINDS)
    start, end = fields.number("start"), fields.number("end")
    if not 0 <= start < end:
        raise TruthError(f"{where}: it goes from {start} to {end}; it must end after it starts.")
    found = Utterance(
        kind=kind,
        text=fields.text("text", ""),
        start=start,
        end=end,
        pauses=fields.pauses(start, end),
        over_agent=fields.truth("over_agent", default=False),
        takes_turn=fields.truth("takes_turn", default=kind in TAKES_TURN),
        decision=fields.one_of("decision", DECISIONS, ""),
        sections=fields.texts("sections"),
        says=fields.facts("says"),
        never=fields.facts("never"),
        expect=fields.text("expect", "").strip(),
        sensitive=fields.truth("sensitive", default=False),
        snr_db=fields.number("snr_db", None),
    )
    if found.decision == "escalate" and (found.says or found.never or found.expect):
        raise TruthError(
            f"{where}: decision is 'escalate', and says, never and expect are of an answer; "
            "keep one."
        )
    if found.takes_turn and not found.text.strip():
        raise TruthError(f"{where}: text is empty, and takes_turn says that it is answered.")
    fields.no_more()
    return found


def _is_number(value: object) -> bool:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return known and math.isfinite(value)  # type: ignore[arg-type]


class _Fields:
    """Reads the fields of a table and refuses unknown ones."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._table = table
        self._where = where
        self._asked: set[str] = set()

    def no_more(self, *others: str) -> None:
        unknown = sorted(set(self._table) - self._asked - set(others))
        if unknown:
            allowed = ", ".join(sorted(self._asked | set(others)))
            raise TruthError(f"{self._where}: {unknown[0]} is unknown; allowed: {allowed}.")

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        value = self._take(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def one_of(self, name: str, allowed: Sequence[str], default: Any = _REQUIRED) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise self._wrong(name, value, f"one of {', '.join(map(repr, allowed))}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self._wrong(name, value, "a list of texts")
        return tuple(value)

    def facts(self, name: str) -> tuple[str, ...]:
        found = self.texts(name)
        if not all(fact.strip(" |") for fact in found):
            raise self._wrong(name, list(found), "a list of texts, none of them empty")
        return found

    def truth(self, name: str, *, default: bool) -> bool:
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def number(self, name: str, default: Any = _REQUIRED) -> Any:
        value = self._take(name, default)
        if value is default:
            return value
        if not _is_number(value):
            raise self._wrong(name, value, "a number")
        return float(value)

    def pauses(self, start: float, end: float) -> tuple[Interval, ...]:
        value = self._take("pauses", [])
        wanted = f"pairs of seconds within {start} and {end}, such as [[7.0, 7.6]]"
        if not isinstance(value, list):
            raise self._wrong("pauses", value, wanted)
        found: list[Interval] = []
        for pair in value:
            two = isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))
            if not two or not start <= pair[0] < pair[1] <= end:
                raise self._wrong("pauses", pair, wanted)
            found.append(Interval(float(pair[0]), float(pair[1])))
        return tuple(sorted(found))

    def _take(self, name: str, default: Any) -> Any:
        self._asked.add(name)
        value = self._table.get(name, default)
        if value is _REQUIRED:
            raise TruthError(f"{self._where}: {name} is missing.")
        return value

    def _wrong(self, name: str, value: object, allowed: str) -> TruthError:
        return TruthError(f"{self._where}: {name} is {value!r}; it must be {allowed}.")
