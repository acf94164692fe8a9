"""Files of questions with the expected replies: TOML, or YAML in the form of ``pipecat eval``.

docs/evaluating.md describes both.
"""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals.scoring.expectation import DECISIONS, Expectation

OLDER_DECISIONS: Mapping[str, str] = {"answer": "respond", "unanswerable": "escalate"}
"""Former names of two decisions, which are still read."""

MAX_FILE_BYTES = 10_000_000
"""Longest file of questions."""

_EXPECTED = ("says", "never", "sections", "decision", "criterion", "within_secs")
_SHORTER: Mapping[str, str] = {"section": "sections", "not": "never"}
_QUESTION = ("ask", "after", "name", "document", "expect")
_FILE = ("kind", "document", "questions")


class QuestionsError(ValueError):
    """A file of questions cannot be used; the text names question, field and allowed values."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a scenario.

    Parameters:
        ask: The question; ``None`` for the greeting, which is heard first.
        expectations: What is expected of the reply.
    """

    ask: str | None
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One conversation: turns that follow each other.

    Parameters:
        name: Its name, unique in its file.
        turns: The turns.
        document: The document's file; ``None`` for that of the command.
        file: Its file.
        stop_on_failure: Whether the turns after a failed one are left out.
    """

    name: str
    turns: tuple[Turn, ...]
    document: Path | None = None
    file: str = ""
    stop_on_failure: bool = True

    @property
    def needs_judge(self) -> bool:
        """Whether a judge must rule on a criterion."""
        return any(expected.criterion for turn in self.turns for expected in turn.expectations)


def load(path: Path) -> tuple[Scenario, ...]:
    """Read the scenarios of a file, ``.toml``, ``.yaml`` or ``.yml``.

    Raises:
        QuestionsError: It cannot be read, or is invalid.
    """
    kinds = {".toml": _of_toml, ".yaml": _of_yaml, ".yml": _of_yaml}
    if path.suffix not in kinds:
        raise QuestionsError(f"{path}: a file of questions ends in one of {', '.join(kinds)}.")
    try:
        if not path.is_file():
            raise QuestionsError(f"{path}: there is no such file.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise QuestionsError(f"{path}: it is over {MAX_FILE_BYTES // 1_000_000} MB.")
        scenarios = kinds[path.suffix](path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise QuestionsError(f"{path} cannot be read: {reason}.") from None
    return tuple(replace(scenario, file=str(path)) for scenario in _named_once(scenarios))


def _named_once(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Number the scenarios that have a name twice."""
    names = [scenario.name for scenario in scenarios]
    seen: dict[str, int] = {}
    found = []
    for scenario in scenarios:
        seen[scenario.name] = at = seen.get(scenario.name, 0) + 1
        more = names.count(scenario.name) > 1
        found.append(replace(scenario, name=f"{scenario.name} ({at})") if more else scenario)
    return found


# TOML.


def _of_toml(path: Path) -> list[Scenario]:
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise QuestionsError(f"{path} is not TOML: {error}.") from None
    _known(plain, _FILE, str(path))
    questions = plain.get("questions")
    if not isinstance(questions, list) or not questions:
        raise QuestionsError(
            f"{path}: questions is {_short(questions)}; it must be tables, each under "
            '[[questions]], such as ask = "Where did she study?" and says = ["Porto"].'
        )
    common = _document(plain, path, str(path))
    return [
        _question(question, path, f"{path}: question {number}", common)
        for number, question in enumerate(questions, 1)
    ]


