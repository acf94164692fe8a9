"""Calls whose page reported irregularly, or that ended in the midst of an answer, held again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.replay.client_playback_profile import playback_profile_of
from evals.replay.recorded_call import Options, replay
from pipeline.engines import Engines
from recording.message import Message
from recording.recording import Recording
from recording.rewriting import rewrite
from tests.evals.replay.held import Plan, hold


def reports(recording: Recording) -> list[tuple[int, int, bool]]:
    """What the page reported as played: epoch, samples, and whether it was the epoch's last."""
    told = [message.data for message in recording.topic("/caller/page")]
    return [
        (data["epoch"], data["samples"], data["final"])
        for data in told
        if data["type"] == "playback"
    ]


BARGE_IN = Path(__file__).parents[3] / "evals/corpus/bargein-01.mcap"

Change = Callable[[int, dict[str, Any]], dict[str, Any] | None]


def behind(_number: int, data: dict[str, Any]) -> dict[str, Any]:
    """Every report is 0.2 s behind, but for the last of an epoch."""
    return data if data["final"] else data | {"samples": max(0, data["samples"] - 4800)}


def seldom(number: int, data: dict[str, Any]) -> dict[str, Any] | None:
    return data if data["final"] or number % 9 in (0, 2) else None


@pytest.mark.parametrize("change", [behind, seldom])
def test_an_irregular_page_reports_again_what_it_reported(tmp_path: Path, change: Change) -> None:
    recording = Recording.load(BARGE_IN)
    assert playback_profile_of(recording).repeated == ()
    told: list[Message] = []
    for number, message in enumerate(recording.messages):
        if message.data.get("type") != "playback":
            told.append(message)
        elif (data := change(number, dict(message.data))) is not None:
            told.append(replace(message, data=data))
    rewrite(tmp_path / "odd.mcap", recording.metadata, told)

    entry = replay(tmp_path / "odd.mcap", tmp_path / "again.mcap", Options())
    assert entry["irregular_page"]
    then, now = (Recording.load(tmp_path / f"{name}.mcap") for name in ("odd", "again"))
    assert reports(now) == reports(then)

    kept = replay(
        tmp_path / "odd.mcap", tmp_path / "set.mcap", Options(overrides={"barge_in": "instant"})
    )
    assert kept["irregular_page"]
    assert reports(Recording.load(tmp_path / "set.mcap")) != reports(then)


ASKED, OVER = ("where-studied", "after-the-war"), ("where-studied", "excuse-me")
ODD = (
    Plan("stalls", ASKED, page="stalls"),
    Plan("seldom", OVER, page="reports seldom", barge_in_secs=1.5),
    Plan("late", OVER, page="reports late", barge_in_secs=1.5),
    Plan("left", ("where-studied",), leaves_secs=0.9),
    Plan("left-seldom", ASKED, page="reports seldom", leaves_secs=0.83),
    Plan("left-stalls", ASKED, page="stalls", leaves_secs=1.31),
    Plan("left-late", ("where-studied",), page="reports late", leaves_secs=0.5),
)


@pytest.mark.thorough
def test_an_odd_call_is_held_again_as_it_was(remembering: Engines, tmp_path: Path) -> None:
    for path in hold(ODD, tmp_path, remembering):
        for source in ("audio", "transcript", "decision"):
            entry = replay(path, tmp_path / "again.mcap", Options(source=source))
            assert (path.stem, entry["differs"], entry["missing"]) == (path.stem, [], [])
