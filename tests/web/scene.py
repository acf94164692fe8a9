"""What the page is shown in its tests: a document, an engine list, and a whole call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from conversation.records import StageCost
from transports.browser.messages import Amount, Cap, Decision, DecisionCheck, Duck, End, Stage, Turn

if TYPE_CHECKING:
    from tests.web.server import Peer

ABOUT: dict[str, Any] = {
    "title": "Grace Hopper",
    "subtitle": "Mathematician, computer scientist, rear admiral of the United States Navy",
    "persona": {
        "name": "Viva",
        "greeting": "Hello, I am an AI that answers from Grace Hopper's CV. Ask away.",
    },
    "suggestions": [
        "Where did she study?",
        "What was the first compiler?",
        "Which medals did she receive?",
        "When did she retire from the Navy?",
    ],
    "follow_up": {"address": True, "days": 30, "contact": ""},
    "refuses": ["salary", "references", "contact details", "health", "age", "family"],
    "engines": [
        {
            "stage": "vad",
            "vendor": "silero",
            "kind": "embedded",
            "label": "Silero",
            "detail": "runs on this machine",
        },
        {
            "stage": "stt",
            "vendor": "whisper",
            "kind": "embedded",
            "label": "Whisper base",
            "detail": "runs on this machine",
        },
        {
            "stage": "brain",
            "vendor": "extractive",
            "kind": "embedded",
            "label": "sentences of the document",
            "detail": "no language model",
        },
        {
            "stage": "tts",
            "vendor": "hibari",
            "kind": "embedded",
            "label": "Hibari",
            "detail": "runs on this machine",
        },
    ],
    "limits": {"call_secs": 120, "call_spend_cap": None, "daily_spend_cap": None},
    "account": {"email": "", "admin": False, "auth": "off"},
    "ready": True,
}


def _section(
    id: str, title: str, level: int, first: int, *lines: tuple[str, str]
) -> dict[str, Any]:
    numbered = [("heading", title), *lines]
    return {
        "id": id,
        "title": title,
        "level": level,
        "lines": [
            {"number": first + at + (at > 0), "kind": kind, "text": text}
            for at, (kind, text) in enumerate(numbered)
        ],
    }


DOCUMENT: dict[str, Any] = {
    "title": "Grace Hopper",
    "subtitle": ABOUT["subtitle"],
    "language": "en",
    "sources": [
        "Naval History and Heritage Command, Grace Hopper, https://www.history.navy.mil/",
        "Kurt W. Beyer, Grace Hopper and the Invention of the Information Age, MIT Press, 2009",
    ],
    "sections": [
        _section(
            "summary",
            "Grace Hopper",
            1,
            20,
            (
                "text",
                "Grace Brewster Murray Hopper led the teams that wrote the first compilers, and "
                "for forty years persuaded people to write programs in words.",
            ),
        ),
        _section(
            "education",
            "Education",
            2,
            25,
            ("item", "Doctorate in mathematics, Yale University, 1934, under Øystein Ore."),
            ("item", "Master of arts in mathematics, Yale University, 1930."),
            ("item", "Bachelor of arts in mathematics and physics, Vassar College, 1928."),
        ),
        _section("employment", "Employment", 2, 31),
        _section(
            "employment/vassar",
            "Vassar College",
            3,
            33,
            ("text", "Taught mathematics from 1931 to 1943, and left as associate professor."),
        ),
        _section(
            "employment/harvard",
            "Harvard Computation Laboratory",
            3,
            37,
            (
                "text",
                "Programmed the Mark I, the first large computer in the country, from 1944.",
            ),
            ("text", "Wrote its manual of 561 pages."),
        ),
        _section(
            "employment/univac",
            "Eckert-Mauchly, later Remington Rand and Sperry",
            3,
            42,
            ("item", "Senior mathematician on the UNIVAC I from 1949."),
            ("item", "Wrote A-0, the first compiler, in 1952."),
            ("item", "Directed automatic programming and brought out FLOW-MATIC in 1955 to 1959."),
        ),
        _section(
            "navy",
            "United States Navy",
            2,
            49,
            ("item", "Joined the Naval Reserve in December 1943."),
            ("item", "Recalled to active duty in 1967 to standardise COBOL."),
            ("item", "Retired as rear admiral on 14 August 1986, aboard USS Constitution."),
        ),
        _section(
            "honours",
            "Honours",
            2,
            56,
            ("item", "National Medal of Technology, 1991."),
            ("item", "Presidential Medal of Freedom, after her death, 2016."),
            ("item", "The destroyer USS Hopper bears her name."),
        ),
    ],
}


def speechlike(secs: float, *, seed: int = 1) -> np.ndarray:
    """Sound with the rhythm of speech, at 24 kHz: harmonics under syllables."""
    at = np.arange(round(secs * 24_000)) / 24_000
    voice = sum(np.sin(2 * np.pi * 165 * k * at + seed * k) / k for k in range(1, 9))
    syllables = np.abs(np.sin(2 * np.pi * 2.1 * at)) ** 1.5
    return np.asarray(0.22 * voice * syllables)


def decision(turn: int, question: str, answer: str, **more: Any) -> Decision:
    """A decision to answer, or what `more` makes of it."""
    fields: dict[str, Any] = {
        "confidence": "high",
        "decision": "respond",
        "sections": [],
        "lines": [],
        "reason": "",
        "checks": [DecisionCheck(name="sections", passed=True)],
        "brain": "extractive",
    }
    return Decision(turn=turn, question=question, answer=answer, **(fields | more))


def record(turn: int, question: str, answer: str, **more: Any) -> Turn:
    """The record of a turn that took as long as it should, for nothing."""
    fields: dict[str, Any] = {
        "at": 1_772_359_200.0 + 10 * turn,
        "decision": "respond",
        "reason": "",
        "confidence": "high",
        "sections": [],
        "lines": [],
        "checks": [DecisionCheck(name=name, passed=True) for name in CHECKS],
        "heard_text": answer,
        "interrupted": False,
        "withdrawn": False,
        "transcription_delay": 0.19,
        "end_of_turn_delay": 0.33,
        "llm_ttft": 0.01,
        "llm_ttfs": 0.01,
        "tts_ttfb": 0.04,
        "e2e_latency": 0.45,
        "input_tokens": 46,
        "output_tokens": 38,
        "cache_read_tokens": 5210,
        "cache_write_tokens": 0,
        "wasted_tokens": 0,
        "characters": len(answer),
        "audio_seconds": 2.4,
        "cost": amount(),
        "vendors": {"stt": "whisper", "brain": "extractive", "tts": "hibari"},
        "models": {},
        "errors": [],
        "failovers": [],
    }
    return Turn(turn=turn, question=question, answer=answer, **(fields | more))


CHECKS = ("question", "sensitive", "decision", "sections", "confidence", "support")


def amount(stt: int = 0, brain: int = 0, tts: int = 0) -> Amount:
    """So many micro-dollars."""
    return Amount.from_stages(StageCost(stt, brain, tts))


async def ask(
    peer: Peer, turn: int, question: str, *, hearing: str = "whisper", deciding: str = "extractive"
) -> None:
    """The caller asks: transcripts come in, and the turn ends."""
    await peer.event("user-started-speaking")
    await peer.tell(Stage(stage="transcribing", turn=turn, vendor=hearing))
    words = question.split()
    for count in range(2, len(words), 2):
        await _transcript(peer, " ".join(words[:count]), final=False)
        await asyncio.sleep(0.06)
    await _transcript(peer, question, final=True)
    await peer.event("user-stopped-speaking")
    await peer.tell(Stage(stage="thinking", turn=turn, vendor=deciding))


async def _transcript(peer: Peer, text: str, *, final: bool) -> None:
    stamp = "2026-11-22T12:00:00.000Z"
    await peer.event(
        "user-transcription", text=text, user_id="caller", timestamp=stamp, final=final
    )


async def greet(peer: Peer, *, secs: float = 0.8) -> None:
    """The limit, and the greeting, played out."""
    await peer.tell(Cap(limit_secs=120.0, left_secs=120.0))
    await peer.event("bot-started-speaking")
    await peer.say(ABOUT["persona"]["greeting"], speechlike(secs))
    await peer.played_out()
    await peer.event("bot-stopped-speaking")


async def whole_call(peer: Peer, *, pace: float = 1.0, over: asyncio.Event | None = None) -> None:
    """A greeting, an answer, a refusal, an answer that is interrupted, and the end of time.

    Time does not end before it is over, if that is given.
    """
    await greet(peer, secs=1.2 * pace)
    question, first, second = (
        "Where did she study?",
        "She took her doctorate in mathematics at Yale University in 1934.",
        "Before that she took a bachelor of arts at Vassar College.",
    )
    await ask(peer, 1, question)
    await asyncio.sleep(0.8 * pace)
    cites: dict[str, Any] = {"sections": ["education"], "lines": [27, 29]}
    await peer.tell(decision(1, question, f"{first} {second}", **cites))
    await peer.event("bot-started-speaking")
    await peer.say(first, speechlike(2.0 * pace), turn=1, sections=["education"], lines=[27])
    await peer.say(second, speechlike(2.0 * pace), turn=1, sections=["education"], lines=[29])
    await peer.played_out()
    await peer.event("bot-stopped-speaking")
    await peer.tell(record(1, question, f"{first} {second}", sections=["education"]))
    question, answer = "What was her salary?", "I do not speak about salaries."
    await ask(peer, 2, question)
    refusal: dict[str, Any] = {"decision": "escalate", "confidence": None}
    await peer.tell(decision(2, question, answer, reason="sensitive", **refusal))
    await peer.event("bot-started-speaking")
    await peer.say(answer, speechlike(1.0 * pace), turn=2)
    await peer.played_out()
    await peer.event("bot-stopped-speaking")
    await peer.tell(record(2, question, answer, e2e_latency=0.51, **refusal))
    question = "When did she write the first compiler?"
    answer = "She wrote A-0, the first compiler, in 1952, as senior mathematician on the UNIVAC I."
    await ask(peer, 3, question)
    cites = {"sections": ["employment/univac"], "lines": [44, 45]}
    await peer.tell(decision(3, question, answer, **cites, confidence="medium"))
    await peer.event("bot-started-speaking")
    speaking = asyncio.create_task(
        peer.say(answer, speechlike(3.0 * pace), turn=3, **{**cites, "lines": [45]})
    )
    await asyncio.sleep(1.2 * pace)
    await peer.event("user-started-speaking")
    await peer.tell(Duck(on=True))
    await asyncio.sleep(0.3)
    speaking.cancel()
    await peer.interrupt()
    await _transcript(peer, "And when did", final=False)
    heard = "She wrote A-0, the first compiler,"
    await peer.tell(
        record(
            3,
            question,
            answer,
            heard_text=heard,
            interrupted=True,
            confidence="medium",
            **{"sections": cites["sections"]},
        )
    )
    await asyncio.sleep(1.0 * pace)
    question, answer = "And when did she retire?", "She retired as rear admiral on 14 August 1986."
    await ask(peer, 4, question)
    cites = {"sections": ["navy"], "lines": [53]}
    await peer.tell(decision(4, question, answer, **cites))
    await peer.event("bot-started-speaking")
    await peer.say(answer, speechlike(1.6 * pace), turn=4, **cites)
    await peer.played_out()
    await peer.event("bot-stopped-speaking")
    await peer.tell(record(4, question, answer, sections=["navy"], e2e_latency=0.39))
    if over is not None:
        await over.wait()
    await peer.tell(End(reason="cap", message="The two minutes of this call are over."))
    await peer.socket.close()
