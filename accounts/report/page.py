"""The report of one call, written from its ledger rows: turns, delays and costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from accounts.access import is_mailable
from accounts.report.words import (
    COLUMNS,
    DIED,
    format_time,
    median_or_none,
    milliseconds,
    percentile_95,
    why_it_ended,
    wrapped,
)
from accounts.templating import render
from conversation.wording import (
    NONE,
    REASONS,
    clean,
    counted,
    duration,
    failed_checks,
    split_heard,
)
from ledger.log.listing import format_dollars
from ledger.store.tables import Call, Turn

DELAYS = (
    ("transcription_delay", "transcript"),
    ("end_of_turn_delay", "end of turn"),
    ("llm_ttft", "first token"),
    ("llm_ttfs", "first sentence"),
    ("tts_ttfb", "first audio"),
    ("e2e_latency", "first sound"),
)
"""A turn's delays: field, and the event at the end of the delay."""

COUNTED_FROM = (
    "Transcript, end of turn and first sound are counted from the moment at which the question was "
    "over; first token and first sentence from the end of turn; first audio from the first "
    "sentence."
)

_FOUND = {True: "{} said that this was right.", False: "{} said that this was not right.", None: ""}

STAGES = (("stt", "hearing"), ("brain", "deciding"), ("tts", "speaking"))
"""The stages that cost money: field, and what the stage does."""


