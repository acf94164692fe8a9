"""Recorded calls held again: as they were, with a stage swapped, and from redacted or cut files."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals.replay.recorded_call import Options, ReplayError, replay
from evals.replay.utterances import RecordedCaller, RecordedVoice
from pipeline import vendors
from pipeline.engines import Engines
from pipeline.vendors import Vendor
from processors.brain.contract import ArgumentsDelta, BrainEvent, Question, ToolStart
from processors.stt.whisper.engine import WhisperEngine
from recording.recording import Recording
from recording.redaction import redact
from recording.rewriting import rewrite
from tests.evals.conftest import PLANS
from tests.evals.replay.held import Plan, hold


class OtherBrain:
    """Always says the same, after a second's thought."""

    name = "other"

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        await asyncio.sleep(1.0)
        answer = "She earned her PhD in mathematics from Yale University in 1934."
        yield ToolStart("respond")
        said = {"sections": ["education"], "confidence": "high", "answer": answer}
        yield ArgumentsDelta(json.dumps(said))


@pytest.fixture
def other_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Vendor(
        stage="brain",
        name="other",
        label="Another",
        kind="embedded",
        detail="for tests",
        load=lambda _context, _progress: OtherBrain(),
    )
    monkeypatch.setattr(vendors, "VENDORS", (*vendors.VENDORS, vendor))


@pytest.mark.parametrize("name", [plan.name for plan in PLANS])
@pytest.mark.parametrize("source", ["audio", "transcript", "decision"])
def test_an_unswapped_replay_is_the_same_call(
    calls: dict[str, Path], tmp_path: Path, name: str, source: Any
) -> None:
    entry = replay(calls[name], tmp_path / "again.mcap", Options(source=source))

    assert entry["differs"] == []
    assert entry["missing"] == []
    recorded, replayed = Recording.load(calls[name]), Recording.load(tmp_path / "again.mcap")
    assert replayed.duration_secs == pytest.approx(recorded.duration_secs, abs=0.05)
    assert replayed.metadata["source"] == "replay"
    assert replayed.digest == entry["digest"]
    assert entry["turns"] == sum(1 for _ in recorded.topic("/turn/TurnFrame"))
    assert not list(tmp_path.glob(".*")), "no part of a file is left behind"


@pytest.mark.thorough
def test_a_typed_call_is_held_again_as_it_was(remembering: Engines, tmp_path: Path) -> None:
    """One question is typed after the answer before it, one over the answer to that."""
    said = ("where-studied",)
    types = ("What was her salary?", "Where was she born?")
    after = Plan("after", said, types=types)
    over = Plan("over", said, types=types, barge_in_secs=1.0)
    for path in hold((after, over), tmp_path, remembering):
        for source in ("audio", "transcript", "decision"):
            again = tmp_path / f"{source}.mcap"
            entry = replay(path, again, Options(source=source))
            assert (entry["differs"], entry["missing"], entry["turns"]) == ([], [], 3)
            recording = Recording.load(again)
            sent = [
                message.data["content"]
                for message in recording.topic("/caller/page")
                if message.data["type"] == "typed"
            ]
            assert sent == list(types)


def test_the_replay_sounds_as_the_call_did(calls: dict[str, Path], tmp_path: Path) -> None:
    replay(calls["barge-in"], tmp_path / "again.mcap", Options())

    recorded = Recording.load(calls["barge-in"])
    replayed = Recording.load(tmp_path / "again.mcap")
    then, now = recorded.agent_audio(), replayed.agent_audio()
    assert len(now) == pytest.approx(len(then), abs=4_800)
    # What the caller said is where it was, to the hundredth of a second.
    then, now = recorded.caller_audio(), replayed.caller_audio()
    onset = round(RecordedCaller.from_recording(recorded, ()).utterances[1].onset * 16_000) * 2
    window = slice(onset, onset + 32_000)
    assert then[window] in now[max(0, onset - 640) : onset + 32_640]


