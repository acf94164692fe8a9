"""Calls from elsewhere: their sound, their transcripts, and the recordings made of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from cli import app
from client.wav import read_wav
from evals.foreign.imported_call import UNCLEAR, ImportedCall, Turn, bursts_of, turns_of
from evals.foreign.sound import SoundError, Voices, two_channels, two_files, unmixed
from evals.foreign.speech import Stretch, transcribed, worded
from evals.foreign.transcript import Passage, TranscriptError, read, sides
from evals.replay.recorded_call import Options, replay
from evals.scoring.draft import draft
from evals.scoring.facts import Facts, facts_of
from knowledge.loading.document import load
from recording.message import Message
from recording.recording import AGENT_RATE, CALLER_RATE, Recording
from recording.rewriting import rewrite
from recording.transcript import transcript
from settings import Settings
from tests.conftest import AUDIO

DOCUMENT = Path("knowledge/grace-hopper.md")
SECS = 30.0


def said(start: float, end: float, text: str = "") -> Stretch:
    return Stretch(start, end, end + 0.2, text)


def tones(spans: Sequence[Stretch], rate: int) -> Any:
    line = np.zeros(round(SECS * rate), np.int16)
    for span in spans:
        first, last = round(span.start * rate), round(span.end * rate)
        line[first:last] = 8000 * np.resize([1, -1], last - first)
    return line


CALLER = [
    said(3.0, 4.5, "Where did she study?"),
    said(6.4, 6.8, "Mm-hm."),
    said(9.5, 10.0, "And where"),
    said(10.4, 11.5, "did she teach?"),
    said(14.0, 17.0, "Sorry, when was that?"),
    said(25.0, 26.0, "Thanks."),
]
AGENT = [
    said(0.5, 2.5, "Hello, this is the archive."),
    said(5.2, 7.0, "She studied mathematics and physics"),
    said(7.4, 8.5, "at Vassar College."),
    said(12.0, 15.0, "She taught mathematics at Vassar, from"),
    said(18.0, 20.0, "She flew to the moon."),
]


def imported(
    folder: Path, caller: Sequence[Stretch] = CALLER, agent: Sequence[Stretch] = AGENT
) -> tuple[Path, list[Turn]]:
    """The recording of a call, as ``viva recording import`` writes it once it has heard it."""
    voice = [
        message
        for stretch in caller
        for message in (
            Message(stretch.start + 0.1, "/vad/VADUserStartedSpeakingFrame", {"start_secs": 0.1}),
            Message(stretch.closed_at, "/vad/VADUserStoppedSpeakingFrame", {"stop_secs": 0.2}),
            Message(
                stretch.closed_at, "/vad/EndOfTurnFrame", {"probability": 0.97, "delay_secs": 0.0}
            ),
        )
    ]
    turns = turns_of(caller, bursts_of(agent, caller))
    voices = Voices(tones(caller, CALLER_RATE), tones(agent, AGENT_RATE))
    call = ImportedCall(
        "c-1",
        voices,
        transcribed(voice, caller),
        turns,
        document=load(DOCUMENT),
        vendors={"vad": "silero"},
    )
    path = folder / "call.mcap"
    rewrite(path, call.metadata(Settings.load(), 1.8e9), call.messages())
    return path, turns


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, _ = imported(tmp_path_factory.mktemp("imported"))
    return path


@pytest.fixture(scope="module")
def facts(call: Path) -> Facts:
    return facts_of(Recording.load(call))


def test_an_imported_call_reads_as_it_was_held(call: Path, facts: Facts) -> None:
    lines = [(line.who, line.text) for line in transcript(Recording.load(call))]
    assert lines == [
        ("agent", "Hello, this is the archive."),
        ("caller", "Where did she study?"),
        ("agent", "She studied mathematics and physics at Vassar College."),
        ("caller", "And where did she teach?"),
        ("agent", "She taught mathematics at Vassar, from"),
        ("caller", "Sorry, when was that?"),
        ("agent", "She flew to the moon."),
        ("caller", "Thanks."),
    ]
    assert [turn.record["interrupted"] for turn in facts.turns] == [False, True, False, False]
    assert [turn.decision for turn in facts.turns] == ["respond", "respond", "respond", None]
    waits = [turn.seconds("e2e_latency") for turn in facts.turns]
    assert waits == [pytest.approx(0.7), pytest.approx(0.5), pytest.approx(1.0), None]
    # Both voices are where they were in the sound.
    assert [round(voice.start, 1) for voice in facts.voice] == [0.5, 5.2, 12.0, 18.0]
    assert [round(stretch.start, 3) for stretch in facts.speech] == [s.start for s in CALLER]
    assert [round(stretch.end, 3) for stretch in facts.speech] == [s.end for s in CALLER]


def test_an_answer_cites_what_of_the_document_supports_it(facts: Facts) -> None:
    cited = [turn.sections for turn in facts.turns]
    assert "education" in cited[0]
    assert cited[2] == (), "no section says that she flew to the moon"


def test_a_replay_of_the_decisions_is_the_call_that_was_imported(
    call: Path, tmp_path: Path
) -> None:
    entry = replay(call, tmp_path / "again.mcap", Options(source="decision"))
    assert (entry["differs"], entry["missing"]) == ([], [])
    again = facts_of(Recording.load(tmp_path / "again.mcap"))
    # The agent's opening is a greeting, which comes at once: 0.4 s earlier.
    assert [round(voice.start, 1) for voice in again.voice] == [0.1, 4.8, 11.6, 17.7]


@pytest.mark.thorough
def test_a_caller_keeps_their_place_behind_another_brain(call: Path, tmp_path: Path) -> None:
    entry = replay(
        call, tmp_path / "other.mcap", Options(source="transcript", vendors={"brain": "extractive"})
    )
    asked = Recording.load(tmp_path / "other.mcap").topic("/turn/TurnFrame")
    assert "Where did she study?" in [message.data["question"] for message in asked]
    assert entry["turns"] >= 3


def test_the_truth_of_an_imported_call_can_be_drafted(facts: Facts) -> None:
    told = draft([facts])
    assert told.count('kind = "backchannel"') == 1
    assert told.count('kind = "bargein"') == 1


def test_an_agent_that_never_speaks_makes_a_call(tmp_path: Path) -> None:
    path, turns = imported(tmp_path, agent=[])
    assert [turn.number for turn in turns] == [0, 1]
    assert replay(path, tmp_path / "a.mcap", Options(source="decision"))["differs"] == []


def test_words_of_the_agent_that_nobody_understood_stand_as_unclear() -> None:
    (burst,) = bursts_of([said(1.0, 2.0)], [])
    assert burst.text == UNCLEAR


# Sound.


def test_any_rate_and_encoding_is_read(tmp_path: Path) -> None:
    both = np.zeros((8000, 2), np.float32)
    both[2000:4000, 0], both[5000:7000, 1] = 0.5, -0.25
    for name, kind in (("call.wav", "ULAW"), ("call.flac", "PCM_16"), ("call.WAV", "FLOAT")):
        soundfile.write(tmp_path / name, both, 8000, subtype=kind)
        voices = two_channels(tmp_path / name)
        assert (len(voices.caller), len(voices.agent)) == (CALLER_RATE, AGENT_RATE)
        assert voices.caller[6000] == pytest.approx(16384, rel=0.05)
        assert voices.agent[18000] == pytest.approx(-8192, rel=0.05)
        other = two_channels(tmp_path / name, caller_right=True)
        assert other.caller[12000] == pytest.approx(-8192, rel=0.05)


def test_sound_that_was_cut_is_told_and_what_is_there_is_read(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    soundfile.write(path, np.full((16_000, 2), 0.5), 8000, subtype="PCM_16")
    assert two_channels(path).trouble == ""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 8_000 * 4])
    cut = two_channels(path)
    assert cut.trouble == "call.wav is cut: 1.0 s of 2.0 s are there."
    assert cut.secs == pytest.approx(1.0)
    announced = whole.index(b"data") + 4
    path.write_bytes(whole[:announced] + b"\xff\xff\xff\xff" + whole[announced + 4 :])
    assert two_channels(path).trouble == "", "its recorder did not know the length"


@pytest.mark.parametrize(("channels", "told"), [(1, "has one channel"), (3, "has 3 channels")])
def test_what_is_not_two_channels_is_told(channels: int, told: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", np.zeros((800, channels)), 8000)
    with pytest.raises(SoundError, match=told):
        two_channels(tmp_path / "call.wav")


def test_sound_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with pytest.raises(SoundError, match="No such file"):
        two_files(path, None)
    path.write_text("no sound")
    with pytest.raises(SoundError, match="cannot be read as sound"):
        two_files(path, None)
    soundfile.write(path, np.zeros((0, 1)), 8000)
    with pytest.raises(SoundError, match="no samples"):
        two_files(path, None)
    soundfile.write(path, np.full((80, 1), np.nan), 8000, subtype="FLOAT")
    with pytest.raises(SoundError, match="no numbers"):
        two_files(path, None)
    soundfile.write(path, np.zeros((800, 2)), 8000)
    with pytest.raises(SoundError, match="--stereo"):
        two_files(path, None)


def test_a_mixture_is_divided_by_who_speaks_when(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", np.full(32000, 0.5), CALLER_RATE)
    voices = unmixed(tmp_path / "call.wav", [(0.2, 0.5)], [(1.2, 1.7)])
    assert [round(np.count_nonzero(abs(side) > 8000) / rate, 1) for side, rate in (
        (voices.caller, CALLER_RATE), (voices.agent, AGENT_RATE))] == [0.5, 0.7]  # fmt: skip


# Transcripts.

TOLD = (Passage("Ada", 1.0, 2.5, "Hello, are you there?"), Passage("Bot", 3.0, 4.0, "I am."))

FORMATS = {
    "a.json": json.dumps(
        {
            "segments": [
                {"speaker": "Ada", "start": 1, "end": 2.5, "text": "Hello,\nare you there?"},
                {"role": "Bot", "begin": 3.0, "stop": 4.0, "text": "I am."},
            ]
        }
    ),
    "a.vtt": "WEBVTT\n\nNOTE no cue\n\n00:01.000 --> 00:02.500\n<v Ada>Hello, are <i>you</i> there?"
    "\n\nid\n00:00:03.000 --> 00:00:04.000\nBot: I am.\n",
    "a.srt": "1\r\n00:00:01,000 --> 00:00:02,500\r\nAda: Hello, are you there?\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\nBot: I am.\r\n",
    "a.stm": ";; a remark\nx 1 Ada 1.0 2.5 <o,f0,female> Hello, are you there?\nx 1 Bot 3 4 I am.\n"
    "y 1 Eve 0 9 Of another file.\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_transcripts_of_every_format_say_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMATS[name])
    assert read(tmp_path / name, "call-x") == TOLD
    assert sides(TOLD) == ((TOLD[0],), (TOLD[1],)), "one of two is known: the other is the other"


def test_times_without_words_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.rttm").write_text("SPEAKER x 1 1.5 0.5 <NA> <NA> Ada <NA> <NA>\n")
    assert read(tmp_path / "a.rttm", "x") == (Passage("Ada", 1.5, 2.0, ""),)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.docx", "", "its ending is '.docx'; allowed: .json"),
        ("a.json", "{", "not JSON"),
        ("a.json", "3", "must be a list"),
        ("a.json", "[[]]", "passage 1 is []"),
        ("a.json", '[{"start": true}]', "start is True; it must be a number"),
        ("a.json", '[{"start": 1, "end": 0}]', "passage 1 goes from 1 to 0 s"),
        ("a.json", '[{"start": 1, "text": 5}]', "text is 5"),
        ("a.json", "[]", "no passages"),
        ("a.stm", "x 1 Ada 1.0", "line 1 is 'x 1 Ada 1.0'"),
        ("a.stm", "x 1 Ada one 2 Hi", "line 1: 'one' is no number"),
        ("a.stm", "x 1 Ada nan 2 Hi", "line 1 goes from nan to 2"),
        ("a.rttm", "SPEAKER x 1 2", "line 1 is"),
        ("a.stm", "x 1 Ada 1 2 Hi\ny 1 Ada 1 2 Hi", "of the files x, y"),
    ],
)
def test_a_transcript_that_cannot_be_used_is_told(
    name: str, content: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TranscriptError) as failed:
        read(tmp_path / name, "call")
    assert told in str(failed.value)


def test_who_is_the_caller_must_be_known() -> None:
    three = (*TOLD, Passage("Eve", 5.0, 6.0, "Me too."))
    assert sides(three, "Ada", "Eve") == ((three[0],), (three[2],))
    with pytest.raises(TranscriptError, match="'Ada', 'Bot', 'Eve'"):
        sides(three, "Zoe")
    with pytest.raises(TranscriptError, match="--caller-name"):
        sides(three)
    alone = (Passage("", 1.0, 2.0, "Hello."),)
    assert sides(alone) == (alone, ())


def test_words_go_to_the_speech_that_they_are_of() -> None:
    speech = [said(1.0, 2.0), said(2.5, 3.5), said(9.0, 9.5)]
    passages = [Passage("", 1.0, 3.5, "one two three four"), Passage("", 7.0, 8.0, "late")]
    assert [stretch.text for stretch in worded(speech, passages)] == [
        "one two", "three four", "late",
    ]  # fmt: skip
    assert worded([], passages) == []


# The command.


def viva(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["recording", "import", *map(str, words)])
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name the call's sound"),
        (["a.wav", "--caller", "b.wav"], "and not both"),
        (["a.wav", "--agent", "b.wav"], "and not both"),
        (["a.wav", "--swapped"], "--swapped is for --stereo"),
        (["--caller", "a.wav", "--stereo"], "--stereo is for one file"),
        (["a.wav", "--caller-name", "Ada"], "are names in a --transcript"),
        (["a.wav"], "a.wav cannot be read: No such file"),
        (["a.wav", "--transcript", "b.stm"], "b.stm cannot be read"),
        (["a.wav", "--out", "README.md"], "is there already"),
    ],
)
def test_what_cannot_be_imported_is_told(words: list[str], told: str) -> None:
    assert told in viva(*words, status=2)


@pytest.mark.thorough
def test_a_two_channel_file_becomes_a_recording_by_one_command(tmp_path: Path) -> None:
    """With the embedded voice activity, turn model and recogniser, at a telephone's rate."""
    both = np.zeros((16 * CALLER_RATE, 2), np.int16)
    for name, side, at in (
        ("where-studied", 0, 2.0),
        ("taught-at-vassar", 1, 5.0),
        ("age", 0, 10.0),
    ):
        pcm = np.frombuffer(read_wav(AUDIO / f"{name}.wav"), np.int16)
        both[round(at * CALLER_RATE) :][: len(pcm), side] = pcm
    soundfile.write(tmp_path / "call.wav", both[::2], CALLER_RATE // 2, subtype="ULAW")
    told = viva(tmp_path / "call.wav", "--stereo", "--document", DOCUMENT)
    assert "2 turns" in told
    recording = Recording.load(tmp_path / "call.mcap")
    lines = transcript(recording)
    assert [line.who for line in lines] == ["caller", "agent", "caller"]
    assert "study" in lines[0].text
    assert recording.vendors == {
        "vad": "silero", "stt": "whisper", "brain": "imported", "tts": "imported",
    }  # fmt: skip
    assert replay(tmp_path / "call.mcap", tmp_path / "d.mcap", Options(source="decision"))
