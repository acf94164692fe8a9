"""The account's voices, looked up at start from a simulated ElevenLabs."""

import asyncio
from collections.abc import Sequence

import pytest

from pipeline.choice import choose_for, settle
from pipeline.vendors.elevenlabs import VENDOR
from processors.tts.elevenlabs.errors import category_of
from processors.tts.elevenlabs.messages import Message
from processors.tts.elevenlabs.voices import VoicesError, choose_voice
from settings import Settings, SettingsError
from simulators.elevenlabs import DEFAULT_VOICE, OWN_VOICE, ElevenLabsSimulator


def choice_of(
    voices: Sequence[str] | None = None,
    *,
    keys: Sequence[str] = ("k",),
    speech_only: Sequence[str] = (),
    **own: str,
) -> str:
    """Who speaks in the end, and what is said of it."""

    async def main() -> str:
        async with ElevenLabsSimulator(
            voices=voices, keys=keys, speech_only=speech_only
        ) as simulator:
            settings = Settings(  # type: ignore[call-arg]
                _env_file=None,
                elevenlabs_api_key="k",
                elevenlabs_base_url=simulator.url,
                **own,  # type: ignore[arg-type]
            )
            first = {"tts": choose_for("tts", settings)}
            choice = (await asyncio.to_thread(settle, first, settings))["tts"]  # type: ignore[arg-type]
            return " ".join([choice.vendor.name, *choice.refused])

    return asyncio.run(main())


def test_the_accounts_own_voice_is_taken_where_none_is_set() -> None:
    assert choice_of() == "elevenlabs"

    async def main() -> None:
        async with ElevenLabsSimulator() as simulator:
            voice = await asyncio.to_thread(choose_voice, "k", simulator.url, "")
            assert voice.id == OWN_VOICE, "not a default, which expires"
            set_by_name = await asyncio.to_thread(choose_voice, "k", simulator.url, DEFAULT_VOICE)
            assert set_by_name.expires

    asyncio.run(main())


def test_a_voice_that_is_gone_is_told_with_those_that_there_are_and_another_speaks() -> None:
    said = choice_of(["Abc123", "Def456"], elevenlabs_voice_id="gone")
    assert said.startswith("hibari ElevenLabs cannot be used: the account has no voice 'gone'")
    assert "Voice 1 (Abc123), Voice 2 (Def456)" in said


def test_a_vendor_that_is_named_is_not_replaced() -> None:
    with pytest.raises(SettingsError, match="TTS=elevenlabs: the account has no voice of its own"):
        choice_of([], tts="elevenlabs")


def test_a_key_for_speech_alone_speaks_with_the_voice_that_is_set() -> None:
    assert choice_of(speech_only=["k"], elevenlabs_voice_id="Abc123") == "elevenlabs"
    said = choice_of(speech_only=["k"])
    assert said.startswith("hibari ElevenLabs cannot be used: its voices cannot be listed")
    assert "missing the permission voices_read" in said
    assert "set ELEVENLABS_VOICE_ID to the id of a voice" in said


def test_a_key_that_is_refused_is_said_before_a_call() -> None:
    said = choice_of(keys=["another"], elevenlabs_voice_id="Abc123")
    refused = "it refuses the key in ELEVENLABS_API_KEY (HTTP 401 invalid_api_key "
    assert said.startswith(f"hibari ElevenLabs cannot be used: {refused}")


def test_a_vendor_that_cannot_be_reached_is_no_reason_to_refuse() -> None:
    with pytest.raises(VoicesError, match=r"nobody answers at http://127\.0\.0\.1:9") as raised:
        choose_voice("k", "http://127.0.0.1:9", "")
    assert not raised.value.permanent


@pytest.mark.parametrize("model", ["eleven_v4", "eleven_v4_turbo", "eleven_v3_conversational"])
def test_a_model_of_another_protocol_is_refused_by_name(model: str) -> None:
    with pytest.raises(
        SettingsError, match=f"ELEVENLABS_MODEL={model} needs the text-to-dialogue protocol"
    ):
        choice_of(elevenlabs_model=model)
    assert VENDOR.unfit is not None


@pytest.mark.parametrize(
    ("code", "message", "lasts"),
    [
        ("concurrent_limit_exceeded", "", False),
        ("system_busy", "", False),
        ("paid_plan_required", "", True),
        ("can_not_use_free_tier", "", True),
        ("", "Unusual activity detected. Free Tier usage disabled.", True),
        ("quota_exceeded", "", True),
    ],
)
def test_a_refusal_that_passes_is_told_from_one_that_lasts(
    code: str, message: str, lasts: bool
) -> None:
    assert (category_of(code, message) is not None) is lasts


@pytest.mark.parametrize("name", ["contextId", "context_id"])
def test_a_context_has_either_spelling(name: str) -> None:
    assert Message.model_validate({name: "one"}).context_id == "one"
