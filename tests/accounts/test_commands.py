"""``viva accounts``: who may sign in, and who is."""

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from accounts.commands import app
from accounts.sign_in import links, sessions
from ledger.store.database import Database
from tests.accounts.house import ADA, GRACE


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's settings, for the test's own database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ALLOW", "@example.com")
    monkeypatch.setenv("ADMINS", "root@example.com")


def viva(*words: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == status, done.output
    return done


def listed() -> list[tuple[str, bool, str]]:
    found = json.loads(viva("list", "--json").output)
    return [(rule["who"], rule["allowed"], rule["by"]) for rule in found["rules"]]


@pytest.mark.usefixtures("settings")
def test_rules_are_made_replaced_and_dropped() -> None:
    given = [("root@example.com", True, "ADMINS"), ("@example.com", True, "ALLOW")]
    assert listed() == given
    viva("allow", "Ada@Example.NET", "@example.org")
    viva("deny", GRACE)
    rules = [("@example.org", True, "rule"), ("ada@example.net", True, "rule")]
    assert listed() == [*given, *rules, (GRACE, False, "rule")]
    viva("allow", GRACE)
    assert listed() == [*given, *rules, (GRACE, True, "rule")]
    assert viva("forget", "--yes", GRACE, "x@y").stdout == (
        f"{GRACE}: rule deleted\nx@y: no such rule\n"
    )
    assert listed() == [*given, *rules]
    assert "ada@example.net" in viva("list").output


@pytest.mark.usefixtures("settings")
def test_it_is_said_that_a_denial_of_the_domain_wins() -> None:
    assert viva("deny", "@example.net").stdout == "@example.net: may not sign in\n"
    said = viva("allow", "ada@example.net").stdout
    assert said == "ada@example.net: may not sign in as long as @example.net is denied\n"


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("command", ["allow", "deny", "forget", "revoke"])
def test_what_names_nobody_is_refused_and_nothing_is_done(command: str) -> None:
    refused = viva(command, "ada@example.net", "example.net", status=2)
    assert "'example.net' is neither an address such as name@example.com" in refused.output
    assert len(listed()) == 2


@pytest.mark.usefixtures("settings")
def test_sessions_are_listed_and_ended(database: Database) -> None:
    now = time.time()
    with database.writing() as db:
        for email in (ADA, ADA, GRACE):
            sessions.create_session(db, email, secs=3600, now=now)
        sessions.create_session(db, "late@example.com", secs=-1, now=now)
        token = links.create_link(db, ADA, now=now, browser="b" * 64)
    found = json.loads(viva("list", "--json").output)["sessions"]
    assert [row["email"] for row in found] == [ADA, ADA, GRACE]
    assert found[0] == {
        "email": ADA, "since": now, "last_seen_at": now, "expires_at": now + 3600,
    }  # fmt: skip
    assert f"{ADA}: 2 sessions ended" in viva("revoke", "--yes", ADA).output
    assert f"{ADA}: 0 sessions ended" in viva("revoke", "--yes", ADA).output
    left = json.loads(viva("list", "--json").output)["sessions"]
    assert [row["email"] for row in left] == [GRACE]
    with database.writing() as db, pytest.raises(links.LinkError, match="expired"):
        links.redeem_link(db, token, browser="b" * 64, loopback=True, now=time.time())
    assert "@example.com: 1 session ended" in viva("revoke", "--yes", "@example.com").output


def test_a_database_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://viva@127.0.0.1:1/none")
    refused = viva("list", status=2)
    assert "viva: The database" in refused.output
    assert "Check DATABASE_URL" in refused.output


def test_nobody_may_sign_in_at_first(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert "Nobody may sign in yet: set ALLOW or ADMINS" in viva("list").output


@pytest.mark.usefixtures("settings")
def test_what_takes_something_away_says_from_whom_and_asks(database: Database) -> None:
    def answer(word: str, *words: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, words, input=word)
        return done.exit_code, done.stdout, done.stderr

    viva("allow", ADA)
    assert answer("", "forget", "x@y") == (0, "x@y: no such rule\n", "")
    status, _, said = answer("n\n", "forget", ADA, "x@y")
    assert status == 1
    assert "Database: " in said
    assert f"{ADA}: a rule that allows it\nDelete these rules? [y/N]" in said
    status, _, said = answer("", "revoke", ADA)  # nobody is there to be asked
    assert status == 2
    assert f"{ADA}: 0 open sessions\n" in said
    assert "Give --yes" in said
    assert (ADA, True, "rule") in listed()


@pytest.mark.usefixtures("settings")
def test_who_is_denied_is_denied_at_once(database: Database) -> None:
    viva("allow", ADA)
    done = CliRunner().invoke(app, ["deny", ADA], input="")
    assert done.exit_code == 0
    assert done.stdout == f"{ADA}: may not sign in\n"
    assert "Database: " in done.stderr
    assert f"{ADA}: 0 open sessions\n" in done.stderr
