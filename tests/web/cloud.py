"""A call over services in the cloud: what it measures, what it costs, and what goes wrong in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from conversation.records import StageCost
from tests.web.scene import ABOUT, amount, ask, decision, greet, record, speechlike
from transports.browser.messages import (
    Amount,
    Cost,
    Decision,
    DecisionCheck,
    Failover,
    Stage,
    TakenOver,
)

if TYPE_CHECKING:
    from tests.web.server import Peer

CLOUD: dict[str, Any] = ABOUT | {
    "engines": [
        ABOUT["engines"][0],
        {
            "stage": "stt",
            "vendor": "deepgram",
            "kind": "cloud",
            "label": "Deepgram",
            "detail": "in Deepgram's cloud; your voice is sent there",
            "spares": [{"vendor": "whisper", "kind": "embedded", "label": "Whisper base"}],
        },
        {
            "stage": "brain",
            "vendor": "claude",
            "kind": "cloud",
            "label": "Claude",
            "detail": "a language model in Anthropic's cloud, held to the document",
        },
        {
            "stage": "tts",
            "vendor": "elevenlabs",
            "kind": "cloud",
            "label": "ElevenLabs",
            "detail": "a voice in ElevenLabs' cloud",
            "spares": [{"vendor": "hibari", "kind": "embedded", "label": "Hibari, voice heart"}],
        },
    ],
    "limits": {"call_secs": 120, "call_spend_cap": 60_000, "daily_spend_cap": 5_000_000},
    "account": {"email": "ada@example.com", "admin": True, "auth": "link"},
}
"""The page of somebody who is signed in, with services in the cloud and spares at hand."""

MODELS = {"stt": "nova-3", "brain": "claude-haiku-4-5", "tts": "eleven_flash_v2_5"}

TIMES = {
    "transcription_delay": 0.14,
    "end_of_turn_delay": 0.19,
    "llm_ttft": 0.11,
    "llm_ttfs": 0.17,
    "tts_ttfb": 0.07,
}
TURNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "Where did she study?",
        "She took her doctorate in mathematics at Yale University in 1934.",
        {
            "sections": ["education"],
            "lines": [27],
            "e2e_latency": 0.58,
            "cost": amount(328, 1412, 1620),
        },
    ),
    (
        "And what did she do in the Navy?",
        "She joined the Naval Reserve in 1943 and retired as rear admiral in 1986.",
        {
            "sections": ["navy"],
            "lines": [51, 53],
            "e2e_latency": 0.71,
            "cost": amount(410, 1530, 1890),
        },
    ),
    (
        "What was her salary?",
        "I do not speak about salaries. I have passed your question on.",
        {
            "decision": "escalate",
            "reason": "sensitive",
            "confidence": None,
            "llm_ttft": None,
            "llm_ttfs": 0.002,
            "e2e_latency": 0.49,
            "checks": [
                DecisionCheck(name="question", passed=True),
                DecisionCheck(
                    name="sensitive", passed=False, detail="the question is about salary"
                ),
            ],
            "cost": amount(287, 0, 1450),
        },
    ),
    (
        "When did she write the first compiler?",
        "She wrote A-0, the first compiler, in 1952, as senior mathematician on the UNIVAC I.",
        {
            "sections": ["employment/univac"],
            "lines": [44, 45],
            "confidence": "medium",
            "interrupted": True,
            "heard_text": "She wrote A-0, the first compiler,",
            "e2e_latency": 0.63,
            "cost": amount(352, 1608, 2050),
        },
    ),
    (
        "And the Mark I, when was that?",
        "She programmed the Mark I from 1944.",
        {
            "sections": ["employment/harvard"],
            "lines": [39],
            "e2e_latency": 1.42,
            "tts_ttfb": 0.88,
            "cost": amount(301, 1390, 640),
            "failovers": [TakenOver(stage="tts", failed="elevenlabs", vendor="hibari")],
            "errors": ["elevenlabs: no audio for 0.8 s"],
        },
    ),
    (
        "Which honours did she receive?",
        "The National Medal of Technology, in 1991.",
        {
            "sections": ["honours", "summary"],
            "lines": [58],
            "e2e_latency": 0.66,
            "cost": amount(344, 1455, 0),
        },
    ),
)


async def cloud_call(peer: Peer, *, answer_secs: float = 0.5, spent: int = 0) -> None:
    """Six turns over cloud services, with their costs; the last answer goes on until the call ends.

    Args:
        peer: The page.
        answer_secs: How long each answer is.
        spent: What was spent before the first turn, in micro-dollars.
    """
    total = StageCost(tts=spent)
    vendors = {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}
    await _cost(peer, total)
    await greet(peer, secs=answer_secs)
    for turn, (question, answer, more) in enumerate(TURNS, start=1):
        await ask(peer, turn, question, hearing=vendors["stt"], deciding=vendors["brain"])
        decided = {key: more[key] for key in more if key in Decision.model_fields}
        await peer.tell(decision(turn, question, answer, brain=vendors["brain"], **decided))
        for over in more.get("failovers", []):
            vendors[over.stage] = over.vendor
            await peer.tell(Failover(**over.model_dump()))
        await peer.event("bot-started-speaking")
        await peer.tell(Stage(stage="speaking", turn=turn, vendor=vendors["tts"]))
        cites = {name: more.get(name, []) for name in ("sections", "lines")}
        last = turn == len(TURNS)
        voice = speechlike(60.0 if last else answer_secs)
        speaking = asyncio.create_task(peer.say(answer, voice, turn=turn, **cites))
        try:
            if last:
                await peer.until(lambda: peer.playbacks[-1].samples > 0)
            elif more.get("interrupted"):
                await asyncio.sleep(answer_secs / 2)
                speaking.cancel()
                await peer.interrupt()
            else:
                await speaking
                await peer.played_out()
                await peer.event("bot-stopped-speaking")
            models = {stage: MODELS[stage] for stage in vendors if vendors[stage] != "hibari"}
            known = {"vendors": dict(vendors), "models": models}
            await peer.tell(record(turn, question, answer, **(TIMES | known | more)))
            total += StageCost(more["cost"].stt, more["cost"].brain, more["cost"].tts)
            await _cost(peer, total)
            if last:
                await peer.closed.wait()
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


async def _cost(peer: Peer, total: StageCost) -> None:
    day = 3_120_000 + total.total
    await peer.tell(
        Cost(call=Amount.from_stages(total), call_cap=60_000, day=day, day_cap=5_000_000)
    )
