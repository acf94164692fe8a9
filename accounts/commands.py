"""The ``viva accounts`` commands: who may sign in, and who is signed in."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session as Db

from accounts import access
from accounts.access import Access
from accounts.sign_in import links, sessions
from accounts.sign_in.authenticator import REMEMBER_SECS
from conversation.wording import counted
from ledger.store.database import Database, DatabaseError, database_of
from settings import Settings, SettingsError
from terminal import confirm, fail, output

app = typer.Typer(
    help="Who may sign in, and who is signed in.", no_args_is_help=True, rich_markup_mode=None
)

Patterns = Annotated[
    list[str], typer.Argument(help="Addresses, or domains such as @example.com.", metavar="WHO...")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


@app.command()
def allow(who: Patterns) -> None:
    """Let addresses or domains sign in."""
    _rule(_patterns(who), allowed=True)


@app.command()
def deny(who: Patterns) -> None:
    """Deny addresses or domains, whatever else allows them, and end their sessions.

    An address stands for its mailbox: name@ and name+anything@ are one (see SUBADDRESSES).
    A call in progress is not cut off. It does not ask, for it must not wait in an emergency;
    forget takes it back.
    """
    names = _patterns(who)
    _tell_database(_sessions_of(names))
    _rule(names, allowed=False)


@app.command()
def forget(who: Patterns, *, yes: Yes = False) -> None:
    """Delete the allow or deny rules for addresses or domains."""
    names = _patterns(who)
    with _reading() as db:
        rules = {rule.pattern: rule.allowed for rule in access.list_rules(db)}
    known = [name for name in names if name in rules]
    if known and not yes:
        told = {True: "a rule that allows it", False: "a rule that denies it"}
        _ask("Delete these rules?", [f"{name}: {told[rules[name]]}" for name in known])
    dropped = []
    if known:
        with _writing() as db:
            dropped = [name for name in known if access.delete_rule(db, name)]
    for name in names:
        typer.echo(f"{name}: {'rule deleted' if name in dropped else 'no such rule'}")


@app.command()
def revoke(who: Patterns, *, yes: Yes = False) -> None:
    """End the sessions of addresses or domains, and expire their links.

    They may sign in again, unless they are denied.
    """
    names = _patterns(who)
    if not yes:
        _ask("End these sessions, and expire their links?", _sessions_of(names))
    subaddressing = _access(_settings()).subaddressing
    now = time.time()
    ended = {}
    with _writing() as db:
        for name in names:
            links.expire_links(db, name, now=now, subaddressing=subaddressing)
            ended[name] = sessions.end_sessions(db, name, now=now, subaddressing=subaddressing)
    for name, number in ended.items():
        typer.echo(f"{name}: {counted(number, 'session')} ended")
    typer.echo(f"Takes effect within {REMEMBER_SECS:.0f} seconds; open calls are not cut off.")


@app.command("list")
def show(as_json: Json = False) -> None:
    """Show who may sign in, and which browsers are signed in."""
    settings = _settings()
    given = _access(settings)
    with _database(settings) as database, database.reading() as db:
        rules = access.list_rules(db)
        signed_in = sessions.open_sessions(db, now=time.time())
    said = [(name, True, "ADMINS") for name in sorted(given.admins)]
    said += [(name, True, "ALLOW") for name in sorted(given.allow)]
    said += [(rule.pattern, rule.allowed, "rule") for rule in rules]
    if as_json:
        names = ("who", "allowed", "by")
        found = {
            "rules": [dict(zip(names, row, strict=True)) for row in said],
            "sessions": [asdict(session) for session in signed_in],
        }
        typer.echo(json.dumps(found, indent=2))
        return
    if not said:
        typer.echo(
            "Nobody may sign in yet: set ALLOW or ADMINS, or run viva accounts allow ADDRESS."
        )
    _print(
        ("who", "may sign in", "by"),
        [(name, "yes" if allowed else "no", by) for name, allowed, by in said],
    )
    _print(
        ("signed in", "since", "last seen", "until"),
        [
            (row.email, _day(row.since), _day(row.last_seen_at), _day(row.expires_at))
            for row in signed_in
        ],
    )


def _sessions_of(names: list[str]) -> list[str]:
    """How many open sessions each name has, in words."""
    subaddressing = _access(_settings()).subaddressing
    now = time.time()
    with _reading() as db:
        numbers = {
            name: sessions.count_sessions(db, name, now=now, subaddressing=subaddressing)
            for name in names
        }
    return [f"{name}: {counted(number, 'open session')}" for name, number in numbers.items()]


def _tell_database(acted_on: list[str]) -> None:
    typer.echo(f"Database: {database_of(_settings())}", err=True)
    for line in acted_on:
        typer.echo(line, err=True)


def _ask(question: str, acted_on: list[str]) -> None:
    """Say which database is changed and what in it, and ask; ends the command at a no."""
    _tell_database(acted_on)
    if not confirm(question):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(1)


def _rule(names: list[str], *, allowed: bool) -> None:
    mailbox = _access(_settings()).subaddressing.mailbox
    with _writing() as db:
        for name in names:
            access.set_rule(db, name, allowed=allowed, now=time.time())
        rules = access.list_rules(db)
    denied = {mailbox(rule.pattern): rule.pattern for rule in rules if not rule.allowed}
    for name in names:
        by = denied.get("@" + name.rpartition("@")[2]) or denied.get(mailbox(name))
        if allowed and by:
            typer.echo(f"{name}: may not sign in as long as {by} is denied")
        else:
            typer.echo(f"{name}: {'may sign in' if allowed else 'may not sign in'}")


def _patterns(who: list[str]) -> list[str]:
    try:
        return [access.normalize_pattern(entry) for entry in who]
    except ValueError as error:
        raise fail(f"{error}.") from None


def _access(settings: Settings) -> Access:
    try:
        return Access.from_settings(settings)
    except SettingsError as error:
        raise fail(str(error)) from None


def _settings() -> Settings:
    try:
        return Settings.load()
    except SettingsError as error:
        raise fail(str(error)) from None


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    """Open the database for the length of a command."""
    try:
        database = Database.open(settings)
    except DatabaseError as error:
        raise fail(str(error)) from None
    try:
        yield database
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise fail(f"the database cannot be used: {cause}. Try again.") from None
    finally:
        database.close()


@contextmanager
def _reading() -> Iterator[Db]:
    with _database(_settings()) as database, database.reading() as db:
        yield db


@contextmanager
def _writing() -> Iterator[Db]:
    settings = _settings()
    typer.echo(f"Database: {database_of(settings)}", err=True)
    with _database(settings) as database, database.writing() as db:
        yield db


def _print(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    output(highlight=True).print(table)


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
