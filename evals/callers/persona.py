"""Personas: who a simulated caller is and what they want, read from TOML files.

docs/evaluating.md describes the file.
"""

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evals.scoring.truth import DECISIONS

MAX_FILE_BYTES = 1_000_000
"""Largest persona file."""

MAX_TEXT = 2_000
"""Longest text of a field, in characters."""

MAX_LINES = 50
"""Largest number of lines of a script."""

BEDS = ("line", "crowd", "babble")
"""Kinds of background noise that are made; see :mod:`evals.corpus.beds`."""

LINE_KINDS = ("question", "courtesy")

Leader = Literal["script", "model"]

_PERSONA = (
    "name", "goal", "reached", "manner", "reaction_secs", "most_turns", "voice", "patience",
    "interruptions", "backchannels", "background", "wrong_idea", "say",
)  # fmt: skip
_NAME = re.compile(r"[\w-]+")


class PersonaError(ValueError):
    """A persona cannot be used; the text names the file, the field, its value, what is allowed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a persona's script, and what a right answer to it is.

    Parameters:
        text: The words.
        kind: ``question``, or ``courtesy`` such as thanks.
        decision: ``respond``, ``escalate``, or empty if either is right.
        sections: Ids of which a right answer cites one.
        says: Facts that a right answer says; ``|`` separates forms of one fact.
        never: Texts that a right answer does not say.
        expect: What a right answer is, in words for a judge.
        sensitive: Whether it must be refused as sensitive.
    """

    text: str
    kind: str = "question"
    decision: str = ""
    sections: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    expect: str = ""
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """Whose voice a persona has.

    Parameters:
        vendor: The vendor of text to speech, as in ``TTS``.
        name: The voice's name, where the document names it (the embedded voice).
        pitch: Semitones by which the voice is raised; it is quicker by as much, as a smaller
            person's.
        settings: Further settings of the vendor, such as ``cartesia_voice_id``, and their values.
    """

    vendor: str = "hibari"
    name: str = ""
    pitch: float = 0.0
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a persona waits for an answer to begin.

    Parameters:
        secs: Seconds.
        says: What is said when they are over, in turn.
        times: How often that is said before the persona hangs up.
    """

    secs: float = 12.0
    says: tuple[str, ...] = ("Hello?", "Are you still there?")
    times: int = 2


@dataclass(frozen=True, slots=True)
class Habit:
    """Something that a persona does in a share of the agent's answers.

    Parameters:
        share: The share, 0 to 1.
        after_secs: Shortest and longest time after the answer's first sound.
        says: What is said; one of them each time.
        once_heard: Whether it waits until the answer has said what a right one says.
    """

    share: float = 0.0
    after_secs: tuple[float, float] = (1.0, 2.5)
    says: tuple[str, ...] = ()
    once_heard: bool = False


@dataclass(frozen=True, slots=True)
class Background:
    """What sounds behind a persona throughout the call.

    Parameters:
        kind: One of :data:`BEDS`; empty if it is a file.
        file: A WAV file, which is looped.
        snr_db: How far it lies below the persona's speech, in dB.
    """

    kind: str
    file: Path | None
    snr_db: float


@dataclass(frozen=True, slots=True)
class WrongIdea:
    """Something false that a persona believes, and the agent should correct.

    Parameters:
        believes: What it is, as a sentence.
        corrected: Facts that the correction says; ``|`` separates forms of one fact.
    """

    believes: str
    corrected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Persona:
    """A simulated caller.

    Parameters:
        id: The file's name without its ending; calls are named after it.
        name: Who they are.
        goal: What they want of the call, in words.
        reached: Facts that they have heard once the goal is reached; ``|`` separates forms.
        manner: How they speak, for a model that leads them.
        script: What they say, in order; empty if a model leads them.
        reaction_secs: Shortest and longest silence before they speak.
        most_turns: Largest number of turns, for a model that leads them.
        voice: Their voice.
        patience: How long they wait.
        interruptions: How often they talk over an answer and go on; ``says`` comes first.
        backchannels: How often they say "mm-hm" and the like while they listen.
        background: What sounds behind them.
        wrong_idea: What they are mistaken about.
    """

    id: str
    name: str
    goal: str
    reached: tuple[str, ...] = ()
    manner: str = ""
    script: tuple[Line, ...] = ()
    reaction_secs: tuple[float, float] = (0.4, 1.0)
    most_turns: int = 8
    voice: VoiceChoice = field(default_factory=VoiceChoice)
    patience: Patience = field(default_factory=Patience)
    interruptions: Habit = field(default_factory=Habit)
    backchannels: Habit = field(default_factory=Habit)
    background: Background | None = None
    wrong_idea: WrongIdea | None = None

    @property
    def leader(self) -> Leader:
        """Who decides what they say next."""
        return "script" if self.script else "model"


def load_all(paths: Collection[Path]) -> list[Persona]:
    """Read persona files, and all those of folders.

    Raises:
        PersonaError: One cannot be used, two have the same name, or there is none.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob("*.toml"))
            if not found:
                raise PersonaError(f"{path} has no personas (*.toml).")
            files += found
        else:
            files.append(path)
    personas: dict[str, Persona] = {}
    for file in files:
        persona = load(file)
        if persona.id in personas:
            raise PersonaError(
                f"{file}: there are two personas named {persona.id}; calls are named after the "
                "file, so rename one."
            )
        personas[persona.id] = persona
    if not personas:
        raise PersonaError("there is no persona; name a file or a folder of them.")
    return list(personas.values())


