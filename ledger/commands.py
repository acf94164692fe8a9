"""The ``viva ledger`` commands: list calls, turns and spend, and erase callers."""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.log.listing import (
    Column,
    Row,
    format_dollars,
    format_minute,
    print_csv,
    print_json,
    print_table,
)
from settings import Settings, SettingsError
from terminal import confirm, fail

if TYPE_CHECKING:
    from ledger.store.database import Database

app = typer.Typer(
    help="List calls, turns and spend, and erase callers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_AGO_SECS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

Since = Annotated[
    str,
    typer.Option(
        metavar="WHEN",
        help="From then on: an ISO date or time (UTC unless it names a zone), such as "
        "2026-11-24, or how long ago: 90m, 24h, 7d, 2w.",
    ),
]
Until = Annotated[str, typer.Option(metavar="WHEN", help="Before then; same format.")]
OfCaller = Annotated[
    str,
    typer.Option(
        "--caller", metavar="WHO", help="Of this caller: an address, or a network without sign-in."
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print a list of objects: all columns, costs in micro-dollars."),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the same as CSV, with a header.")]


@app.command(
    epilog="""\b
Examples:
  viva ledger calls --since 24h
  viva ledger calls --caller ada@example.com --json | jq 'map(.cost) | add'"""
)
def calls(
    *,
    since: Since = "",
    until: Until = "",
    caller: OfCaller = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List calls, oldest first.

    Who called, for how long, why it ended, and what it cost.
    """
    from ledger.log import query

    columns = [
        Column("began (UTC)", lambda call: format_minute(call["started_at"])),
        Column("call", lambda call: call["id"]),
        Column("caller", lambda call: call["caller"] or call["caller_key"]),
        Column("length", _length, number=True),
        Column("turns", lambda call: str(call["turns"]), number=True),
        Column("cost", lambda call: format_dollars(call["cost"]), number=True),
        Column("ended", lambda call: call["why"] or "in progress"),
    ]
    with _ledger() as database:
        rows = query.each_call(
            database, since=parse_time(since), until=parse_time(until), caller=caller
        )
        _print(rows, query.CALL_COLUMNS, columns, as_json=as_json, as_csv=as_csv)


@app.command(
    epilog="""\b
Examples:
  viva ledger turns --call c-0123456789abcdef
  viva ledger turns --since 7d --json | jq '.[] | select(.decision == "escalate")'"""
)
def turns(
    *,
    since: Since = "",
    until: Until = "",
    caller: OfCaller = "",
    call: Annotated[str, typer.Option(metavar="ID", help="Of this call.")] = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List turns, oldest first.

    What was asked, how it was decided, how fast the answer was heard, and what it cost.
    """
    from ledger.log import query

    columns = [
        Column("at (UTC)", lambda turn: format_minute(turn["at"])),
        Column("call", lambda turn: turn["call"]),
        Column("turn", lambda turn: str(turn["number"]), number=True),
        Column("question", lambda turn: turn["question"], prose=True),
        Column("decision", lambda turn: turn["decision"] or "none"),
        Column("why", lambda turn: turn["reason"] or turn["confidence"] or ""),
        Column("sections", lambda turn: " ".join(turn["sections"]), prose=True),
        Column("latency", _latency, number=True),
        Column("cost", lambda turn: format_dollars(turn["cost"]), number=True),
    ]
    with _ledger() as database:
        rows = query.each_turn(
            database,
            since=parse_time(since),
            until=parse_time(until),
            caller=caller,
            call=call.strip(),
        )
        _print(rows, query.TURN_COLUMNS, columns, as_json=as_json, as_csv=as_csv)


@app.command(
    epilog="""\b
Examples:
  viva ledger spend --since 7d
  viva ledger spend --csv > spend.csv"""
)
def spend(
    *,
    since: Since = "",
    until: Until = "",
    caller: OfCaller = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the spend of each day.

    The cost of each UTC day's calls by stage, and what is reserved for open calls. A call belongs
    to the day of its admission. Spent and reserved together never exceed DAILY_SPEND_CAP_USD.
    """
    from ledger.log import query

    with _ledger() as database:
        rows = query.daily_spend(
            database, since=parse_time(since), until=parse_time(until), caller=caller
        )
    if len(rows) > 1 and not (as_json or as_csv):
        summed = [name for name in query.SPEND_COLUMNS if name != "day"]
        whole = {name: sum(row[name] for row in rows) for name in summed}
        rows = [*rows, {"day": "total"} | whole]
    columns = [
        Column("day (UTC)", lambda row: row["day"]),
        Column("calls", lambda row: str(row["calls"]), number=True),
        Column("turns", lambda row: str(row["turns"]), number=True),
        Column("speech to text", lambda row: format_dollars(row["stt_cost"]), number=True),
        Column("brain", lambda row: format_dollars(row["brain_cost"]), number=True),
        Column("text to speech", lambda row: format_dollars(row["tts_cost"]), number=True),
        Column("spent", lambda row: format_dollars(row["spent"]), number=True),
        Column("held", lambda row: format_dollars(row["held"]), number=True),
    ]
    _print(rows, query.SPEND_COLUMNS, columns, as_json=as_json, as_csv=as_csv)


@app.command()
def delete(
    caller: Annotated[
        str, typer.Option(metavar="WHO", help="Whose: an address, or a network without sign-in.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase everything known of a caller.

    Their calls and turns, account, sign-ins, mails, recordings, and questions for a person; this
    cannot be undone. viva ledger spend no longer counts their calls; DAILY_SPEND_CAP_USD still
    does, without a name. Your backups are not changed.
    """
    from ledger.erasure import erase_caller
    from ledger.log import query
    from ledger.store.database import database_of

    if not caller.strip():
        raise typer.BadParameter("--caller is empty; name whose calls are to be erased.")
    with _ledger() as database:
        typer.echo(f"Database: {database_of(_settings())}", err=True)
        found = query.list_calls(database, caller=caller)
        if not yes:
            typer.echo(
                f"{caller} has {len(found)} calls with {sum(call['turns'] for call in found)} "
                "turns. They will be erased, with everything else known of that caller."
            )
            if not confirm("Erase permanently?"):
                typer.echo("Nothing was erased.")
                raise typer.Exit(1)
        try:
            erased = asdict(erase_caller(database, _settings().data_dir, caller))
        except OSError as error:
            raise fail(
                f"{error.filename}: {error.strerror}. Some files may have been erased, but not the "
                "calls; fix the file and erase again."
            ) from None
    notes = {name: erased.pop(name) for name in ("open_calls", "waiting", "rules")}
    removed = ", ".join(f"{count} {name}" for name, count in erased.items() if count)
    typer.echo(f"Erased: {removed}." if removed else f"Nothing is known of {caller}.")
    if notes["open_calls"]:
        typer.echo("One of their calls is in progress and still being recorded: erase again later.")
    if notes["waiting"]:
        typer.echo("Records are still waiting for the database: erase again once they are written.")
    if notes["rules"]:
        typer.echo(f"The access list still names {caller}: see viva accounts list.")


def parse_time(text: str, *, now: float | None = None) -> float | None:
    """Parse a point in time: a date or time, or how long ago.

    Args:
        text: An ISO date or time, in UTC if it has no zone, or a number and ``m``, ``h``, ``d`` or
            ``w``; empty for none.
        now: Unix seconds; the system clock by default.

    Raises:
        typer.BadParameter: The text is neither.
    """
    text = text.strip()
    if not text:
        return None
    if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        now = time.time() if now is None else now
        return max(0.0, now - int(ago[1]) * _AGO_SECS[ago[2]])
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a date or time, such as 2026-11-24 or 2026-11-24T12:30, nor a "
            "time ago, such as 90m, 24h, 7d or 2w."
        ) from None
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


@contextmanager
def _ledger() -> "Iterator[Database]":
    from sqlalchemy.exc import SQLAlchemyError

    from ledger.store.database import Database, DatabaseError

    try:
        database = Database.open(_settings())
    except DatabaseError as error:
        raise fail(str(error)) from None
    try:
        yield database
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise fail(f"the database could not be used: {reason}. Try again.") from None
    finally:
        database.close()


def _settings() -> Settings:
    try:
        return Settings.load()
    except SettingsError as error:
        raise fail(str(error)) from None


def _print(
    rows: Iterable[Row],
    names: tuple[str, ...],
    columns: list[Column],
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; choose one.")
    if as_json:
        print_json(rows, names)
    elif as_csv:
        print_csv(rows, names)
    elif listed := list(rows):
        print_table(listed, columns)
    else:
        typer.echo("No matching records.")


def _length(call: Row) -> str:
    if call["ended_at"] is None:
        return ""
    secs = max(0, round(call["ended_at"] - call["started_at"]))
    return f"{secs // 60}:{secs % 60:02}"


def _latency(turn: Row) -> str:
    return "" if turn["e2e_latency"] is None else f"{turn['e2e_latency'] * 1000:.0f} ms"
