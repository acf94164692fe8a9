"""What was said is forgotten when it is time, or when its caller asks; figures and money remain."""

import json
import os
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from conversation.frames import Check, LookedUp
from ledger import retention
from ledger.erasure import Erased, erase_caller
from ledger.log import query
from ledger.redaction import redact
from ledger.retention import Retention, Swept
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.spool import FOLDER, REFUSED, Spool
from ledger.store.tables import (
    AccessRule,
    CallerDay,
    OutboxMail,
    Session,
    SignInToken,
    SpendDay,
    Turn,
    User,
)
from settings import Settings
from tests.ledger.records import (
    ADA,
    DAY_SECS,
    JOE,
    NOON,
    TODAY,
    a_call,
    a_call_that_ended,
    a_turn,
    keep,
)

LONG_AGO = NOON - 91 * DAY_SECS
LATELY = NOON - 89 * DAY_SECS


def sweeping(database: Database, folder: Path, **settings: Any) -> Retention:
    return Retention(database, Settings.load(data_dir=folder, **settings), clock=lambda: NOON)


def turns_of(database: Database) -> list[Turn]:
    with database.reading() as session:
        return list(session.exec(select(Turn).order_by(Turn.call)))


def write(path: Path, text: str = "…", *, at: float = NOON) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def ask_a_person(folder: Path, call: str, question: str, at: float) -> None:
    line = {
        "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        "call": call,
        "turn": 1,
        "reason": "not in the CV",
        "question": question,
    }
    with (folder / "escalations.jsonl").open("a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_after_their_days_turns_keep_their_figures_alone(
    database: Database, tmp_path: Path
) -> None:
    said: dict[str, Any] = {
        "reason": "private",
        "checks": (Check("support", False, "Yale is not cited"),),
        "looked_up": (LookedUp("tool/hours", "Opening hours", "Ada comes at nine."),),
    }
    keep(
        database,
        a_call_that_ended("c-1", at=LONG_AGO),
        a_turn("c-1", at=LONG_AGO, **said),
        a_call_that_ended("c-2", at=LATELY),
        a_turn("c-2", at=LATELY, **said),
    )
    before = [turn.model_dump() for turn in turns_of(database)]
    assert sweeping(database, tmp_path).sweep() == Swept(turns=1)
    blanked, kept = (turn.model_dump() for turn in turns_of(database))
    assert kept == before[1]
    assert blanked == before[0] | {
        "question": "",
        "answer": "",
        "heard_text": "",
        "reason": "",
        "checks": [{"name": "support", "passed": False, "detail": ""}],
        "looked_up": [{"section": "tool/hours", "title": "Opening hours", "text": ""}],
    }
    assert [call["cost"] for call in query.list_calls(database)] == [1880, 1880]
    assert sweeping(database, tmp_path).sweep() == Swept()


def test_many_old_turns_are_blanked_bit_by_bit(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 4)
    keep(database, *(a_turn(number=number, at=LONG_AGO) for number in range(1, 11)))
    assert sweeping(database, tmp_path).sweep() == Swept(turns=10)
    assert {turn.question for turn in turns_of(database)} == {""}


def test_zero_days_are_for_good(database: Database, tmp_path: Path) -> None:
    keep(database, a_turn(at=0.0))
    write(tmp_path / "recordings" / "c-1.mcap", at=0.0)
    kept = sweeping(database, tmp_path, transcript_days=0, recording_days=0)
    assert kept.sweep() == Swept()
    assert turns_of(database)[0].question
    assert (tmp_path / "recordings" / "c-1.mcap").exists()


def test_how_often_somebody_was_admitted_is_kept_for_the_day(
    database: Database, tmp_path: Path
) -> None:
    days = ("2026-11-22", "2026-11-23", TODAY)
    with database.writing() as db:
        db.add_all(CallerDay(day=day, caller_key=ADA.key, admitted=1) for day in days)
    assert sweeping(database, tmp_path, transcript_days=0, recording_days=0).sweep() == Swept()
    with database.reading() as db:
        assert sorted(db.exec(select(CallerDay.day)).all()) == ["2026-11-23", TODAY]


