"""``viva call``: how a call went is its exit status, and only a recorded call has a truth."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from client.caller import Caller, CallerError, HeardCall, HeardTurn
from tests.conftest import AUDIO


def called(monkeypatch: pytest.MonkeyPatch, heard: HeardCall, *options: str) -> tuple[int, str]:
    async def call(_self: Caller) -> HeardCall:
        return heard

    monkeypatch.setattr(Caller, "call", call)
    done = CliRunner().invoke(cli.app, ["call", "--text", "Where?", *options])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("decision", "ended", "status"),
    [("respond", "hangup", 0), ("escalate", "cap", 0), ("respond", "fault", 1), (None, "cap", 1)],
)
def test_a_call_that_breaks_off_or_is_not_answered_has_failed(
    monkeypatch: pytest.MonkeyPatch, decision: str | None, ended: str, status: int
) -> None:
    turn = HeardTurn("Where?", decision=decision, e2e_latency_ms=900.0)
    assert called(monkeypatch, HeardCall([turn], call="c-1", ended=ended))[0] == status


@pytest.mark.parametrize("recorded", [True, False])
def test_only_a_call_that_is_recorded_has_a_truth(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recorded: bool
) -> None:
    turn = HeardTurn("Where?", decision="respond", e2e_latency_ms=900.0)
    heard = HeardCall([turn], call="c-1", ended="hangup", recorded=recorded)
    path = tmp_path / "truth.toml"
    status, told = called(monkeypatch, heard, "--truth", str(path))
    assert path.exists() == recorded
    assert status == (0 if recorded else 1)
    assert ("is not recorded: the server records calls with RECORD=all" in told) != recorded


async def test_a_caller_to_whom_nobody_answers_is_told_what_to_do() -> None:
    with pytest.raises(CallerError, match=r"nobody answers at ws://127\.0\.0\.1:9/call .* running"):
        await Caller("ws://127.0.0.1:9/call", [AUDIO / "where-studied.wav"]).call()
