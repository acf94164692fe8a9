"""The commands `viva ledger`, as they are typed."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner, Result

from conversation.records import CallerIdentity, StageCost
from ledger.commands import app, parse_time
from ledger.log import query
from ledger.store.database import Database
from tests.databases import of_engine
from tests.ledger.records import (
    ADA,
    DAY_SECS,
    JOE,
    NOON,
    a_call,
    a_call_that_ended,
    a_turn,
    keep,
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own: what is read of it is tested on both engines elsewhere."""
    yield from of_engine(request)


@pytest.fixture(autouse=True)
def surroundings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that the commands are typed in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("time.time", lambda: NOON + 120)


@pytest.fixture
def a_few_calls(database: Database) -> None:
    keep(
        database,
        a_call_that_ended("c-1", at=NOON - DAY_SECS, caller=JOE),
        a_turn("c-1", 1, at=NOON - DAY_SECS + 5.25, cost=StageCost(1, 2, 3)),
        a_call_that_ended("c-2"),
        a_turn("c-2", 1, at=NOON + 5, cost=StageCost(10, 20, 30), question="Is [red]it\x1b[2J?"),
        a_turn(
            "c-2",
            2,
            at=NOON + 20,
            cost=StageCost(100, 200, 300),
            decision="escalate",
            reason="not in the CV",
            confidence=None,
            e2e_latency=None,
        ),
        a_call("c-3", at=NOON + 60, caller=CallerIdentity(key="192.0.2.7")),
        a_turn("c-3", 1, at=NOON + 65, cost=StageCost(brain=1_234_567)),
    )


def viva(*arguments: str, said: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=said, env={"TERM": "dumb"})


