"""``viva recording``, as somebody types it."""

import json
import os
import re
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from conversation.frames import Exchange
from recording.commands import app
from recording.frames import of_history, raw_audio
from recording.recording import Recording, RecordingError
from recording.redaction import Masking
from recording.writer import InlineWriter
from tests.recording.call import START_NS, about, record, tone

MAIL = "ada.lovelace@example.com"
SPOKEN = "Write to ada at example dot com please."


def run(*words: str | Path, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def call(tmp_path: Path) -> Path:
    path = tmp_path / "c-test.mcap"
    record(path)
    return path


@pytest.fixture
def personal(tmp_path: Path) -> Path:
    """A call in which an address and a number are told, and named by the answer."""
    path = tmp_path / "c-personal.mcap"
    question = f"I am {MAIL}, call me on +44 20 7946 0958."
    answer = json.dumps({"sections": [], "answer": f"I will write to {MAIL}."})
    file = InlineWriter().open(path, about())
    said: list[tuple[str, dict[str, Any]]] = [
        ("/caller/audio", raw_audio(tone(320, 7), 16_000)),
        ("/stt/TranscriptionFrame", {"text": question, "finalized": True}),
        ("/stt/TranscriptionFrame", {"text": SPOKEN, "finalized": True}),
        ("/brain/Asked", {"ask": 1, "question": question, "history": of_history([
            Exchange(question=question, answer="She was born in 1815 and died in 1852.")
        ])}),
        *(
            ("/brain/Event", {"ask": 1, "event": "arguments", "json": piece, "brain": "b"})
            for piece in (answer[:40], answer[40:48], answer[48:])
        ),
        ("/agent/audio", raw_audio(tone(2400, 9), 24_000)),
        ("/agent/page", {"type": "bot-ready", "about": {"browser": "Lynx"}}),
    ]  # fmt: skip
    for number, (topic, data) in enumerate(said, start=1):
        file.write(START_NS + number * 10**8, topic, data)
    file.close()
    return path


def test_show_lists_the_topics(call: Path) -> None:
    shown = run("show", call)
    assert "c-test" in shown
    assert "whole" in shown
    assert re.search(r"/caller/audio\s+150\s+0:00\.0\s+0:03\.0\s+0:03\.0", shown)
    plain = json.loads(run("show", call, "--json"))
    assert plain["digest"] == Recording.load(call).digest
    assert plain["topics"]["/caller/audio"]["schema"] == "foxglove.RawAudio"
    assert plain["settings"]["call_secs"] == 120.0


def test_show_lists_every_message(call: Path) -> None:
    lines = run("show", call, "--messages").splitlines()
    assert len(lines) == len(Recording.load(call).messages)
    said = '{"finalized": true, "text": "Where is it?"}'
    assert f"    0.900  /stt/TranscriptionFrame  {said}" in lines
    plain = [json.loads(line) for line in run("show", call, "--messages", "--json").splitlines()]
    assert plain[0]["data"]["data"] == "320 samples"


def test_audio_has_the_caller_left_and_the_agent_right(call: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.wav"
    assert "0:03.0" in run("audio", call, "--out", out)
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 24_000, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert 150 <= np.abs(both[24_000:, 0]).max() <= 200
    assert both[24_500:, 1].max() >= 1000
    assert not both[:24_000, 1].any()
    assert out.stat().st_mode & 0o077 == 0


def test_a_redacted_call_keeps_its_course_but_not_its_voices(personal: Path) -> None:
    run("redact", personal)
    before = Recording.load(personal)
    after = Recording.load(personal.with_name("c-personal-redacted.mcap"))
    assert after.metadata["redacted"] == "yes"
    assert [(message.at, message.topic) for message in after.messages] == [
        (message.at, message.topic) for message in before.messages
    ]
    assert set(before.caller_audio()) != {0}
    assert set(after.caller_audio()) == {0}
    assert len(after.caller_audio()) == len(before.caller_audio())
    assert len(after.agent_audio()) == len(before.agent_audio())
    content = json.dumps([dict(message.data) for message in after.messages])
    for personal_word in (MAIL, "lovelace", "example", "7946", "Lynx"):
        assert personal_word not in content
    assert "1815" in content
    heard, spelled = (message.data["text"] for message in after.topic("/stt/TranscriptionFrame"))
    assert heard == "I am xxx.xxxxxxxx@xxxxxxx.xxx, call me on +00 00 0000 0000."
    assert spelled == "Write to xxx xx xxxxxxx xxx xxx please."
    (asked,) = after.topic("/brain/Asked")
    assert asked.data["question"] == heard, "the same question is still the same"
    pieces = [message.data["json"] for message in after.topic("/brain/Event")]
    assert [len(piece) for piece in pieces] == [
        len(message.data["json"]) for message in before.topic("/brain/Event")
    ]
    assert "xxx.xxxxxxxx@xxxxxxx.xxx" in json.loads("".join(pieces))["answer"]


def test_a_name_is_masked_if_it_is_given(personal: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mcap"
    run("redact", personal, "--word", "Write", "--out", out)
    said = [
        message.data["text"] for message in Recording.load(out).topic("/stt/TranscriptionFrame")
    ]
    assert said[1].startswith("xxxxx to xxx")


@pytest.mark.parametrize(
    "text",
    [
        "She worked there from 1944 to 1949, and from 1967 to 1986.",
        "The A-0 of 1952 was followed by FLOW-MATIC in 1955.",
        "Look at Harvard dot the i.",
        "It cost 1,200,000 dollars, of 3 to 4 years.",
        "One two three.",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert Masking().text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "020 7946 0958",
        "+1 (555) 010-9999",
        "oh two oh seven nine four six oh nine five eight",
        "grace.hopper+viva@navy.mil",
        "grace dot hopper at navy dot org",
        "grace at vassar.edu",
    ],
)
def test_what_is_personal_goes(text: str) -> None:
    masked = Masking().text(f"It is {text}, yes.")
    assert len(masked) == len(f"It is {text}, yes.")
    assert not re.search(r"[a-wyz1-9]", masked.removeprefix("It is ").removesuffix(", yes."))


def test_a_cut_file_is_repaired_and_a_whole_one_left_alone(call: Path) -> None:
    assert "nothing to repair" in run("repair", call)
    content = call.read_bytes()
    call.write_bytes(content[: len(content) * 2 // 3])
    cut = Recording.load(call)
    assert "is lost; `viva recording repair` makes a whole file of the rest" in run("show", call)
    run("repair", call, "--in-place")
    repaired = Recording.load(call)
    assert repaired.whole
    assert repaired.trouble == "The recording was cut short, by a crash perhaps."
    assert (repaired.digest, repaired.metadata) == (cut.digest, cut.metadata)
    assert list(call.parent.iterdir()) == [call], "nothing is left beside it"


def test_a_file_that_was_cut_before_its_call_began_is_not_said_to_be_repairable(call: Path) -> None:
    content = call.read_bytes()
    ends = range(0, len(content), 50)
    for end in ends:  # to where it holds its metadata and no message
        call.write_bytes(content[:end])
        with suppress(RecordingError):
            assert not Recording.load(call).messages
            break
    assert "there is nothing to repair" in run("show", call)
    assert "there is nothing to repair" in run("repair", call, "--in-place", status=2)
    assert call.read_bytes() == content[:end]


def test_a_pipe_is_not_replaced_by_a_recording(call: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    error = run("redact", call, "--out", pipe, status=2)
    assert "it is a pipe, and only a file is replaced" in error
    assert pipe.is_fifo()


def test_redacting_overwrites_nothing_but_the_recording_in_place(
    call: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.toml"
    truth.write_text("mine", "utf-8")
    before = call.read_bytes()
    for target in (truth, call):
        told = " ".join(run("redact", call, "--out", target, status=2).split())
        assert "is there already. Choose another by --out, or --in-place" in told
    assert (truth.read_text("utf-8"), call.read_bytes()) == ("mine", before)
    run("redact", call)
    assert "is there already" in " ".join(run("redact", call, status=2).split())


def test_what_cannot_be_read_or_written_is_said_in_a_sentence(call: Path, tmp_path: Path) -> None:
    for command in ("show", "audio", "transcript", "redact", "repair"):
        assert "cannot be read: No such file" in run(command, tmp_path / "no.mcap", status=2)
    nowhere = tmp_path / "no" / "such" / "folder.mcap"
    nowhere.parent.parent.write_text("a file")
    assert "cannot be written" in run("redact", call, "--out", nowhere, status=2)
    assert "exclude each other" in run("redact", call, "--out", nowhere, "--in-place", status=2)
