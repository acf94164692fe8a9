"""A fortnight of calls that never were, and a recording of one."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ledger.store.database import Database
from ledger.store.tables import Call, Turn
from recording.frames import raw_audio
from recording.writer import InlineWriter
from tests.recording.call import START_NS, about

NOW = datetime(2026, 11, 24, 17, 30, tzinfo=UTC).timestamp()
DAY_SECS = 86_400.0
HASH = "5f" * 32
RECORDED = "c-0000000000000001"
"""The call that everything happens in, and that was recorded."""

MARKUP = "<img src=x onerror=document.title='crafted'>"
"""What a caller might say who wishes the page ill."""

RECORDED_SECS = 16.0

CLOUD: dict[str, Any] = {
    **{"stt": "deepgram", "stt_model": "nova-3"},
    **{"brain": "claude", "brain_model": "claude-haiku-4-5"},
    **{"tts": "elevenlabs", "tts_model": "eleven_flash_v2_5"},
}
EMBEDDED: dict[str, Any] = {"stt": "whisper", "brain": "extractive", "tts": "hibari"}

CALLERS = ("joe@example.com", "grace.murray@navy.example", "mary.k.hawes@example.org", "")

ASKED = (
    ("Where did she study?", "Mathematics, at Yale University and Vassar College.", "education"),
    ("What was the first compiler?", "A-0, which she wrote in 1952.", "employment/univac"),
    ("When did she leave the Navy?", "She retired on 14 August 1986.", "navy"),
    ("What did she do at Harvard?", "She programmed the Mark I from 1944.", "employment/harvard"),
    ("Which medals did she get?", "The National Medal of Technology, in 1991.", "honours"),
    ("Did she teach?", "She taught mathematics at Vassar from 1931 to 1943.", "employment/vassar"),
    ("What did she earn?", "That's something I don't talk about.", ""),
)


@dataclass
class Chance:
    """Makes calls that might have been; the same ones every time."""

    random: random.Random

    def turn(self, call: str, number: int, at: float) -> Turn:
        question, answer, section = self.random.choice(ASKED)
        interrupted = self.random.random() < 0.15 and bool(section)
        heard = answer[: answer.rindex(" ")] if interrupted else answer
        brain = self.random.uniform(0.2, 0.5)
        hearing = self.random.uniform(0.2, 0.5)
        turn = Turn(
            call=call,
            number=number,
            at=at,
            question=question,
            decision="respond" if section else "escalate",
            reason="" if section else "sensitive",
            confidence=self.random.choice(["high", "high", "medium"]) if section else None,
            sections=[section] if section else [],
            checks=[{"name": "sections", "passed": True, "detail": ""}],
            answer=answer,
            heard_text=heard,
            interrupted=interrupted,
            transcription_delay=hearing * 0.8,
            end_of_turn_delay=hearing,
            llm_ttft=brain,
            llm_ttfs=brain + 0.08,
            tts_ttfb=0.09,
            e2e_latency=hearing + brain + 0.25 + self.random.expovariate(8),
            input_tokens=self.random.randint(40, 90),
            output_tokens=self.random.randint(30, 80),
            cache_read_tokens=2_140,
            characters=len(answer),
            audio_seconds=round(self.random.uniform(1.5, 6), 2),
            **CLOUD,
        )
        return priced(turn)

    def call(self, number: int, at: float) -> tuple[Call, list[Turn]]:
        id = f"c-{self.random.getrandbits(64):016x}"
        turns = []
        clock = at + 6
        for turn in range(1, self.random.choice([0, 1, 3, 4, 5, 6, 8, 9]) + 1):
            clock += self.random.uniform(5, 12)
            turns.append(self.turn(id, turn, clock))
        why = self.random.choice(["hangup", "hangup", "hangup", "cap", "silence", "disconnected"])
        caller = CALLERS[number % len(CALLERS)]
        end = clock + self.random.uniform(2, 9)
        return a_call(id, turns, at=at, ended_at=end, why=why, caller=caller, **CLOUD), turns


def priced(turn: Turn) -> Turn:
    """A turn with what it cost, as of some day."""
    turn.stt_cost = round(turn.audio_seconds * 128)
    turn.brain_cost = round(
        turn.input_tokens
        + turn.cache_read_tokens * 0.1
        + turn.cache_write_tokens * 1.25
        + turn.output_tokens * 5
    )
    turn.tts_cost = turn.characters * 50
    turn.cost = turn.stt_cost + turn.brain_cost + turn.tts_cost
    return turn


def a_call(id: str, turns: list[Turn], *, at: float, caller: str = "", **more: Any) -> Call:
    """A call, its sums those of its turns."""
    more = {name: value for name, value in more.items() if not name.endswith("_model")}
    return Call(
        id=id,
        caller=caller,
        caller_key=caller or "192.0.2.17",
        day=datetime.fromtimestamp(at, UTC).date().isoformat(),
        started_at=at,
        document="Grace Hopper",
        document_hash=HASH,
        turns=sum(turn.number > 0 for turn in turns),
        **{
            name: sum(getattr(turn, name) for turn in turns)
            for name in ("stt_cost", "brain_cost", "tts_cost", "cost")
        },
        **more,
    )


def eventful(id: str = RECORDED, *, at: float = NOW - 1_800) -> tuple[Call, list[Turn]]:
    """A call in which everything happens that can."""
    times: dict[str, Any] = {
        "transcription_delay": 0.212,
        "end_of_turn_delay": 0.334,
        "llm_ttft": 0.291,
        "llm_ttfs": 0.377,
        "tts_ttfb": 0.093,
        "e2e_latency": 0.861,
    }
    passed = [{"name": n, "passed": True, "detail": ""} for n in ("sections", "support")]
    turns = [
        Turn(
            call=id,
            number=1,
            at=at + 3.0,
            question="Where did she study?",
            decision="respond",
            confidence="high",
            sections=["education"],
            lines=[27, 29],
            checks=[*passed, {"name": "sensitive", "passed": True, "detail": ""}],
            answer="She took her doctorate in mathematics at Yale University in 1934. Before that "
            "she took a bachelor of arts at Vassar College.",
            heard_text="She took her doctorate in mathematics at Yale University in 1934. Before",
            interrupted=True,
            **times,
            input_tokens=61,
            output_tokens=58,
            cache_read_tokens=2140,
            characters=123,
            audio_seconds=2.1,
            **CLOUD,
        ),
        Turn(
            call=id,
            number=2,
            at=at + 6.5,
            question="And what",
            withdrawn=True,
            transcription_delay=0.18,
            end_of_turn_delay=0.41,
            input_tokens=70,
            output_tokens=12,
            cache_read_tokens=2140,
            wasted_tokens=82,
            audio_seconds=0.9,
            **CLOUD,
        ),
        Turn(
            call=id,
            number=3,
            at=at + 8.0,
            question="And what did she earn there?",
            decision="escalate",
            reason="sensitive",
            checks=[
                *passed[:1],
                {"name": "sensitive", "passed": False, "detail": "the question is about salary"},
            ],
            answer="That's something I don't talk about, so I'll pass it to a person who will "
            "follow up. You can ask me something else.",
            heard_text="That's something I don't talk about, so I'll pass it to a person who will "
            "follow up. You can ask me something else.",
            **{**times, "llm_ttft": 0.402, "llm_ttfs": 0.402, "e2e_latency": 0.913},
            input_tokens=88,
            output_tokens=31,
            cache_read_tokens=2140,
            cache_write_tokens=310,
            characters=113,
            audio_seconds=2.4,
            **CLOUD,
        ),
        Turn(
            call=id,
            number=4,
            at=at + 13.5,
            question="When did she write the first compiler?",
            decision="respond",
            confidence="low",
            sections=["employment/univac", "gone/since", "tool/programmes"],
            looked_up=[
                {
                    "section": "tool/programmes",
                    "title": "List of programmes",
                    "text": "A-0: 1952.\nB-0: 1958.",
                }
            ],
            lines=[45],
            checks=[*passed, {"name": "sensitive", "passed": True, "detail": ""}],
            answer="I can't be certain of this. She wrote A-0, the first compiler, in 1952.",
            heard_text="I can't be certain of this. She wrote A-0, the first compiler, in 1952.",
            **{**times, "transcription_delay": 0.95, "end_of_turn_delay": 1.02, "e2e_latency": 1.9},
            input_tokens=102,
            output_tokens=47,
            cache_read_tokens=2450,
            characters=71,
            audio_seconds=3.0,
            **(CLOUD | {"stt": "whisper", "stt_model": ""}),
            errors=["deepgram: the connection was closed (1011)"],
            failovers=[{"stage": "stt", "failed": "deepgram", "vendor": "whisper"}],
        ),
    ]
    turns = [priced(turn) for turn in turns]
    end = at + RECORDED_SECS
    return a_call(
        id, turns, at=at, ended_at=end, why="hangup", caller="joe@example.com", **CLOUD
    ), turns


def record(path: Path) -> None:
    """A recording of the eventful call: the caller left, a tone to the right."""
    file = InlineWriter().open(path, about(path.stem))

    def tone(rate: int, hertz: int, start: float) -> bytes:
        at = start + np.arange(rate // 10) / rate
        spoken = (at % 3 < 1) == (hertz == 220)
        wave = 0.2 * np.sin(2 * np.pi * hertz * at) * spoken
        return bytes(np.round(wave * 32767).astype("<i2").tobytes())

    for step in range(round(RECORDED_SECS * 10)):
        start = step / 10
        began = START_NS + round(start * 1e9)
        file.write(began, "/agent/audio", raw_audio(tone(24_000, 440, start), 24_000))
        came = began + 100_000_000
        file.write(came, "/caller/audio", raw_audio(tone(16_000, 220, start), 16_000))
    file.close()


def fill(database: Database, *, calls: int = 130) -> None:
    """A fortnight: the eventful call, and others of every kind."""
    chance = Chance(random.Random(4))
    rows = [eventful()]
    rows += [
        chance.call(n, NOW - 3_600 - DAY_SECS * 13 * chance.random.betavariate(1.1, 1.4))
        for n in range(calls)
    ]
    open_call = a_call("c-open", [], at=NOW - 40, why="", caller="joe@example.com", **EMBEDDED)
    gone = chance.turn("c-gone", 1, NOW - 9 * DAY_SECS + 10)
    gone.question = gone.answer = gone.heard_text = ""
    crafted = chance.turn("c-crafted", 1, NOW - 2 * DAY_SECS + 9)
    crafted.question = crafted.heard_text = crafted.answer = MARKUP
    rows += [
        (open_call, []),
        (
            a_call(
                "c-crafted",
                [crafted],
                at=NOW - 2 * DAY_SECS,
                ended_at=NOW - 2 * DAY_SECS + 60,
                caller=f"{MARKUP}@example.com",
            ),
            [crafted],
        ),
        (
            a_call(
                "c-gone", [gone], at=NOW - 9 * DAY_SECS, ended_at=NOW - 9 * DAY_SECS + 60, **CLOUD
            ),
            [gone],
        ),
    ]
    with database.writing() as session:
        session.add_all([call for call, _ in rows])
        session.flush()
        session.add_all([turn for _, turns in rows for turn in turns])
