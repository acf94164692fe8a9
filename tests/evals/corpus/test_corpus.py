"""The calls that ship: what their truth says, small, and made by a script that anyone can run."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from client.handset import STEP, Microphone
from client.wav import INPUT_RATE
from evals.corpus import beds, scenario
from evals.corpus.make import make
from evals.corpus.scenario import Bed, Scenario, ScenarioError
from evals.replay import virtual_time
from evals.scoring.truth import CallTruth, Truth, Utterance
from pipeline.engines import Engines
from recording.recording import Recording

CORPUS = Path(scenario.__file__).parent
TRUTH = Truth.load(CORPUS / "truth.toml")
NAMES = sorted(TRUTH.calls)
FIRSTS = {name.rsplit("-", 1)[0]: name for name in reversed(NAMES)}.values()
EACH = [pytest.param(name, marks=() if name in FIRSTS else pytest.mark.thorough) for name in NAMES]
"""All calls; the first of each kind is heard on every run of the tests."""
MAX_BYTES = 12_000_000
COVERED = {
    "clean",
    "followup",
    "hesitation",
    "pause",
    "backchannel",
    "cough",
    "background",
    "bargein",
    "noise",
    "unanswerable",
    "sensitive",
    "silence",
    "injection",
    "courtesy",
}


def test_every_call_has_its_recording_its_truth_and_its_script() -> None:
    scripted = {f"{script.name}.mcap" for script in scenario.load()}
    assert set(NAMES) == scripted == {path.name for path in CORPUS.glob("*.mcap")}
    assert len(NAMES) >= 40


def test_the_corpus_covers_what_calls_are_like_in_several_voices() -> None:
    assert {tag for call in TRUTH.calls.values() for tag in call.tags} == COVERED
    assert len({call.voice for call in TRUTH.calls.values()}) >= 3
    snrs = {utterance.snr_db for call in TRUTH.calls.values() for utterance in call.utterances}
    assert snrs >= {20.0, 10.0, 5.0}


def test_it_is_small_enough_for_the_repository() -> None:
    assert sum(path.stat().st_size for path in CORPUS.glob("*.mcap")) <= MAX_BYTES


@pytest.mark.parametrize("name", EACH)
def test_a_recording_is_whole_and_says_nothing_of_who_made_it(name: str) -> None:
    recording = Recording.load(CORPUS / name)
    assert recording.whole
    assert not recording.trouble
    assert recording.call == f"corpus-{name.removesuffix('.mcap')}"
    said = "\n".join(
        str({key: value for key, value in message.data.items() if key != "data"})
        for message in recording.messages
    ) + str(recording.metadata)
    assert not re.search(r"\w@\w|(?<!http:)/(?:home|root|tmp|work|Users)/", said)
    voice = [message for message in recording.topic("/agent/audio") if message.data["data"]]
    assert not voice, "the agent's voice can be made again, and is large"
    assert any(recording.topic("/agent/audio")), "its length is kept"


def loudest(line: npt.NDArray[np.int16], start: float, end: float) -> int:
    """The loudest sample between two moments."""
    first, last = (max(0, round(secs * INPUT_RATE)) for secs in (start, end))
    return int(np.abs(line[first:last].astype(np.int32)).max(initial=0))


def alone(call: CallTruth) -> list[Utterance]:
    """A call's utterances that nothing else sounds under."""
    clear = [utterance for utterance in call.utterances if utterance.snr_db is None]
    overlapping = [later for earlier, later in pairwise(clear) if later.start < earlier.end + 0.2]
    return [span for span in clear if span not in overlapping]


@pytest.mark.parametrize("name", EACH)
def test_the_truth_is_what_can_be_heard_in_the_recording(name: str) -> None:
    heard = np.frombuffer(Recording.load(CORPUS / name).caller_audio(), np.int16)
    for span in alone(TRUTH.calls[name]):
        peak = loudest(heard, span.start, span.end)
        assert peak > 300, "it sounds"
        if peak > 100 * STEP:  # of the distant, the microphone leaves only the loudest
            assert loudest(heard, span.start, span.start + 0.02) > 0.02 * peak, "from its start"
            assert loudest(heard, span.end - 0.02, span.end) > 0.02 * peak, "to its end"
        assert loudest(heard, span.start - 0.15, span.start - 0.03) < 0.08 * peak, "not before"
        assert loudest(heard, span.end + 0.05, span.end + 0.15) < 0.08 * peak, "not behind"
        for pause in span.pauses:
            assert loudest(heard, pause.start + 0.05, pause.end - 0.05) < 0.08 * peak, pause


