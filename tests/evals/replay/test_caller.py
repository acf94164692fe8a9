"""The pieces of a replayed caller, brain and speculation, each by itself."""

import asyncio
from typing import Any

import numpy as np
import pytest

from conversation.frames import Usage
from evals.replay import virtual_time
from evals.replay.brain import Ask, RecordedSpeculation, ReplayedBrain, asks_of, warmed_by
from evals.replay.microphone import Microphone
from evals.replay.utterances import Place, RecordedCaller, Utterance
from processors.brain.contract import ArgumentsDelta, BrainError, BrainEvent, Question
from recording.message import Message
from recording.recording import Recording


def recording(*messages: tuple[float, str, dict[str, Any]]) -> Recording:
    told = tuple(Message(*message) for message in sorted(messages, key=lambda message: message[0]))
    return Recording(path=None, metadata={}, messages=told)  # type: ignore[arg-type]


def speech(start: float, end: float) -> list[tuple[float, str, dict[str, Any]]]:
    """The caller speaks, and voice activity is as late as it is."""
    return [
        (start + 0.1, "/vad/VADUserStartedSpeakingFrame", {"start_secs": 0.1}),
        (end + 0.2, "/vad/VADUserStoppedSpeakingFrame", {"stop_secs": 0.2}),
    ]


def voice(start: float, end: float, *, sample: int = 0) -> list[tuple[float, str, dict[str, Any]]]:
    """The agent speaks, and the page plays it at once."""
    played = sample + round((end - start) * 24_000)
    return [
        (start, "/agent/page", {"type": "sentence", "start": sample, "text": "Yes."}),
        (start, "/agent/page", {"type": "bot-started-speaking"}),
        (
            start,
            "/caller/page",
            {"type": "playback", "epoch": 0, "samples": sample, "final": False},
        ),
        (end, "/caller/page", {"type": "playback", "epoch": 0, "samples": played, "final": False}),
        (end, "/agent/page", {"type": "bot-stopped-speaking"}),
    ]


def test_an_utterance_after_the_voice_is_placed_by_its_end() -> None:
    caller = RecordedCaller.from_recording(recording(*voice(0.1, 3.0), *speech(3.5, 5.0)), ())

    _, first = caller.utterances
    assert (first.place.cue, first.place.bursts) == ("after", 1)
    assert (first.place.secs, first.place.longest_silence) == pytest.approx((0.5, 0.5))
    assert (first.onset, first.end) == pytest.approx((3.5, 5.0))
    assert first.preroll == pytest.approx(0.3)


def test_pauses_in_a_turn_belong_to_the_utterance_however_long_they_are() -> None:
    caller = RecordedCaller.from_recording(
        recording(*voice(0.1, 3.0), *speech(3.5, 5.0), *speech(6.2, 7.0), *speech(9.9, 11.0)), ()
    )

    assert [(utterance.onset, utterance.end) for utterance in caller.utterances[1:]] == [
        pytest.approx((3.5, 11.0))
    ]


def test_speech_over_the_voice_is_placed_by_the_sentence_that_is_played() -> None:
    caller = RecordedCaller.from_recording(
        recording(
            *voice(0.1, 3.0),
            *speech(3.5, 5.0),
            *voice(6.0, 12.0, sample=69_600),
            *speech(8.0, 8.4),  # mm-hm
            *speech(10.5, 11.0),
        ),
        (),
    )

    _, _, listening, barging = caller.utterances
    assert (listening.place.cue, listening.place.bursts) == ("over", 1)
    assert listening.place.secs == pytest.approx(2.0, abs=0.001)
    assert (barging.place.cue, barging.place.bursts) == ("over", 0), "the same burst goes on"
    assert barging.place.secs == pytest.approx(4.5, abs=0.001)


def test_who_hangs_up_is_placed_as_who_speaks() -> None:
    caller = RecordedCaller.from_recording(
        recording(
            *speech(1.0, 2.0),
            *voice(3.0, 5.0),
            (5.75, "/caller/page", {"type": "hangup"}),
        ),
        (),
    )

    assert caller.reason == "hangup"
    assert caller.leaves is not None
    assert (caller.leaves.cue, caller.leaves.bursts) == ("after", 1)
    assert caller.leaves.secs == pytest.approx(0.75)


def test_who_stays_to_the_end_does_not_leave() -> None:
    ended = (20.0, "/call/End", {"reason": "silence"})
    assert RecordedCaller.from_recording(recording(*speech(1.0, 2.0), ended), ()).leaves is None


def test_a_transcript_that_comes_late_stays_with_what_was_said() -> None:
    late = (6.15, "/stt/TranscriptionFrame", {"text": "Where?", "finalized": True})
    caller = RecordedCaller.from_recording(
        recording(*speech(1.0, 2.0), *voice(2.5, 9.0), *speech(6.0, 7.0), late), ("vad", "stt")
    )

    assert [message.kind for message in caller.utterances[1].messages][-1] == "TranscriptionFrame"
    assert "TranscriptionFrame" not in [message.kind for message in caller.utterances[2].messages]


