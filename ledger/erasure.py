"""Erasure: removes everything known of a caller."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_
from sqlmodel import Session as Db
from sqlmodel import SQLModel, col, select

from ledger.log.query import of_caller, spellings
from ledger.redaction import redact, remove_mails
from ledger.store import spool
from ledger.store.database import Database
from ledger.store.tables import (
    AccessRule,
    Call,
    CallerDay,
    OutboxMail,
    Session,
    SignInToken,
    Turn,
    User,
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased of a caller, and what remains.

    Parameters:
        calls: Calls in the ledger.
        turns: Their turns.
        users: 1 if they had ever signed in.
        sessions: Their sign-in sessions.
        links: Their sign-in links.
        mails: Mails to them or about their calls, sent or not.
        letters: Mails in ``DATA_DIR/outbox`` that name them or their calls.
        questions: Their questions that waited for a person.
        refused: Records of their calls that the database had rejected.
        recordings: Recording files.
        open_calls: Their calls in progress, whose records will be written again.
        waiting: Files of records, of any caller, that wait for the database.
        rules: Access rules that name them; these remain.
    """

    calls: int = 0
    turns: int = 0
    users: int = 0
    sessions: int = 0
    links: int = 0
    mails: int = 0
    letters: int = 0
    questions: int = 0
    refused: int = 0
    recordings: int = 0
    open_calls: int = 0
    waiting: int = 0
    rules: int = 0


def erase_caller(database: Database, data_dir: Path, caller: str) -> Erased:
    """Remove everything known of a caller. Blocks.

    The cost of their calls stays in the day's spend, so that the daily cap still holds.

    Args:
        database: The ledger and the accounts.
        data_dir: The data directory.
        caller: An address, or another key that their calls are counted by; not empty.

    Returns:
        What was removed.

    Raises:
        ValueError: The caller is empty.
        OSError: A file cannot be removed; the database is unchanged.
        SQLAlchemyError: The database cannot be written, and is unchanged.
    """
    if not caller.strip():
        raise ValueError("caller is empty; name whose calls are to be erased")
    with database.reading() as db:
        calls = db.exec(select(Call.id).where(*of_caller(caller))).all()
    # Files first: they are found by the ids of the calls.
    files = _erase_files(data_dir, spellings(caller), calls)
    with database.writing() as db:
        rows = _erase_rows(db, caller)
    database.truncate_log()
    return Erased(**files, **rows)


def _erase_files(data_dir: Path, names: Sequence[str], calls: Sequence[str]) -> dict[str, int]:
    theirs = frozenset(calls)
    folder = data_dir / spool.FOLDER
    recordings = [
        file for call in calls for file in data_dir.glob(f"recordings/{glob.escape(call)}.*")
    ]
    for file in recordings:
        file.unlink(missing_ok=True)

    def question(line: Any) -> Any:
        match line:
            case {"call": str(call), "question": str()} if call in theirs:
                return line | {"reason": "", "question": ""}
        return None

    def refusal(line: Any) -> Any:
        match line:
            case {"record": {"row": dict(row)}} if not theirs.isdisjoint(
                (row.get("id"), row.get("call"))
            ) or any(row.get(column) in names for column in ("caller", "caller_key")):
                return line | {"why": "", "record": {}}
            case {"record": str(text)} if any(name in text for name in (*calls, *names)):
                return line | {"why": "", "record": {}}
        return None

    return {
        "recordings": len(recordings),
        "letters": remove_mails(data_dir / "outbox", (*names, *calls)),
        "questions": redact(data_dir / "escalations.jsonl", question),
        "refused": redact(folder / spool.REFUSED, refusal),
        "waiting": sum(
            file.is_file() and file.stat().st_size > 0 for file in folder.glob("pending-*")
        ),
    }


def _erase_rows(db: Db, caller: str) -> dict[str, int]:
    names = spellings(caller)
    # Lock the calls, so that writers of their turns wait until they are gone.
    calls = db.exec(select(Call).where(*of_caller(caller)).with_for_update()).all()
    theirs = select(Call.id).where(*of_caller(caller))
    users = select(User.id).where(col(User.email).in_(names))
    rules = select(func.count()).where(col(AccessRule.pattern).in_(names))
    _delete(db, CallerDay, col(CallerDay.caller_key).in_(names))
    return {
        "open_calls": sum(call.ended_at is None for call in calls),
        "turns": _delete(db, Turn, col(Turn.call).in_(theirs)),
        "mails": _delete(
            db,
            OutboxMail,
            or_(col(OutboxMail.recipient).in_(names), col(OutboxMail.call).in_(theirs)),
        ),
        "calls": _delete(db, Call, *of_caller(caller)),
        "sessions": _delete(db, Session, col(Session.user_id).in_(users)),
        "links": _delete(db, SignInToken, col(SignInToken.email).in_(names)),
        "users": _delete(db, User, col(User.email).in_(names)),
        "rules": db.exec(rules).one(),
    }


def _delete(db: Db, table: type[SQLModel], *which: ColumnElement[bool]) -> int:
    return cast(CursorResult[Any], db.execute(delete(table).where(*which))).rowcount
