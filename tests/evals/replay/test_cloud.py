"""A call on the simulated cloud, held again: words with times, early answers, turns that the
recogniser ends."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from client.caller import Caller
from client.wav import read_wav
from evals.replay import virtual_time
from evals.replay.recorded_call import Options, replay
from pipeline.choice import choose
from pipeline.engines import Engines
from processors.brain.speculation import Speculation
from recording.recording import Recording
from server import Server
from settings import Settings
from simulators.deepgram_recogniser import Utterance, speech_secs
from simulators.simulate import Simulators
from tests.conftest import AUDIO

SAID: Mapping[str, str] = {
    "after-the-war": "Where did she work after the war?",
    "stanford": "When did she graduate from Stanford?",
    "first-compiler": "What was the first compiler?",
}


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory, engines: Engines) -> Path:
    folder = tmp_path_factory.mktemp("cloud")
    with pytest.MonkeyPatch.context() as patch:
        virtual_time.run(hold(folder, engines, patch))
    return next((folder / "recordings").glob("*.mcap"))


async def hold(folder: Path, engines: Engines, patch: pytest.MonkeyPatch) -> None:
    document = engines.document
    wavs = [AUDIO / f"{name}.wav" for name in SAID]
    said = [
        Utterance(text, speech_secs=speech_secs(read_wav(wav)), pauses=True)
        for text, wav in zip(SAID.values(), wavs, strict=True)
    ]
    simulators = Simulators(
        document,
        whisper=engines.loaded["whisper"],
        hibari=engines.loaded["hibari"],
        brain=engines.loaded["extractive"],
        heard=said,
    )
    async with simulators:
        for name, value in simulators.environment.items():
            patch.setenv(name, value)
        settings = Settings(_env_file=None, record="all", auth="off", data_dir=folder)  # type: ignore[call-arg]
        cloud = await Engines.load(settings, document, choose(settings), lambda *_: None)
        # Calls before it have earned what this one may waste.
        speculation = Speculation(max_wasted_share=settings.preemptive_waste)
        speculation.record_used(10_000)
        speculation.used_tokens = 1_000_000
        server = Server(
            settings, document, cloud.choices, engines=replace(cloud, speculation=speculation)
        )
        async with TestServer(server.app()) as listening:
            url = str(listening.make_url("/call")).replace("http", "ws", 1)
            await Caller(url, wavs, barge_in_secs=1.5).call()


def test_the_call_is_one_of_the_cloud(call: Path) -> None:
    recorded = Recording.load(call)

    assert recorded.vendors == {
        "vad": "silero",
        "stt": "deepgram-flux",
        "brain": "claude",
        "tts": "elevenlabs",
    }
    assert any(message.data["timed"] for message in recorded.topic("/tts/TTSTextFrame"))
    assert any(message.data["speculation"] for message in recorded.topic("/turn/TurnFrame"))
    assert any(True for _ in recorded.topic("/turn/InterruptionFrame"))


@pytest.mark.parametrize("source", ["audio", "transcript", "decision"])
def test_it_replays_as_it_was(call: Path, tmp_path: Path, source: str) -> None:
    entry = replay(call, tmp_path / "again.mcap", Options(source=source))  # type: ignore[arg-type]

    assert entry["differs"] == []
    assert entry["missing"] == []
    if source == "decision":
        return
    recorded, replayed = Recording.load(call), Recording.load(tmp_path / "again.mcap")
    for then, now in zip(
        recorded.topic("/brain/Asked"), replayed.topic("/brain/Asked"), strict=True
    ):
        assert now.data["question"] == then.data["question"], "early answers are begun alike"
    words = [
        [message.data["text"] for message in recording.topic("/tts/TTSTextFrame")]
        for recording in (recorded, replayed)
    ]
    assert words[0] == words[1]


def test_it_replays_with_the_embedded_voice_in_place_of_the_clouds(
    call: Path, tmp_path: Path
) -> None:
    options = Options(source="decision", vendors={"tts": "hibari"})
    entry = replay(call, tmp_path / "again.mcap", options)

    what = [differ["what"] for differ in entry["differs"]]
    assert not any("question" in entry or "decision" in entry for entry in what)
    replayed = Recording.load(tmp_path / "again.mcap")
    assert replayed.vendors["tts"] == "hibari"
    assert any(message.samples for message in replayed.topic("/tts/TTSAudioRawFrame"))