def test_the_microphone_moves_utterances_and_fills_gaps_with_the_room() -> None:
    room = np.tile(np.array([3, -3], np.int16), 8_000)  # a second
    said = np.full(16_000, 1_000, np.int16)
    line = np.concatenate((room, said, room, said, room))
    utterances = [
        Utterance(0, 0.0, 0.0, Place("with")),
        Utterance(1, 1.0, 2.0, Place("with", secs=1.0)),
        Utterance(2, 3.0, 4.0, Place("with", secs=2.0), pause=1.0),
    ]
    microphone = Microphone(line.tobytes(), utterances)
    microphone.begin_utterance(0, 0.0)
    microphone.begin_utterance(1, 1.0)
    heard = [microphone.read_until(2.0)]
    microphone.begin_utterance(2, 4.7)  # two seconds late; it begins 0.3 s before its onset
    heard += [microphone.read_until(4.0), microphone.read_until(7.0)]

    samples = np.frombuffer(b"".join(heard), np.int16)
    assert len(samples) == 7 * 16_000
    loud = np.flatnonzero(np.abs(samples) > 500)
    assert (loud[0], loud[16_000]) == (16_000, 80_000)
    assert len(loud) == 32_000
    assert np.all(np.abs(samples[32_000:80_000]) == 3), "no digital silence between them"


def events(*pieces: str, end: str) -> list[tuple[float, dict[str, Any]]]:
    told: list[tuple[float, dict[str, Any]]] = [
        (0.1 * (at + 1), {"event": "arguments", "json": piece}) for at, piece in enumerate(pieces)
    ]
    return [*told, (0.1 * (len(pieces) + 1), {"event": end})]


async def answer(brain: ReplayedBrain, question: str) -> tuple[list[str], float]:
    began = asyncio.get_running_loop().time()
    found: list[BrainEvent] = [event async for event in brain.decide(Question(question))]
    took = asyncio.get_running_loop().time() - began
    return [event.json for event in found if isinstance(event, ArgumentsDelta)], took


def test_an_answer_that_was_broken_off_goes_on_as_one_that_begins_alike() -> None:
    missing: list[tuple[str, str]] = []
    asks = [
        Ask("Where?", [], events("At ", end="aborted")),
        Ask("Where?", [], events("At ", "Yale.", end="end")),
    ]

    async def main() -> tuple[list[str], float]:
        brain = ReplayedBrain(asks, name="claude", missing=lambda *what: missing.append(what))
        return await answer(brain, "where")

    pieces, took = virtual_time.run(main())

    assert pieces == ["At ", "Yale."]
    assert took == pytest.approx(0.3)
    assert missing == []


def test_what_was_never_asked_fails_and_is_told() -> None:
    missing: list[tuple[str, str]] = []

    async def main() -> None:
        brain = ReplayedBrain([], name="claude", missing=lambda *what: missing.append(what))
        await answer(brain, "Where?")

    with pytest.raises(BrainError, match="no answer"):
        virtual_time.run(main())
    assert missing == [("brain", "Where?")]


def test_the_same_words_are_answered_in_the_order_of_asking() -> None:
    asks = [
        Ask("Where?", [], events("first", end="end")),
        Ask("Where?", [], events("second", end="end")),
    ]

    async def main() -> list[str]:
        brain = ReplayedBrain(asks, name="claude", missing=lambda *_what: None)
        return [(await answer(brain, "Where?"))[0][0] for _ in range(3)]

    assert virtual_time.run(main()) == ["first", "second", "second"]


def test_early_answers_are_begun_where_they_were() -> None:
    def turn(at: float, question: str, *, speculation: bool) -> tuple[float, str, dict[str, Any]]:
        return at, "/turn/TurnFrame", {"question": question, "speculation": speculation}

    recorded = recording(
        turn(1.0, "Where did", speculation=True),
        turn(1.5, "Where did she", speculation=True),
        (1.5, "/brain/Asked", {"ask": 1, "question": "Where did she?", "history": []}),
        turn(2.0, "Where did she", speculation=False),
    )
    speculation = RecordedSpeculation.from_recording(recorded, max_wasted_share=0.25)

    assert [speculation.reserve(), speculation.reserve(), speculation.reserve()] == [
        False,
        True,
        False,
    ]


def test_what_the_brain_read_before_is_counted_once() -> None:
    used = {
        "input_tokens": 30,
        "output_tokens": 5,
        "cache_read_tokens": 0,
        "cache_write_tokens": 900,
    }
    asked = {**used, "input_tokens": 12, "cache_write_tokens": 0}
    recorded = recording(
        (1.0, "/brain/Asked", {"ask": 1, "question": "Where?", "history": []}),
        (1.1, "/brain/Event", {"ask": 1, "event": "usage", "usage": asked}),
        (2.0, "/call/Turn", {"number": 1, "used": used}),
        (2.5, "/call/Turn", {"number": 1, "used": used}),
    )

    assert warmed_by(recorded) == Usage(input_tokens=18, cache_write_tokens=900)
    assert [ask.question for ask in asks_of(recorded)] == ["Where?"]


def typed(at: float, kind: str = "typed") -> tuple[float, str, dict[str, Any]]:
    return (at, "/caller/page", {"type": kind, "content": "And where?"})


def test_a_typed_question_has_a_place_of_its_own() -> None:
    """After the voice, and in mid-speech; what was typed on the way goes with what was before."""
    told = recording(
        *voice(0.1, 3.0), typed(3.2, "typing"), typed(4.0), *speech(6.0, 9.0), typed(7.5)
    )
    caller = RecordedCaller.from_recording(told, ())

    before, first, spoken, second = caller.utterances
    assert [message.data["type"] for message in before.messages] == ["typing"]
    assert (first.place.cue, second.place.cue) == ("after", "with")
    assert (first.place.secs, second.place.secs) == pytest.approx((1.0, 1.5), abs=1e-5)
    assert (first.typed, spoken.typed, second.typed) == (True, False, True)
    assert (first.preroll, second.preroll) == (0.0, 0.0)
    assert [message.at for message in first.messages] == [4.0]
    assert (spoken.onset, spoken.end) == pytest.approx((6.0, 9.0))
    assert [message.at for message in second.messages] == [7.5]