def test_the_same_replay_twice_is_the_same_to_the_byte(
    calls: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        replay(calls["barge-in"], tmp_path / f"{name}.mcap", Options())

    assert (tmp_path / "one.mcap").read_bytes() == (tmp_path / "two.mcap").read_bytes()


def test_another_brain_decides_otherwise_and_the_caller_waits_for_its_voice(
    calls: dict[str, Path], tmp_path: Path, other_brain: None
) -> None:
    entry = replay(calls["clean"], tmp_path / "other.mcap", Options(vendors={"brain": "other"}))

    differs = [difference["what"] for difference in entry["differs"]]
    assert "turn 1: decision" in differs
    assert not any("end of turn" in what for what in differs)
    recorded, replayed = Recording.load(calls["clean"]), Recording.load(tmp_path / "other.mcap")
    assert replayed.vendors["brain"] == "other"
    assert {lack["stage"] for lack in entry["missing"]} == {"tts"}
    # The second question comes as long after the voice as it did, and so at another time.
    second = RecordedCaller.from_recording(recorded, ()).utterances[2]
    again = RecordedCaller.from_recording(replayed, ()).utterances[2]
    assert again.place.cue == second.place.cue == "after"
    assert again.place.secs == pytest.approx(second.place.secs, abs=0.01)
    assert abs(again.onset - second.onset) > 0.3
    shifts = [message.data for message in replayed.topic("/replay/Shift")]
    assert [shift["utterance"] for shift in shifts] == [0, 1, 2]
    moved = shifts[2]["replayed"] - shifts[2]["recorded"]
    assert moved == pytest.approx(again.onset - second.onset, abs=0.01)


def test_a_barge_in_stays_at_the_same_point_of_the_sentence(
    calls: dict[str, Path], tmp_path: Path, other_brain: None
) -> None:
    replay(calls["barge-in"], tmp_path / "other.mcap", Options(vendors={"brain": "other"}))

    recorded, replayed = Recording.load(calls["barge-in"]), Recording.load(tmp_path / "other.mcap")
    over = RecordedCaller.from_recording(recorded, ()).utterances[2]
    again = RecordedCaller.from_recording(replayed, ()).utterances[2]
    assert over.place.cue == again.place.cue == "over"
    assert again.place.sentence == over.place.sentence
    assert again.place.secs == pytest.approx(over.place.secs, abs=0.05)
    assert again.onset > over.onset + 0.7, "the answer came a second later"


def test_recorded_timing_keeps_the_times_whatever_the_agent_does(
    calls: dict[str, Path], tmp_path: Path, other_brain: None
) -> None:
    options = Options(vendors={"brain": "other"}, timing="recorded")
    replay(calls["clean"], tmp_path / "other.mcap", options)

    shifts = [
        message.data for message in Recording.load(tmp_path / "other.mcap").topic("/replay/Shift")
    ]
    assert all(shift["replayed"] == pytest.approx(shift["recorded"], abs=1e-6) for shift in shifts)


@pytest.mark.thorough
def test_another_recogniser_takes_its_own_time(
    calls: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = WhisperEngine._final

    def slow(*given: Any) -> Any:  # a fast one is done before it is known that speech is over
        time.sleep(0.3)
        return final(*given)

    monkeypatch.setattr(WhisperEngine, "_final", slow)
    options = Options(vendors={"stt": "whisper", "vad": "silero"})
    entry = replay(calls["clean"], tmp_path / "again.mcap", options)

    assert entry["turns"] == 2
    replayed = Recording.load(tmp_path / "again.mcap")
    finals = list(replayed.topic("/stt/TranscriptionFrame"))
    stops = list(replayed.topic("/vad/VADUserStoppedSpeakingFrame"))
    assert "war" in finals[0].data["text"]
    waits = [final.at - stop.at for final, stop in zip(finals, stops, strict=True)]
    assert min(waits) > 0.05, f"what it took is counted: {waits}"


def test_what_the_recording_has_no_answer_to_is_told_and_handed_to_a_human(
    calls: dict[str, Path], tmp_path: Path
) -> None:
    recorded = Recording.load(calls["clean"])
    kept = (
        message
        for message in recorded.messages
        if message.topic not in ("/brain/Asked", "/brain/Event")
    )
    without = tmp_path / "without.mcap"
    rewrite(without, recorded.metadata, kept)

    entry = replay(without, tmp_path / "again.mcap", Options())

    assert {(lack["stage"], lack["what"]) for lack in entry["missing"]} >= {
        ("brain", "Where did she work after the war?")
    }
    replayed = Recording.load(tmp_path / "again.mcap")
    assert [message.data for message in replayed.topic("/replay/Missing")] == entry["missing"]
    decisions = [message.data for message in replayed.topic("/brain/DecisionFrame")]
    assert decisions[0]["decision"] == "escalate"
    assert decisions[0]["reason"] == "fault"
    # Its words take as long as that voice would need for them, though nobody can say how it sounds.
    told = [lack for lack in entry["missing"] if lack["stage"] == "tts"]
    assert told
    voice = RecordedVoice.from_recording(replayed)
    record = next(
        message.data for message in replayed.topic("/call/Turn") if message.data["number"] == 1
    )
    assert record["heard_text"] == decisions[0]["text"]
    assert voice.ended(replayed.duration_secs) > 0


def test_a_redacted_recording_replays_from_its_transcripts(
    calls: dict[str, Path], tmp_path: Path
) -> None:
    redacted = tmp_path / "redacted.mcap"
    quiet = redact(Recording.load(calls["barge-in"]))
    rewrite(redacted, quiet.metadata, quiet.messages)

    entry = replay(redacted, tmp_path / "again.mcap", Options(source="transcript"))

    assert entry["differs"] == []
    with pytest.raises(ReplayError, match=r"no audio of its caller.*--from transcript"):
        replay(redacted, tmp_path / "other.mcap", Options(vendors={"stt": "whisper"}))


def test_a_recording_that_a_crash_cut_replays_as_far_as_it_goes(
    calls: dict[str, Path], tmp_path: Path
) -> None:
    content = calls["clean"].read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(content[: len(content) * 2 // 3])

    entry = replay(cut, tmp_path / "again.mcap", Options())

    recorded = Recording.load(cut)
    assert not recorded.whole
    assert entry["seconds"] == pytest.approx(recorded.duration_secs, abs=0.5)
    end = next(Recording.load(tmp_path / "again.mcap").topic("/call/End"))
    assert end.data["reason"] == "disconnected"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(source="video"), "--from is 'video'; allowed: audio, transcript, decision"),  # type: ignore[arg-type]
        (Options(timing="late"), "--timing is 'late'; allowed: reactive, recorded"),  # type: ignore[arg-type]
        (Options(source="transcript", vendors={"stt": "whisper"}), "--stt .* Use --from audio"),
        (Options(source="decision", vendors={"brain": "extractive"}), "Use --from transcript"),
        (
            Options(vendors={"tts": "hibiri"}),
            r"TTS='hibiri' is unknown; did you mean hibari\? Allowed: auto",
        ),
        (Options(overrides={"vad_stop": "1"}), "--set VAD_STOP: there is no such setting"),
        (Options(overrides={"brain": "claude"}), "use --brain"),
        (Options(overrides={"vad_stop_secs": "-1"}), "VAD_STOP_SECS='-1'"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(options: Options, told: str) -> None:
    with pytest.raises(ReplayError, match=told):
        options.check()


def test_a_setting_is_changed_and_what_follows_is_told(
    calls: dict[str, Path], tmp_path: Path
) -> None:
    run = partial(replay, calls["backchannel"], tmp_path / "again.mcap")

    assert run(Options())["differs"] == []
    differs = run(Options(overrides={"barge_in": "instant"}))["differs"]

    assert {"what": "interruptions", "recorded": [], "replayed": [1]} in differs
    heard = next(difference for difference in differs if difference["what"] == "turn 1: heard")
    assert heard["recorded"].startswith(heard["replayed"])