@dataclass(frozen=True, slots=True)
class Report:
    """A rendered report.

    Parameters:
        subject: One line.
        text: Plain text, at most 72 columns wide except for addresses.
        html: The same as HTML.
    """

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A turn as the report shows it.

    Parameters:
        number: Counts from 1.
        question: What the caller said.
        heard: The part of the answer that was heard.
        unheard: The rest of the answer.
        interrupted: Whether the caller interrupted the answer.
        verdict: The decision, with its confidence and sources.
        looked_up: What tools gave of those, which is in no document.
        checks: The failed checks, as text.
        found: What the caller said of the answer; empty if nothing.
    """

    number: int
    question: str
    heard: str
    unheard: str
    interrupted: bool
    verdict: str
    looked_up: tuple[str, ...]
    checks: tuple[str, ...]
    found: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question handed to a person.

    Parameters:
        number: Number of its turn.
        text: What the caller said.
        why: Why it was not answered.
    """

    number: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of figures.

    Parameters:
        name: Row heading.
        cells: The figures.
        sums: Whether this is a summary row.
    """

    name: str
    cells: tuple[str, ...]
    sums: bool = False


def render_report(
    call: Call,
    turns: Sequence[Turn],
    document_title: str = "",
    public_url: str = "",
    *,
    admin: bool = False,
    sections: Mapping[str, str] | None = None,
) -> Report:
    """Render the report of a call.

    The caller and the admins get the same turns and figures. The admins' report also names the
    caller, lists faults and failed checks, and links to the call's page.

    Args:
        call: The call.
        turns: Its turns in order; turn 0 holds the costs outside of turns.
        document_title: Title of the document; the one in the call's row by default.
        public_url: The server's address, for the link; no link without it.
        admin: Whether the report is for an admin.
        sections: Section titles by id; a section without a title is shown by its id.
    """
    title = clean(document_title or call.document) or "the document"
    spoken = [turn for turn in turns if turn.number > 0]
    told = [_exchange(turn, spoken, sections or {}, admin=admin) for turn in spoken]
    questions = [
        Question(
            turn.number,
            clean(turn.question) or "(no words)",
            _sentence(_reason(turn)),
        )
        for turn in spoken
        if _is_left(turn) and not _taken_up(turn, spoken)
    ]
    answers = sum(turn.decision == "respond" and not turn.withdrawn for turn in spoken)
    who = clean(call.caller) or "somebody who did not sign in"
    values: dict[str, Any] = {
        "admin": admin,
        "heading": f"A call from {who}" if admin else f"Your call about {title}",
        "summary": _summary(answers, len(questions)) if spoken else "nothing was said",
        "facts": _facts(call, turns, title, admin=admin),
        "answer_to": clean(_answer_to(call)),
        "answer_url": quote(_answer_to(call), safe="@"),
        "address_left": bool(call.reply_to),
        "questions": questions,
        "exchanges": told,
        "caller": "Caller" if admin else "You",
        "troubles": _troubles(turns) if admin else [],
        "delays": [name for _, name in DELAYS],
        "delay_rows": _delay_rows(spoken),
        "counted_from": COUNTED_FROM,
        "stages": [*(name for _, name in STAGES), "together"],
        "cost_rows": _cost_rows(turns) if any(turn.cost for turn in turns) else [],
        "engines": _engines(turns),
        "url": f"{public_url.rstrip('/')}/calls/{quote(call.id)}" if admin and public_url else "",
        "footer": _footer(call, admin=admin),
    }
    in_text = {"wrapped": wrapped, "figures": _table, "columns": COLUMNS}
    return Report(
        _subject(call, title, values["summary"], admin=admin),
        render("report.txt.j2", **values, **in_text),
        render("report.html.j2", **values),
    )


def digest_line(call: Call, turns: Sequence[Turn], *, public_url: str) -> str:
    """A call in a line of a digest, which names nobody."""
    begun = datetime.fromtimestamp(call.started_at, UTC)
    ended = why_it_ended(call.why, "the caller") if call.ended_at is not None else DIED
    questions = counted(sum(turn.number > 0 for turn in turns), "question")
    troubles = counted(len(_troubles(turns)), "problem")
    where = f"{public_url.rstrip('/')}/calls/{quote(call.id)}" if public_url else call.id
    return f"{begun:%Y-%m-%d %H:%M} UTC: {questions}, {troubles}; {ended}. {where}"


def _answer_to(call: Call) -> str:
    """The address at which the caller can be answered; empty if there is none."""
    return call.reply_to or (call.caller if is_mailable(call.caller) else "")


def _subject(call: Call, title: str, summary: str, *, admin: bool) -> str:
    who = clean(call.caller) or "somebody"
    return f"Call from {who}: {summary}" if admin else f"Your call about {title}: {summary}"


def _summary(answers: int, questions: int) -> str:
    handed = f"{counted(questions, 'question')} for a person"
    answered = counted(answers, "answer")
    if not questions:
        return answered
    return f"{handed}, {answered}" if answers else handed


def _facts(call: Call, turns: Sequence[Turn], title: str, *, admin: bool) -> list[str]:
    """When, how long, why it ended, about what, and what it cost."""
    if call.ended_at is None:
        last = max((turn.at for turn in turns), default=call.started_at)
        length, why = f"at least {duration(last - call.started_at)}", DIED
    else:
        length = duration(call.ended_at - call.started_at)
        who = "the caller" if admin else "you"
        why = why_it_ended(call.why, who)
    when = f"{format_time(call.started_at)}, for {length}. It ended because {why}."
    cost = sum(turn.cost for turn in turns)
    paid = "It cost" if admin else "It cost its host"
    spent = f"{paid} {format_dollars(cost)}." if cost else f"{paid} nothing."
    return [when, f"It was about {title}. {spent}" if admin else spent]


def _taken_up(turn: Turn, turns: Sequence[Turn]) -> bool:
    """Whether the caller went on before a word was heard, so that a later turn covers this one."""
    return turn.withdrawn and turn.number < turns[-1].number


def _exchange(
    turn: Turn, turns: Sequence[Turn], sections: Mapping[str, str], *, admin: bool
) -> Exchange:
    heard, unheard = split_heard(turn.answer, turn.heard_text)
    failed = failed_checks(turn.checks) if admin else []
    taken_up = _taken_up(turn, turns)
    return Exchange(
        number=turn.number,
        question=clean(turn.question),
        heard="" if taken_up else heard,
        unheard="" if taken_up else unheard,
        interrupted=turn.interrupted and not taken_up,
        verdict=_verdict(turn, sections, taken_up=taken_up),
        looked_up=() if taken_up else tuple(clean(given["text"]) for given in turn.looked_up or ()),
        checks=tuple(
            ": ".join(filter(None, (clean(str(check.get("name"))), clean(check.get("detail", "")))))
            for check in failed
        ),
        found="" if taken_up else _FOUND[turn.was_right].format("Caller" if admin else "You"),
    )


def _is_left(turn: Turn) -> bool:
    """Whether a person is to answer it: not what nobody has understood."""
    return turn.decision == "escalate" and turn.reason != "unclear"


def _verdict(turn: Turn, sections: Mapping[str, str], *, taken_up: bool) -> str:
    if taken_up:
        return f"Continued in turn {turn.number + 1} before any answer was heard."
    if turn.decision == "escalate" and not _is_left(turn):
        return "Not understood, and asked for again."
    if turn.decision == "escalate":
        return f"Handed to a person: {_reason(turn)}."
    if turn.decision is None:
        return "Ended before a decision."
    sure = f" with {turn.confidence} confidence" if turn.confidence else ""
    titles = {**sections, **{given["section"]: given["title"] for given in turn.looked_up or ()}}
    cited = ", ".join(clean(titles.get(section, section)) for section in turn.sections)
    return f"Answered{sure}, from {cited}." if cited else f"Answered{sure}, without a source."


def _reason(turn: Turn) -> str:
    return REASONS.get(turn.reason, clean(turn.reason) or "no reason was recorded")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _delay_rows(turns: Sequence[Turn]) -> list[Row]:
    """The delays of each turn, then their median and 95th percentile; empty if there are none."""
    columns = [
        [delay for turn in turns if (delay := getattr(turn, field)) is not None]
        for field, _ in DELAYS
    ]
    if not any(columns):
        return []
    rows = [
        Row(str(turn.number), tuple(milliseconds(getattr(turn, field)) for field, _ in DELAYS))
        for turn in turns
    ]
    return [
        *rows,
        Row("median", tuple(milliseconds(median_or_none(column)) for column in columns), sums=True),
        Row("p95", tuple(milliseconds(percentile_95(column)) for column in columns), sums=True),
    ]


def _cost_rows(turns: Sequence[Turn]) -> list[Row]:
    def row(name: str, of: Sequence[Turn], *, sums: bool = False) -> Row:
        by_stage = [sum(getattr(turn, f"{field}_cost") for turn in of) for field, _ in STAGES]
        total = sum(turn.cost for turn in of)
        return Row(name, tuple(format_dollars(micros) for micros in (*by_stage, total)), sums=sums)

    rows = [row(str(turn.number) if turn.number else NONE, [turn]) for turn in turns]
    return [*rows, row("call", turns, sums=True)]


def _troubles(turns: Sequence[Turn]) -> list[str]:
    """Errors and failovers, in the order of the turns."""
    told = []
    stages = dict(STAGES)
    for turn in turns:
        where = f"Turn {turn.number}" if turn.number else "Outside the turns"
        told += [f"{where}: {clean(error)}" for error in turn.errors]
        for failover in turn.failovers:
            failed, vendor, stage = (
                clean(failover.get(key, "")) for key in ("failed", "vendor", "stage")
            )
            told.append(f"{where}: {vendor} took over {stages.get(stage, stage)} from {failed}")
    return told


def _engines(turns: Sequence[Turn]) -> str:
    """The vendors and models of each stage, in the order in which they served."""
    told = []
    for field, work in STAGES:
        served = {
            _engine(getattr(turn, field), getattr(turn, f"{field}_model")): None
            for turn in turns
            if getattr(turn, field)
        }
        if served:
            told.append(f"{work} by {', then '.join(served)}")
    return _sentence(", ".join(told)) if told else ""


def _engine(vendor: str, model: str) -> str:
    return clean(model if model.startswith(vendor) else f"{vendor} {model}")


def _footer(call: Call, *, admin: bool) -> str:
    why = (
        "Sent to you because ADMINS lists your address."
        if admin
        else "Sent to you because you called. The answers were spoken by an AI, from a document."
    )
    return f"{why} Call {clean(call.id)}."


def _table(first: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """A plain-text table; its headings take two lines."""
    width = (COLUMNS - len("median ")) // len(columns)
    split = [name.rsplit(" ", 1) if " " in name else ["", name] for name in columns]
    lines = [("", *(upper for upper, _ in split)), (first, *(lower for _, lower in split))]
    lines += [(row.name, *row.cells) for row in rows]
    told = (f"{name:7}" + "".join(f"{cell:>{width}}" for cell in cells) for name, *cells in lines)
    return "\n".join(line.rstrip() for line in told if line.strip())