def test_old_recordings_mails_and_questions_are_removed(database: Database, tmp_path: Path) -> None:
    for name, days in (("c-1.mcap", 31), ("c-1.wav", 31), ("c-2.mcap", 29)):
        write(tmp_path / "recordings" / name, at=NOON - days * DAY_SECS)
    for name, at in (("1.eml", LONG_AGO), ("2.eml", LATELY)):
        write(tmp_path / "outbox" / name, at=at)
    ask_a_person(tmp_path, "c-1", "What does Zoë earn?", LONG_AGO)
    ask_a_person(tmp_path, "c-2", "Her age?", LATELY)
    size = (tmp_path / "escalations.jsonl").stat().st_size
    swept = sweeping(database, tmp_path).sweep()
    assert swept == Swept(questions=1, mails=1, recordings=2)
    assert [file.name for file in (tmp_path / "recordings").iterdir()] == ["c-2.mcap"]
    assert [file.name for file in (tmp_path / "outbox").iterdir()] == ["2.eml"]
    questions = lines(tmp_path / "escalations.jsonl")
    assert [(question["call"], question["question"]) for question in questions] == [
        ("c-1", ""),
        ("c-2", "Her age?"),
    ]
    assert (tmp_path / "escalations.jsonl").stat().st_size == size


def test_records_that_were_refused_grow_old_too(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / FOLDER)
    monkeypatch.setattr("time.time", lambda: LONG_AGO)
    spool.reject(Entry.of_turn(a_turn("c-1")), "too long")
    monkeypatch.setattr("time.time", lambda: LATELY)
    spool.reject(Entry.of_turn(a_turn("c-2")), "too long")
    sweeping(database, tmp_path).sweep()
    old, new = lines(tmp_path / FOLDER / REFUSED)
    assert (old["why"], old["record"]) == ("", {})
    assert new["record"]["row"]["call"] == "c-2"


def test_what_cannot_be_removed_does_not_keep_the_rest(database: Database, tmp_path: Path) -> None:
    keep(database, a_turn(at=LONG_AGO))
    (tmp_path / "escalations.jsonl").mkdir()
    write(tmp_path / "recordings" / "c-1.mcap", at=LONG_AGO)
    assert sweeping(database, tmp_path).sweep() == Swept(turns=1, recordings=1)


def test_others_append_while_lines_are_redacted(tmp_path: Path) -> None:
    path = write(tmp_path / "lines.jsonl", '{"a": "ü"}\nno json\n{"a": 2}\n{"a": "cut')

    def redacted(value: Any) -> Any:
        with path.open("a") as file:
            file.write("")
        return {} if value in ({"a": "ü"}, "no json") else None

    assert redact(path, redacted) == 2
    assert path.read_text().splitlines() == ["{}" + " " * 9, "{}     ", '{"a": 2}', '{"a": "cut']
    assert redact(path, redacted) == 0
    with pytest.raises(ValueError, match="longer"):
        redact(path, lambda _value: "more than there was in the line")


def sign_in(database: Database, email: str) -> None:
    """All that the accounts know of somebody."""
    with database.writing() as db:
        user = User(email=email, created_at=NOON, last_seen_at=NOON)
        db.add(user)
        db.flush()
        assert user.id is not None
        rest: dict[str, Any] = {"created_at": NOON, "expires_at": NOON + 1}
        cookie = email.encode()
        db.add(Session(hash=cookie, user_id=user.id, last_seen_at=NOON, **rest))
        db.add(SignInToken(hash=cookie, email=email, browser_hash=b"1", **rest))
        db.add(AccessRule(pattern=email, allowed=True, created_at=NOON))


def mail(database: Database, folder: Path, call: str, recipient: str, about: str) -> None:
    """A mail in the outbox, and its copy as a file."""
    key = f"report:{call}:{recipient}"
    with database.writing() as db:
        db.add(
            OutboxMail(
                key=key,
                recipient=recipient,
                call=call,
                subject="A call",
                text=about,
                created_at=NOON,
                next_attempt_at=NOON,
            )
        )
    message = EmailMessage()
    message["To"] = f"Somebody <{recipient}>"
    message["Subject"] = "A call"
    message.set_content(f"{about}: zoë asked…", cte="base64")
    (folder / "outbox").mkdir(exist_ok=True)
    (folder / "outbox" / f"{call}-{recipient}.eml").write_bytes(message.as_bytes())


def rows(database: Database, table: type[Any]) -> int:
    with database.reading() as session:
        return len(session.exec(select(table)).all())