def load(path: Path) -> Persona:
    """Read a persona.

    Raises:
        PersonaError: It cannot be used.
    """
    if path.suffix != ".toml":
        raise PersonaError(f"{path}: a persona's file ends in .toml.")
    if not _NAME.fullmatch(path.stem):
        raise PersonaError(
            f"{path}: its name is {path.stem!r}; calls are named after it, so it must be of "
            "letters, digits, - and _."
        )
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PersonaError(f"{path}: it is over {MAX_FILE_BYTES // 1_000_000} MB.")
        plain = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PersonaError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PersonaError(f"{path} is not TOML: {error}.") from None
    return _persona(plain, path)


def _persona(plain: Mapping[str, Any], path: Path) -> Persona:
    fields = _Table(plain, str(path), _PERSONA)
    default = Persona(path.stem, "", "")
    script = tuple(
        _line(table, f"{path}: say {number}")
        for number, table in enumerate(fields.tables("say"), 1)
    )
    if len(script) > MAX_LINES:
        raise fields.wrong("say", f"{len(script)} lines", f"up to {MAX_LINES}")
    goal = fields.text("goal")
    if not goal:
        raise PersonaError(f"{path}: goal is missing; it says what the caller wants, in words.")
    return Persona(
        id=path.stem,
        name=fields.text("name") or path.stem,
        goal=goal,
        reached=fields.texts("reached"),
        manner=fields.text("manner"),
        script=script,
        reaction_secs=fields.span("reaction_secs", default.reaction_secs, most=30.0),
        most_turns=fields.whole("most_turns", default.most_turns, least=1, most=MAX_LINES),
        voice=_voice(fields.table("voice", ("vendor", "name", "pitch", "settings"))),
        patience=_patience(fields.table("patience", ("secs", "says", "times"))),
        interruptions=_habit(fields, "interruptions", (), "once_heard"),
        backchannels=_habit(fields, "backchannels", ("Mm-hm.", "Right.", "Okay.")),
        background=_background(fields.optional("background", ("kind", "file", "snr_db")), path),
        wrong_idea=_wrong_idea(fields.optional("wrong_idea", ("believes", "corrected"))),
    )


def _line(plain: Mapping[str, Any], where: str) -> Line:
    fields = _Table(
        plain,
        where,
        ("text", "kind", "decision", "sections", "says", "never", "expect", "sensitive"),
    )
    line = Line(
        text=fields.text("text"),
        kind=fields.one_of("kind", LINE_KINDS, "question"),
        decision=fields.one_of("decision", DECISIONS, ""),
        sections=fields.texts("sections"),
        says=fields.texts("says"),
        never=fields.texts("never"),
        expect=fields.text("expect"),
        sensitive=fields.truth("sensitive"),
    )
    if not any(map(str.isalnum, line.text)):
        raise fields.wrong("text", line.text, "words to say")
    if line.decision == "escalate" and (line.says or line.never or line.expect):
        raise PersonaError(
            f"{where}: decision is 'escalate', and says, never and expect are of an answer; keep "
            "one."
        )
    return line


def _voice(fields: "_Table") -> VoiceChoice:
    default = VoiceChoice()
    settings = fields.plain.get("settings", {})
    if not isinstance(settings, dict) or not all(
        isinstance(value, (str, int, float)) and not isinstance(value, bool)
        for value in settings.values()
    ):
        raise fields.wrong("settings", settings, 'a table such as { cartesia_voice_id = "…" }')
    return VoiceChoice(
        vendor=fields.text("vendor") or default.vendor,
        name=fields.text("name"),
        pitch=fields.number("pitch", default.pitch, least=-12.0, most=12.0),
        settings=tuple(sorted((name.lower(), str(value)) for name, value in settings.items())),
    )