def _question(question: Any, path: Path, where: str, common: Path | None) -> Scenario:
    if not isinstance(question, dict):
        raise QuestionsError(f"{where} is {_short(question)}; it must be a table with ask.")
    _known(question, (*_QUESTION, *_EXPECTED, *_SHORTER), where)
    ask = _text(question, "ask", where)
    if not ask:
        raise QuestionsError(f"{where}: ask is missing or empty; it is what a caller would say.")
    where = f"{where} ({ask[:40]})"
    turns = [Turn(before) for before in _texts(question, "after", where)]
    plain = {name: value for name, value in question.items() if name not in _QUESTION}
    expect = question.get("expect")
    if isinstance(expect, str):
        expect = {"criterion": expect}
    if expect is not None and not isinstance(expect, dict):
        raise QuestionsError(
            f"{where}: expect is {_short(expect)}; it must be a criterion in words, or a table "
            f"of {', '.join(_EXPECTED)}."
        )
    if twice := sorted(plain.keys() & (expect or {}).keys()):
        raise QuestionsError(f"{where}: {twice[0]} stands beside expect and in it; keep one.")
    return Scenario(
        name=_text(question, "name", where)
        or " / ".join([*(turn.ask or "" for turn in turns), ask]),
        turns=(*turns, Turn(ask, (_expectation({**plain, **(expect or {})}, where),))),
        document=_document(question, path, where) or common,
    )


def _expectation(plain: Mapping[str, Any], where: str) -> Expectation:
    """What a question's fields expect; the decision is an answer unless they say otherwise."""
    _known(plain, (*_EXPECTED, *_SHORTER), f"{where}: expect")
    fields = dict(plain)
    for shorter, name in _SHORTER.items():
        if shorter in fields:
            if name in fields:
                raise QuestionsError(f"{where}: {shorter} and {name} are the same; keep one.")
            fields[name] = fields.pop(shorter)
    decision = _text(fields, "decision", where) or "respond"
    decision = OLDER_DECISIONS.get(decision, decision)
    if decision not in DECISIONS:
        raise QuestionsError(
            f"{where}: decision is {decision!r}; it must be one of {', '.join(DECISIONS)}."
        )
    return Expectation(
        says=_texts(fields, "says", where),
        never=_texts(fields, "never", where),
        sections=_texts(fields, "sections", where),
        decision=decision,
        criterion=_text(fields, "criterion", where),
        within_secs=_seconds(fields, "within_secs", where),
    )


def _document(table: Mapping[str, Any], path: Path, where: str) -> Path | None:
    """The document that a table names, beside the file that names it."""
    named = _text(table, "document", where)
    return path.parent / named if named else None


# YAML, as pipecat's evals have it.

_EVENTS = ("response", "llm_response", "user_transcription", "function_call")
_OURS = ("says", "never", "sections", "decision", "criterion")
_TOOLS = ("respond", "escalate")


def _of_yaml(path: Path) -> list[Scenario]:
    import yaml
    from pipecat.evals.scenario import EvalScenarioFile
    from pipecat.evals.script import EvalScriptScenario
    from pipecat.utils.yaml import include_loader

    try:
        loaded = EvalScenarioFile.load(path)
        # Pipecat drops the fields that are Viva's own, so they are read beside it.
        plain = yaml.load(path.read_text("utf-8"), include_loader(path.parent))
    except yaml.YAMLError as error:
        raise QuestionsError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise QuestionsError(f"{path} is no scenario of pipecat's evals: {error}") from None
    entries = plain.get("scenarios") or [plain]
    scenarios = []
    for scenario, entry in zip(loaded.scenarios, entries, strict=True):
        where = f"{path}: {scenario.name}"
        if not isinstance(scenario, EvalScriptScenario):
            raise QuestionsError(f"{where}: it has a persona; only scripted turns can be asked.")
        if scenario.user_audio or scenario.bot_audio:
            raise QuestionsError(
                f"{where}: its modality is audio; text is what is asked here. Leave out "
                "user.modality and judge.modality."
            )
        turns = {**plain, **entry}["turns"]
        common = {**plain, **entry}
        scenarios.append(
            Scenario(
                name=scenario.name,
                turns=tuple(
                    _turn(turn, raw, f"{where}, turn {number}", first=number == 1)
                    for number, (turn, raw) in enumerate(zip(scenario.turns, turns, strict=True), 1)
                ),
                document=_document(common, path, where),
                stop_on_failure=scenario.stop_on_failure,
            )
        )
    return scenarios


