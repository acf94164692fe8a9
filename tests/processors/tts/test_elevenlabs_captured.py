"""What ElevenLabs was seen to send, played to the real clients: facts from documents and issues.

The audio is made up; the fields and their order are as they were seen.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pipecat.frames.frames import TTSAudioRawFrame, TTSSpeakFrame, TTSStoppedFrame
from pipecat.utils.errors import ErrorCategory

from evals.conformance.harness import StageHarness
from evals.replay import virtual_time
from processors.tts.elevenlabs.errors import refusal_of
from processors.tts.elevenlabs.service import ElevenLabsTTS
from simulators.captured import CapturedContexts
from simulators.grammar import GRAMMARS

Script = Sequence[Mapping[str, Any] | tuple[int, str]]

TEXT = "Yes."
_PCM = b64encode(b"\x00\x20" * 4_800).decode()
_TIMES = {
    "chars": ["Y", "e", "s", "."],
    "charStartTimesMs": [0, 50, 100, 150],
    "charDurationsMs": [50, 50, 50, 50],
}


def audio(**more: Any) -> dict[str, Any]:
    """A message with audio and every field that is documented of it."""
    times = {"normalizedAlignment": _TIMES, "alignment": _TIMES}
    return {"audio": _PCM, "isFinal": None, **times, "contextId": "CONTEXT", **more}


FINAL = {"isFinal": True, "contextId": "CONTEXT"}


def error(code: str, message: str) -> list[Mapping[str, Any] | tuple[int, str]]:
    """An error as a message of its own, and the close that follows it."""
    return [{"message": message, "error": code, "code": 1008}, (1008, message)]


SPOKEN: dict[str, tuple[str, list[Script], int]] = {
    "as it is documented": (
        "https://elevenlabs.io/docs/developer-guides/websocket-multi",
        [[audio(), FINAL]], 1,
    ),
    "the context in the other spelling": (
        "https://github.com/livekit/agents/issues/5813",
        [[{**audio(), "contextId": None, "context_id": "CONTEXT"},
          {"isFinal": True, "context_id": "CONTEXT"}]], 1,
    ),
    "no times, and the final with an empty audio": (
        "https://github.com/elevenlabs/elevenlabs-docs/pull/180",
        [[audio(alignment=None, normalizedAlignment=None), {**FINAL, "audio": None}]], 1,
    ),
    "something goes wrong and is not charged": (
        "https://github.com/pipecat-ai/pipecat/issues/1426",
        [[(1008, "We are sorry, something went wrong. You are not charged for this request.")],
         [audio(), FINAL]], 2,
    ),
    "too many contexts, of an earlier answer": (
        "https://github.com/livekit/agents-js/issues/1985",
        [error("max_active_conversations", "Maximum simultaneous contexts per WebSocket connection "
               "exceeded (5). Please close an existing context before opening a new one."),
         [audio(), FINAL]], 2,
    ),
    "too many at once": (
        "https://elevenlabs.io/docs/eleven-api/resources/errors: rate_limit_error",
        [error("concurrent_limit_exceeded", "Maximum number of concurrent requests exceeded."),
         [audio(), FINAL]], 2,
    ),
    "the system is busy": (
        "https://help.elevenlabs.io/hc/en-us/articles/19571824571921-API-Error-Code-429",
        [error("system_busy", "We are experiencing high levels of traffic."), [audio(), FINAL]], 2,
    ),
}  # fmt: skip

REFUSED: dict[str, tuple[str, Script]] = {
    "the voice is gone": (
        "close reasons in public logs of the WebSocket",
        [(1008, "A voice with voice_id v does not exist.")],
    ),
    "a library voice on a free plan": (
        "https://github.com/dograh-hq/dograh/issues/290, as an error in the WebSocket",
        error("paid_plan_required", "Free users cannot use library voices via the API."),
    ),
    "the credit is used up": (
        "https://help.elevenlabs.io/hc/en-us/articles/19572237925521-API-Error-Code-400-or-401",
        error("quota_exceeded", "This request exceeds your quota."),
    ),
    "unusual activity": (
        "https://help.elevenlabs.io/hc/en-us: free accounts behind shared addresses",
        [(1008, "Unusual activity detected. Free Tier usage disabled.")],
    ),
}


def spoken(scripts: list[Script]) -> tuple[float, list[str], bool, int]:
    """Seconds of audio, errors, whether the voice can still be used, and connections made."""

    async def main() -> tuple[float, list[str], bool, int]:
        path = "/v1/text-to-speech/{voice}/multi-stream-input"
        async with CapturedContexts(path, scripts) as vendor:
            voice = ElevenLabsTTS(
                api_key="k", voice_id="v", url=vendor.url, reconnect_wait_secs=0.05
            )
            async with StageHarness(voice) as line:
                await line.push(TTSSpeakFrame(TEXT))
                async with asyncio.timeout(8):
                    while voice.is_usable and not line.received(TTSStoppedFrame):
                        await asyncio.sleep(0.05)
                frames = [frame for _, frame in line.received(TTSAudioRawFrame)]
                errors = [frame.error for frame in line.errors]
                usable = voice.is_usable
        secs = sum(len(frame.audio) for frame in frames) / 2 / 24_000
        return secs, errors, usable, vendor.connections

    return virtual_time.run(main())


@pytest.mark.parametrize("name", SPOKEN)
def test_what_was_captured_is_heard_once(name: str) -> None:
    _, scripts, connections = SPOKEN[name]
    secs, _, usable, made = spoken(scripts)
    assert usable
    assert secs == pytest.approx(0.2, abs=0.05)
    assert made == connections, "a refusal that passes is waited out within the call"


@pytest.mark.parametrize("name", REFUSED)
def test_a_captured_refusal_that_lasts_is_said_and_nothing_is_tried_again(name: str) -> None:
    _, script = REFUSED[name]
    secs, errors, usable, made = spoken([script])
    assert (secs, usable, made) == (0.0, False, 1)
    assert errors


BODIES = {
    "paid plan": (
        '{"detail":{"type":"payment_required","code":"paid_plan_required","message":"Free users '
        "cannot use library voices via the API. Please upgrade your subscription to use this "
        'voice.","status":"payment_required","request_id":"r"}}',
        ErrorCategory.QUOTA,
    ),  # https://github.com/dograh-hq/dograh/issues/290
    "older, of a free plan": (
        '{"detail":{"status":"payment_required","message":"Free users cannot use library voices '
        'via the API. Please upgrade your subscription to use this voice"}}',
        ErrorCategory.QUOTA,
    ),  # https://github.com/OWASP/Nest/issues/3859
    "something went wrong": (
        '{"detail":{"status":"something_went_wrong","message":"We are sorry, something went '
        'wrong. You are not charged for this request."}}',
        None,
    ),  # https://github.com/elevenlabs/elevenlabs-python/issues/351
    "a code of tomorrow, of a type that is known": (
        '{"detail":{"type":"authorization_error","code":"region_not_allowed","message":"No."}}',
        ErrorCategory.AUTHORIZATION,
    ),
    "too many requests": (
        '{"detail":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Wait."}}',
        None,
    ),
    "a text that is too long": (
        '{"detail":{"type":"validation_error","code":"text_too_long","message":"Long."}}',
        None,
    ),
    "no body at all": ("", None),  # https://github.com/elevenlabs/elevenlabs-python/issues/625
    "a proxy's page": ("<html>Forbidden</html>", None),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_captured_body_is_passing_or_lasting_as_its_document_says(name: str) -> None:
    body, category = BODIES[name]
    assert refusal_of(body).category is category


def test_all_that_was_captured_is_as_documented() -> None:
    scripts = [script for _, scripts, _ in SPOKEN.values() for script in scripts]
    scripts += [script for _, script in REFUSED.values()]
    messages = [step for script in scripts for step in script if not isinstance(step, tuple)]
    messages += [json.loads(body) for body, _ in BODIES.values() if body.startswith("{")]
    for message in messages:
        assert GRAMMARS["elevenlabs"].check(message) == [], message