@pytest.fixture
def two_callers(database: Database, tmp_path: Path) -> Path:
    """Ada and Joe have called, and left traces everywhere; Joe's address ends like Ada's."""
    for caller, calls in ((ADA, ("c-1", "c-2")), (JOE, ("c-11",))):
        sign_in(database, caller.email)
        for call in calls:
            keep(
                database,
                a_call_that_ended(call, caller=caller),
                a_turn(call, 1, question=f"asked by {caller.email}"),
                a_turn(call, 2),
            )
            mail(database, tmp_path, call, caller.email, f"Your call {call}")
            mail(database, tmp_path, call, "admin@example.com", f"Call {call} of {caller.email}")
            ask_a_person(tmp_path, call, f"asked by {caller.email}", NOON)
            write(tmp_path / "recordings" / f"{call}.mcap")
            write(tmp_path / "recordings" / f"{call}.wav")
            Spool(tmp_path / FOLDER).reject(Entry.of_turn(a_turn(call, 3)), "too long")
    with database.writing() as db:
        db.add(SpendDay(day=TODAY, spent=9999))
        for caller in (ADA, JOE):
            db.add(CallerDay(day=TODAY, caller_key=caller.key, admitted=2))
    return tmp_path


def test_all_that_is_known_of_a_caller_is_removed_and_nothing_else(
    database: Database, two_callers: Path
) -> None:
    erased = erase_caller(database, two_callers, " ADA@example.com")
    assert erased == Erased(
        calls=2,
        turns=4,
        users=1,
        sessions=1,
        links=1,
        mails=4,
        letters=4,
        questions=2,
        refused=2,
        recordings=4,
        rules=1,
    )
    assert [call["id"] for call in query.list_calls(database)] == ["c-11"]
    assert [turn["call"] for turn in query.list_turns(database)] == ["c-11", "c-11"]
    kept = [rows(database, table) for table in (User, Session, SignInToken, OutboxMail, AccessRule)]
    assert kept == [1, 1, 1, 2, 2]
    assert {file.name for file in (two_callers / "recordings").iterdir()} == {
        "c-11.mcap",
        "c-11.wav",
    }
    assert {file.name for file in (two_callers / "outbox").iterdir()} == {
        "c-11-joe@example.com.eml",
        "c-11-admin@example.com.eml",
    }
    questions = lines(two_callers / "escalations.jsonl")
    assert [question["question"] for question in questions] == ["", "", "asked by joe@example.com"]
    refused = lines(two_callers / FOLDER / REFUSED)
    assert [bool(entry["record"]) for entry in refused] == [False, False, True]
    with database.reading() as session:
        assert session.exec(select(SpendDay.spent)).all() == [9999]
        assert session.exec(select(CallerDay.caller_key)).all() == [JOE.key]
    again = erase_caller(database, two_callers, "ada@example.com")
    assert again == Erased(rules=1)


def test_no_file_holds_what_was_erased(database: Database, two_callers: Path) -> None:
    erase_caller(database, two_callers, "ada@example.com")
    with database.writing() as session:
        session.exec(select(AccessRule).where(AccessRule.pattern == "ada@example.com"))
        session.delete(session.get_one(AccessRule, "ada@example.com"))
    database.truncate_log()
    files = [file for file in two_callers.rglob("*") if file.is_file()]
    assert any(b"joe@example.com" in file.read_bytes() for file in files)
    assert [file for file in files if b"ada@example.com" in file.read_bytes()] == []


def test_a_call_that_goes_on_is_erased_as_far_as_it_is_written(
    database: Database, tmp_path: Path
) -> None:
    keep(database, a_call("c-1"), a_turn("c-1"))
    assert erase_caller(database, tmp_path, ADA.email) == Erased(calls=1, turns=1, open_calls=1)
    keep(database, a_turn("c-1", 2), a_call_that_ended("c-1"))
    assert erase_caller(database, tmp_path, ADA.email) == Erased(calls=1, turns=1)


def test_records_that_wait_for_the_database_are_told_of(database: Database, tmp_path: Path) -> None:
    Spool(tmp_path / FOLDER).append([Entry.of_turn(a_turn())])
    assert erase_caller(database, tmp_path, ADA.email).waiting == 1


def test_callers_without_an_address_are_erased_by_their_network(
    database: Database, tmp_path: Path
) -> None:
    keep(database, a_turn("c-1"))  # of nobody, as its call is not written yet
    with pytest.raises(ValueError, match="caller is empty"):
        erase_caller(database, tmp_path, " ")
    assert len(query.list_calls(database)) == 1


def test_a_file_that_cannot_be_removed_keeps_the_calls_findable(
    database: Database, two_callers: Path
) -> None:
    (two_callers / "recordings" / "c-1.wav").unlink()
    (two_callers / "recordings" / "c-1.wav").mkdir()
    with pytest.raises(OSError, match=r"c-1\.wav"):
        erase_caller(database, two_callers, ADA.email)
    assert [call["id"] for call in query.list_calls(database, caller=ADA.email)] == ["c-1", "c-2"]