def _patience(fields: "_Table") -> Patience:
    default = Patience()
    return Patience(
        secs=fields.number("secs", default.secs, least=1.0, most=120.0),
        says=fields.texts("says") or default.says,
        times=fields.whole("times", default.times, least=0, most=20),
    )


def _habit(persona: "_Table", name: str, says: tuple[str, ...], *more: str) -> Habit:
    fields = persona.table(name, ("share", "after_secs", "says", *more))
    default = Habit()
    return Habit(
        share=fields.number("share", default.share, least=0.0, most=1.0),
        after_secs=fields.span("after_secs", default.after_secs, most=60.0),
        says=fields.texts("says") or says,
        once_heard=fields.truth("once_heard"),
    )


def _background(fields: "_Table | None", path: Path) -> Background | None:
    if fields is None:
        return None
    kind, file = fields.one_of("kind", ("", *BEDS), ""), fields.text("file")
    if bool(kind) == bool(file):
        raise PersonaError(
            f"{fields.where}: it has {'both' if kind else 'neither'} kind and file; one is needed: "
            f"kind, one of {', '.join(BEDS)}, or file, a WAV file."
        )
    return Background(
        kind=kind,
        file=path.parent / file if file else None,
        snr_db=fields.number("snr_db", 15.0, least=-20.0, most=80.0),
    )


def _wrong_idea(fields: "_Table | None") -> WrongIdea | None:
    if fields is None:
        return None
    believes = fields.text("believes")
    if not believes:
        raise fields.wrong("believes", "", "what the caller wrongly believes, as a sentence")
    return WrongIdea(believes, fields.texts("corrected"))


class _Table:
    """A table of a persona file, whose fields are checked as they are read."""

    def __init__(self, plain: Mapping[str, Any], where: str, allowed: Collection[str]) -> None:
        self.plain = plain
        self.where = where
        if unknown := sorted(set(plain) - set(allowed)):
            raise PersonaError(f"{where}: {unknown[0]} is unknown; allowed: {', '.join(allowed)}.")

    def wrong(self, name: str, value: object, allowed: str) -> PersonaError:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
        return PersonaError(f"{self.where}: {name} is {shown}; it must be {allowed}.")

    def text(self, name: str) -> str:
        value = self.plain.get(name, "")
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise self.wrong(name, value, f"a text of up to {MAX_TEXT} characters")
        return " ".join(value.split())

    def one_of(self, name: str, allowed: Collection[str], default: str) -> str:
        value = self.plain.get(name, default)
        if value not in allowed:
            raise self.wrong(name, value, f"one of {', '.join(filter(None, allowed))}")
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.plain.get(name, [])
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(
            isinstance(text, str) and text.strip(" |") and len(text) <= MAX_TEXT for text in texts
        ):
            raise self.wrong(name, value, "a list of texts, none of them empty")
        return tuple(" ".join(text.split()) for text in texts)

    def truth(self, name: str) -> bool:
        value = self.plain.get(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self.plain.get(name, default)
        if not _is_number(value) or not least <= value <= most:
            raise self.wrong(name, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self.plain.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(name, value, f"a whole number from {least} to {most}")
        return value

    def span(self, name: str, default: tuple[float, float], *, most: float) -> tuple[float, float]:
        value = self.plain.get(name, list(default))
        pair = [value, value] if _is_number(value) else value
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(map(_is_number, pair))
            or not 0 <= pair[0] <= pair[1] <= most
        ):
            raise self.wrong(
                name, value, f"seconds, or a shortest and a longest from 0 to {most:g}, as [1, 2.5]"
            )
        return float(pair[0]), float(pair[1])

    def tables(self, name: str) -> list[Mapping[str, Any]]:
        value = self.plain.get(name, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.wrong(name, value, f"tables, each under [[{name}]]")
        return value

    def table(self, name: str, allowed: Collection[str]) -> "_Table":
        value = self.plain.get(name, {})
        if not isinstance(value, dict):
            raise self.wrong(name, value, f"a table, under [{name}]")
        return _Table(value, f"{self.where}: {name}", allowed)

    def optional(self, name: str, allowed: Collection[str]) -> "_Table | None":
        return self.table(name, allowed) if name in self.plain else None


def _is_number(value: object) -> bool:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return known and math.isfinite(value)  # type: ignore[arg-type]