def _turn(turn: Any, raw: Mapping[str, Any], where: str, *, first: bool) -> Turn:
    """Convert a turn of pipecat's."""
    for name in ("dtmf", "send_after", "image", "audio", "parts"):
        if getattr(turn, name) is not None:
            raise QuestionsError(f"{where}: {name} cannot be had in writing; leave it out.")
    if turn.user is None and not first:
        raise QuestionsError(
            f"{where}: user is missing; only the first turn, the greeting, has none."
        )
    entries = raw.get("expect") or []
    return Turn(
        turn.user,
        tuple(
            _of_event(expected, entry, f"{where}, expectation {number}", turn.user)
            for number, (expected, entry) in enumerate(zip(turn.expect, entries, strict=True), 1)
        ),
    )


def _of_event(expected: Any, entry: Mapping[str, Any], where: str, user: str | None) -> Expectation:
    """Convert an expectation of pipecat's: an event, and what holds of it."""
    if expected.event not in _EVENTS or expected.absent:
        event = f"absent {expected.event}" if expected.absent else expected.event
        raise QuestionsError(
            f"{where}: event is {event!r}; in writing there are {', '.join(_EVENTS)}."
        )
    within_secs = None if expected.within_ms is None else expected.within_ms / 1000
    if expected.event == "user_transcription":
        wanted = expected.text_contains
        if wanted is not None and " ".join(wanted.split()) not in " ".join((user or "").split()):
            raise QuestionsError(f"{where}: text_contains is {wanted!r}, which user does not say.")
        return Expectation()
    if expected.event == "function_call":
        return replace(_of_calls(expected.calls or [], where), within_secs=within_secs)
    ours = _expectation({name: entry[name] for name in _OURS if name in entry}, where)
    return replace(
        ours,
        # A reply is one whatever it decides, unless the file says otherwise.
        decision=ours.decision if "decision" in entry else "",
        contains=_one(expected.text_contains),
        excludes=_one(expected.text_excludes),
        criterion=expected.eval or ours.criterion,
        within_secs=within_secs,
    )


def _of_calls(calls: Sequence[Any], where: str) -> Expectation:
    """Convert the expectation of a call of ``respond`` or ``escalate``, which are the decisions."""
    names = [call.name for call in calls if call.name is not None]
    if unknown := sorted(set(names) - set(_TOOLS)):
        raise QuestionsError(
            f"{where}: function_call is of {unknown[0]!r}; allowed: {', '.join(_TOOLS)}."
        )
    if len(names) != 1:
        raise QuestionsError(f"{where}: function_call must name one of {', '.join(_TOOLS)}.")
    (call,) = (call for call in calls if call.name is not None)
    given = call.args or {}
    _known(given, ("sections", "reason"), f"{where}: args")
    if given.get("reason") not in (None, "sensitive"):
        raise QuestionsError(f"{where}: reason is {given['reason']!r}; allowed: sensitive.")
    return Expectation(
        decision="sensitive" if given.get("reason") else call.name,
        sections=_texts(given, "sections", where),
    )


def _one(text: str | None) -> tuple[str, ...]:
    return () if text is None else (text,)


# Fields.


def _known(table: Mapping[str, Any], allowed: Collection[str], where: str) -> None:
    if unknown := sorted(set(map(str, table)) - set(allowed)):
        raise QuestionsError(f"{where}: {unknown[0]} is unknown; allowed: {', '.join(allowed)}.")


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise QuestionsError(f"{where}: {name} is {_short(value)}; it must be a text.")
    return value.strip()


def _texts(table: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    """A list of texts, or one text."""
    value = table.get(name, [])
    if value == "":
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(
        isinstance(text, str) and text.strip(" |") for text in texts
    ):
        raise QuestionsError(
            f"{where}: {name} is {_short(value)}; it must be a list of texts, none of them empty."
        )
    return tuple(text.strip() for text in texts)


def _seconds(table: Mapping[str, Any], name: str, where: str) -> float | None:
    value = table.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 3600:
        raise QuestionsError(
            f"{where}: {name} is {_short(value)}; it must be seconds, over 0 and under 3600."
        )
    return float(value)


def _short(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
