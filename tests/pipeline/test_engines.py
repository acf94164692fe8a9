"""Engines are loaded in a thread, and so is whatever a call's parts import."""

import asyncio
import dataclasses
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from conversation.meter import Meter
from knowledge.loading.document import load
from pipeline.choice import choose
from pipeline.engines import Engines, load_vendor
from pipeline.vendors import Context, Vendor
from processors.tts.speech_queue import SpeechQueue
from settings import Settings
from tests.chain import ScriptedVoice

SDK = """
import threading, time
time.sleep(0.2)
imported_by = threading.current_thread()
"""


@pytest.fixture(name="voice")
def vendor_of_a_slow_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    (tmp_path / "slow_sdk_of_a_vendor.py").write_text(SDK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_sdk_of_a_vendor", raising=False)

    def build(_: Any, context: Context) -> SpeechQueue:
        import slow_sdk_of_a_vendor  # type: ignore[import-not-found] # noqa: F401

        from conversation.turns import Conversation

        return ScriptedVoice(Conversation())

    return Vendor("tts", "slow", "Slow", "cloud", "its SDK takes its time", build=build)


async def test_an_sdk_is_imported_before_a_call_comes_and_not_on_the_event_loop(
    voice: Vendor,
) -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    nobody = dataclasses.replace(voice, name="none", build=lambda *_: None)
    choices = {
        stage: dataclasses.replace(choice, vendor=voice if stage == "tts" else nobody, reserves=())
        for stage, choice in choose(settings).items()
    }
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    engines = await Engines.load(settings, load(), choices, lambda _label, _share: None)
    ticking.cancel()
    sdk = sys.modules["slow_sdk_of_a_vendor"]
    assert sdk.imported_by is not threading.main_thread()
    assert ticks > 3, "the loop went on while the SDK was imported"
    assert isinstance(engines.text_to_speech(Meter()), ScriptedVoice)


def test_what_keeps_a_part_from_being_made_is_told_when_it_is_loaded(voice: Vendor) -> None:
    def build(*_: Any) -> Any:
        raise ValueError("voice_id is '': it must be letters")

    broken = dataclasses.replace(voice, build=build)
    context = Context(Settings(_env_file=None), load())  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="voice_id is ''"):
        load_vendor(broken, context, lambda _label, _share: None)