# The script.


def test_a_scenario_that_cannot_be_held_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "calls.toml"
    head = '[[call]]\nname = "x"\ntitle = "t"\ntags = []\nvoice = "heart"\n'
    path.write_text(head + 'say = [{ file = "no-such.wav", after = 1 }]')
    with pytest.raises(ScenarioError, match=r"calls.toml, x: file is 'no-such.wav'"):
        scenario.load(path)
    path.write_text(head + 'say = [{ file = "where-studied.wav", after = 1, into = 2 }]')
    with pytest.raises(ScenarioError, match="one of after, into, then is needed"):
        scenario.load(path)
    path.write_text(head + 'loudness = 3\nsay = [{ file = "where-studied.wav", after = 1 }]')
    with pytest.raises(ScenarioError, match="loudness is no field"):
        scenario.load(path)
    path.write_text('[[call]]\nname = "x"\ntags = []\nvoice = "heart"')
    with pytest.raises(ScenarioError, match="x: title is missing"):
        scenario.load(path)


def test_a_microphone_places_a_sound_to_the_sample() -> None:
    microphone = Microphone()
    microphone.read(0.02)
    microphone.add_sound(0.01, np.full(320, 320.0, np.float32))
    heard = np.frombuffer(microphone.read(0.02) + microphone.read(0.02), np.int16)
    assert not heard[:160].any()
    assert (heard[160:480] == 320).all()
    assert not heard[480:].any()


def test_a_microphone_has_eleven_bits() -> None:
    microphone = Microphone(np.linspace(-40_000, 40_000, 320, dtype=np.float32))
    heard = np.frombuffer(microphone.read(0.02), np.int16)
    assert not (heard % STEP).any()
    assert heard.min() == -32_768
    assert heard.max() == 32_767 // STEP * STEP


@pytest.mark.parametrize("kind", ["line", "crowd", "babble"])
@pytest.mark.parametrize("snr_db", [20.0, 5.0])
def test_a_bed_lies_as_far_below_the_speech_as_it_says(kind: str, snr_db: float) -> None:
    time = np.arange(INPUT_RATE) / INPUT_RATE
    speech = np.where(time > 0.5, 8_000 * np.sin(2 * np.pi * 300 * time), 0).astype(np.float32)
    bed = beds.make(Bed(kind, snr_db), [speech], seed=1)  # type: ignore[arg-type]
    spoken = np.sqrt((speech[time > 0.5] ** 2).mean())
    assert 20 * np.log10(spoken / np.sqrt((bed**2).mean())) == pytest.approx(snr_db, abs=0.2)


def correction() -> Scenario:
    """The call in which a caller corrects themself over the answer."""
    return next(call for call in scenario.load() if call.name == "bargein-01")


def test_a_call_is_made_as_its_script_says(remembering: Engines, tmp_path: Path) -> None:
    corrected = correction()
    truths = virtual_time.run(make([corrected], tmp_path, remembering))
    (tmp_path / "truth.toml").write_text(truths[corrected.name])
    call = Truth.load(tmp_path / "truth.toml").calls[f"{corrected.name}.mcap"]
    question, bargein = call.utterances
    assert (question.kind, question.over_agent) == ("question", False)
    assert (bargein.kind, bargein.over_agent) == ("bargein", True)
    recording = Recording.load(tmp_path / f"{corrected.name}.mcap")
    (begun,) = recording.topic("/call/Begin")
    assert begun.data["call"] == recording.call == f"corpus-{corrected.name}"
    cut = [message.at for message in recording.topic("/turn/InterruptionFrame")]
    assert any(bargein.start < at < bargein.start + 2.0 for at in cut)


@pytest.mark.thorough
def test_a_line_into_an_answer_that_is_over_by_then_is_refused(
    remembering: Engines, tmp_path: Path
) -> None:
    corrected = correction()
    late = replace(corrected, lines=(corrected.lines[0], replace(corrected.lines[1], secs=45.0)))
    with pytest.raises(
        ScenarioError, match=r"bargein-01: no-i-meant-yale.wav: is to be said 45.0 s"
    ):
        virtual_time.run(make([late], tmp_path, remembering))
