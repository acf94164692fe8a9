"""What ``viva replay`` prints of the calls that it has replayed."""

from pathlib import Path
from typing import Any

import pytest

from evals.commands.replay import _print
from evals.replay.batch import Batch, Job, Outcome
from evals.replay.recorded_call import Options


def printed(options: Options, capsys: pytest.CaptureFixture[str], **call: Any) -> str:
    entry = {
        "file": "a.mcap", "turns": 2, "seconds": 9.0, "differs": [], "missing": [],
        "cpu_seconds": 0.1, **call,
    }  # fmt: skip
    job = Job(Path("a.mcap"), Path("out/a.mcap"))
    batch = Batch((job,), Path("out"), options, 1, [Outcome(job, entry)])
    _print(batch)
    return capsys.readouterr().out.splitlines()[0]


def test_only_a_replay_in_which_nothing_was_swapped_is_as_recorded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(Options(), capsys) == "a.mcap  2 turns, 9.0 s, as recorded"
    swapped = Options(vendors={"tts": "hibari"}, overrides={"barge_in": "instant"})
    assert printed(swapped, capsys) == (
        "a.mcap  2 turns, 9.0 s, turns and words as before, with tts hibari, barge_in=instant"
    )
    for options in (Options(source="transcript"), Options(timing="recorded")):
        assert "as recorded" not in printed(options, capsys)


def test_differences_are_counted_whatever_was_swapped(capsys: pytest.CaptureFixture[str]) -> None:
    differs = [{"what": "turn 1: heard", "recorded": "Yes", "replayed": "No"}]
    assert printed(Options(), capsys, differs=differs).endswith("1 differences")