def printed(*arguments: str) -> Any:
    result = viva(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def cells(*arguments: str) -> list[list[str]]:
    """The cells of a table, as its columns are wide apart."""
    result = viva(*arguments)
    assert result.exit_code == 0, result.output
    return [re.split(r"\s{2,}", line.strip()) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("a_few_calls")
def test_calls_are_shown_with_their_costs_in_dollars() -> None:
    assert cells("calls") == [
        ["began (UTC)", "call", "caller", "length", "turns", "cost", "ended"],
        ["2026-11-23 12:00", "c-1", "joe@example.com", "1:00", "1", "$0.000006", "hangup"],
        ["2026-11-24 12:00", "c-2", "ada@example.com", "1:00", "2", "$0.000660", "hangup"],
        ["2026-11-24 12:01", "c-3", "192.0.2.7", "1", "$1.234567", "in progress"],
    ]


@pytest.mark.usefixtures("a_few_calls")
def test_turns_are_shown_and_what_was_said_is_only_text() -> None:
    assert cells("turns", "--call", "c-2") == [
        ["at (UTC)", "call", "turn", "question", "decision", "why", "sections", "latency", "cost"],
        [
            *("2026-11-24 12:00", "c-2", "1", "Is [red]it [2J?", "respond", "high"),
            *("education", "1100 ms", "$0.000060"),
        ],
        [
            *("2026-11-24 12:00", "c-2", "2", "Where did she study?", "escalate"),
            *("not in the CV", "education", "$0.000600"),
        ],
    ]


@pytest.mark.usefixtures("a_few_calls")
def test_a_narrow_terminal_breaks_no_id_and_shows_questions_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert viva("turns", "--call", "c-2").stdout.splitlines() == [
        "at (UTC)         call turn decision why           latency      cost",
        "  question  sections",
        "2026-11-24 12:00 c-2     1 respond  high          1100 ms $0.000060",
        "  Is [red]it [2J?  education",
        "2026-11-24 12:00 c-2     2 escalate not in the CV         $0.000600",
        "  Where did she study?  education",
    ]


@pytest.mark.usefixtures("a_few_calls")
def test_the_money_of_days_is_shown_with_its_sum() -> None:
    shown = cells("spend")
    assert [row[0] for row in shown] == ["day (UTC)", "2026-11-23", "2026-11-24", "total"]
    assert shown[-1] == [
        *("total", "3", "4", "$0.000111", "$1.234789", "$0.000333", "$1.235233", "$0.000000"),
    ]
    assert len(cells("spend", "--since", "2026-11-24")) == 2


@pytest.mark.usefixtures("a_few_calls")
def test_programs_get_every_column_and_iso_times(database: Database) -> None:
    assert [tuple(row) for row in printed("calls")] == [query.CALL_COLUMNS] * 3
    assert [tuple(row) for row in printed("turns")] == [query.TURN_COLUMNS] * 4
    assert [tuple(row) for row in printed("spend")] == [query.SPEND_COLUMNS] * 2
    first = printed("calls")[0]
    assert first["started_at"] == "2026-11-23T12:00:00.000Z"
    assert first["ended_at"] == "2026-11-23T12:01:00.000Z"
    assert printed("calls")[2]["ended_at"] is None
    turn = printed("turns")[0]
    assert turn["at"] == "2026-11-23T12:00:05.250Z"
    raw = query.list_turns(database)[0]
    assert {name: value for name, value in turn.items() if name != "at"} == {
        name: value for name, value in raw.items() if name != "at"
    }


@pytest.mark.usefixtures("a_few_calls")
def test_the_sums_of_turns_calls_and_days_agree() -> None:
    turns, calls, days = printed("turns"), printed("calls"), printed("spend")
    for call in calls:
        assert call["cost"] == sum(turn["cost"] for turn in turns if turn["call"] == call["id"])
    for day in days:
        assert day["spent"] == sum(call["cost"] for call in calls if call["day"] == day["day"])
        assert day["spent"] == day["stt_cost"] + day["brain_cost"] + day["tts_cost"]


@pytest.mark.usefixtures("a_few_calls")
def test_csv_has_the_same_values_with_lists_as_json() -> None:
    for command in ("calls", "turns", "spend"):
        rows = list(csv.DictReader(io.StringIO(viva(command, "--csv").stdout)))
        wanted = printed(command)
        assert len(rows) == len(wanted)
        for row, want in zip(rows, wanted, strict=True):
            assert list(row) == list(want)
            for name, value in want.items():
                if isinstance(value, (list, bool)):
                    assert json.loads(row[name]) == value
                else:
                    assert row[name] == ("" if value is None else str(value))


def test_no_cell_is_a_formula_whoever_called_and_whatever_they_said(database: Database) -> None:
    run = """=cmd|' /C calc'!A0"""
    keep(
        database,
        a_call_that_ended("c-1", caller=CallerIdentity(email=f"{run}@example.com", key=run)),
        a_turn("c-1", 1, question=f"Hello;{run}", reason=f"\n{run}", sections=[f"a;{run}"]),
    )
    [call] = csv.DictReader(io.StringIO(viva("calls", "--csv").stdout))
    assert (call["caller"], call["caller_key"]) == (f"'{run}@example.com", f"'{run}")
    [turn] = csv.DictReader(io.StringIO(viva("turns", "--csv").stdout, newline=""))
    assert (turn["question"], turn["reason"]) == (f"Hello;'{run}", f"'\n'{run}")
    assert json.loads(turn["sections"]) == [f"a;'{run}"]


@pytest.mark.usefixtures("a_few_calls")
def test_since_until_and_caller_choose() -> None:
    def ids(*arguments: str) -> list[str]:
        return [call["id"] for call in printed("calls", *arguments)]

    assert ids("--since", "24h") == ["c-2", "c-3"]
    assert ids("--since", "25h") == ["c-1", "c-2", "c-3"]
    assert ids("--since", "2026-11-24T12:00:30") == ["c-3"]
    assert ids("--until", "2026-11-24T13:00+01:00") == ["c-1"]
    assert ids("--caller", "ADA@example.com") == ["c-2"]
    assert [turn["number"] for turn in printed("turns", "--caller", ADA.email)] == [1, 2]
    assert [day["calls"] for day in printed("spend", "--caller", ADA.email)] == [1]


def test_a_moment_is_a_time_or_how_long_ago_it_was() -> None:
    assert parse_time("", now=NOON) is None
    assert parse_time("90m", now=NOON) == NOON - 5400
    assert parse_time(" 2w ", now=NOON) == NOON - 14 * DAY_SECS
    assert parse_time("999999w", now=NOON) == 0.0
    assert parse_time("2026-11-24T12:00:00Z") == NOON
    assert parse_time("2026-11-24") == NOON - DAY_SECS / 2
    for wrong in ("yesterday", "7", "7 days", "2026-13-01", "-7d"):
        with pytest.raises(typer.BadParameter, match="7d"):
            parse_time(wrong)


def test_an_empty_ledger_is_said_to_be_empty() -> None:
    for command in ("calls", "turns", "spend"):
        assert viva(command).stdout == "No matching records.\n"
        assert printed(command) == []
        assert viva(command, "--csv").stdout.count("\n") == 1


def test_what_cannot_be_done_is_said_with_what_can(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = viva("calls", "--since", "yesterday")
    assert wrong.exit_code == 2
    assert "'yesterday' is neither a date or time" in wrong.stderr
    both = viva("calls", "--json", "--csv")
    assert both.exit_code == 2
    assert "exclude each other" in both.stderr
    monkeypatch.setenv("TRANSCRIPT_DAYS", "-1")
    settings = viva("calls")
    assert settings.exit_code == 2
    assert "TRANSCRIPT_DAYS='-1'" in settings.stderr


def test_a_database_that_is_newer_is_not_touched(database: Database) -> None:
    with database.writing() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused = viva("calls")
    assert refused.exit_code == 2
    assert "was made by a newer version of Viva" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.usefixtures("a_few_calls")
def test_erasing_a_caller_asks_first(database: Database, tmp_path: Path) -> None:
    (tmp_path / "data" / "recordings").mkdir(parents=True)
    (tmp_path / "data" / "recordings" / "c-2.mcap").write_text("…")
    refused = viva("delete", "--caller", ADA.email, said="n\n")
    assert refused.output.startswith("Database: "), "one must see which before one says yes"
    assert refused.exit_code == 1
    assert "ada@example.com has 1 calls with 2 turns." in refused.stdout
    assert "Nothing was erased." in refused.stdout
    unasked = viva("delete", "--caller", ADA.email, said="")
    assert (unasked.exit_code, "Give --yes" in unasked.stderr) == (2, True)
    assert len(query.list_calls(database)) == 3
    done = viva("delete", "--caller", ADA.email, said="y\n")
    assert done.exit_code == 0
    assert "Erased: 1 calls, 2 turns, 1 recordings." in done.stdout
    assert [call["id"] for call in query.list_calls(database)] == ["c-1", "c-3"]
    again = viva("delete", "--caller", ADA.email, "--yes")
    assert again.stdout == "Nothing is known of ada@example.com.\n"


@pytest.mark.usefixtures("a_few_calls")
def test_erasing_tells_what_it_cannot_reach() -> None:
    done = viva("delete", "--caller", "192.0.2.7", "--yes")
    assert done.stdout.splitlines() == [
        "Erased: 1 calls, 1 turns.",
        "One of their calls is in progress and still being recorded: erase again later.",
    ]
    assert viva("delete", "--caller", " ", "--yes").exit_code == 2
    assert viva("delete").exit_code == 2


@pytest.mark.usefixtures("a_few_calls")
def test_erasing_does_not_begin_where_a_file_is_in_the_way(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "data" / "recordings" / "c-2.mcap").mkdir(parents=True)
    refused = viva("delete", "--caller", ADA.email, "--yes")
    assert refused.exit_code == 2
    assert "c-2.mcap: Is a directory." in " ".join(refused.stderr.split())
    assert len(query.list_calls(database)) == 3


def test_help_teaches_by_examples() -> None:
    shown = viva("--help").stdout
    for command in ("calls", "turns", "spend", "delete"):
        assert command in shown
    assert "viva ledger calls --since 24h" in viva("calls", "--help").stdout
    assert "cannot be undone" in " ".join(viva("delete", "--help").stdout.split())
