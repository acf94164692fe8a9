import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader

from recording import writer as writing
from recording.mcap_file import McapFile
from recording.recording import Recording, RecordingError
from recording.schemas import TOPICS, schema_name, schema_text
from recording.writer import InlineWriter, RecordingWriter
from tests.recording.call import START_NS, STARTED_AT, about, messages, record, tone


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "c-test.mcap"
    record(path)
    return path


def test_the_plain_library_reads_it_back_and_finds_every_checksum_right(recorded: Path) -> None:
    with recorded.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        read = list(reader.iter_messages())
        assert {metadata.name for metadata in reader.iter_metadata()} == {"viva"}
    assert summary.statistics.message_count == len(read) == len(messages())
    assert {channel.message_encoding for _, channel, _ in read} == {"json"}
    assert {schema.encoding for schema, _, _ in read if schema} == {"jsonschema"}
    assert [message.sequence for _, _, message in read] == list(range(len(read)))
    with recorded.open("rb") as stream:
        assert list(StreamReader(stream, validate_crcs=True).records)
    assert summary.statistics.chunk_count == 3, "about one a second"
    assert recorded.stat().st_mode & 0o077 == 0, "nobody else may read it"


def test_messages_are_what_their_schemas_say(recorded: Path) -> None:
    for schema, _, message in make_reader(recorded.open("rb")).iter_messages():
        assert schema is not None
        jsonschema.validate(json.loads(message.data), json.loads(schema.data))


def test_every_topic_has_a_schema_that_is_one() -> None:
    for topic in TOPICS:
        jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(topic)))


def test_topics_that_share_a_schemas_name_share_the_schema() -> None:
    named: dict[str, Any] = {}
    for topic, schema in TOPICS.items():
        assert named.setdefault(schema_name(topic), schema) == schema, topic


def test_what_was_written_is_read(recorded: Path) -> None:
    recording = Recording.load(recorded)
    assert (recording.call, recording.started_at, recording.whole) == ("c-test", STARTED_AT, True)
    assert recording.vendors["stt"] == "whisper"
    assert recording.settings["vad_stop_secs"] == 0.2
    assert recording.duration_secs == pytest.approx(3.0)
    (said,) = recording.topic("/stt/TranscriptionFrame")
    assert (said.stage, said.kind) == ("stt", "TranscriptionFrame")
    assert said.at == pytest.approx(0.9)
    assert said.data == {"text": "Where is it?", "finalized": True}
    first = next(recording.topic("/caller/audio"))
    assert first.data["timestamp"]["sec"] == 1_800_000_000
    assert first.data["timestamp"]["nsec"] == pytest.approx(270_000_000, abs=256)


def test_no_secret_is_among_the_settings(recorded: Path) -> None:
    assert b"sk-ant" not in recorded.read_bytes()
    assert "anthropic_api_key" not in Recording.load(recorded).settings
    assert not {"database_url", "data_dir", "admins"} & set(Recording.load(recorded).settings)


def test_the_same_call_has_the_same_digest_whenever_and_however_it_was_written(
    tmp_path: Path,
) -> None:
    record(tmp_path / "a.mcap")
    record(tmp_path / "b.mcap")
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    digest = Recording.load(tmp_path / "a.mcap").digest

    later = InlineWriter().open(tmp_path / "c.mcap", about("c-other", started_at="1900000000.0"))
    for at_ns, topic, data in messages():
        later.write(at_ns - START_NS + 1_900_000_000 * 10**9, topic, data)
    later.close()
    assert Recording.load(tmp_path / "c.mcap").digest == digest

    other = InlineWriter().open(tmp_path / "d.mcap", about())
    for at_ns, topic, data in messages():
        text = data | {"text": "Where was it?"} if "text" in data else data
        other.write(at_ns, topic, text)
    other.close()
    assert Recording.load(tmp_path / "d.mcap").digest != digest


async def test_a_thread_writes_the_same_as_no_thread(tmp_path: Path) -> None:
    record(tmp_path / "inline.mcap")
    writer = RecordingWriter()
    record(tmp_path / "thread.mcap", writer=writer)
    await writer.close()
    read = Recording.load(tmp_path / "thread.mcap")
    assert read.whole
    assert read.digest == Recording.load(tmp_path / "inline.mcap").digest
    assert writer.waiting_bytes == 0


def test_the_callers_audio_is_where_it_was_spoken_and_not_where_the_network_brought_it(
    tmp_path: Path,
) -> None:
    file = InlineWriter().open(tmp_path / "late.mcap", about())
    # Spoken from 0 to 0.08 and from 0.5 to 0.56, the second piece held back for 50 ms.
    for at, level in ((0.02, 1), (0.09, 2), (0.09, 3), (0.09, 4), (0.52, 5), (0.54, 6), (0.56, 7)):
        file.write(START_NS + round(at * 1e9), "/caller/audio", _audio(level))
    file.close()
    heard = np.frombuffer(Recording.load(tmp_path / "late.mcap").caller_audio(), np.int16)
    assert heard[:1280].tolist() == [level for level in (1, 2, 3, 4) for _ in range(320)]
    assert set(heard[1280:8000]) == {0}
    assert heard[8000:].tolist() == [level for level in (5, 6, 7) for _ in range(320)]


def test_the_agents_audio_is_as_it_was_played_and_ends_where_it_was_interrupted(
    tmp_path: Path,
) -> None:
    file = InlineWriter().open(tmp_path / "cut.mcap", about())
    # Half a second of voice is sent in one go, and interrupted when 0.3 s of it were played.
    for level in (1, 2, 3, 4, 5):
        file.write(START_NS + 10**9, "/agent/audio", _audio(level, 2400, 24_000))
    file.write(START_NS + 1_300_000_000, "/agent/page", {"type": "bot-interrupted"})
    file.write(START_NS + 1_500_000_000, "/agent/audio", _audio(9, 2400, 24_000))
    file.close()
    played = np.frombuffer(Recording.load(tmp_path / "cut.mcap").agent_audio(), np.int16)
    voices = {level: np.flatnonzero(played == level) / 24_000 for level in (1, 2, 3, 4, 9)}
    assert voices[1][0] == pytest.approx(1.0)
    assert voices[3][-1] == pytest.approx(1.3, abs=1e-3)
    assert len(voices[4]) == 0
    assert voices[9][0] == pytest.approx(1.5)


def test_audio_that_was_removed_is_silence_of_the_same_length(tmp_path: Path) -> None:
    file = InlineWriter().open(tmp_path / "mute.mcap", about())
    file.write(START_NS + 10**9, "/caller/audio", _audio(7) | {"data": "", "samples": 320})
    file.close()
    recording = Recording.load(tmp_path / "mute.mcap")
    (mute,) = recording.topic("/caller/audio")
    assert (mute.pcm(), mute.samples) == (bytes(640), 320)
    assert set(recording.caller_audio()) == {0}


# Files that are not as they should be.


def test_a_cut_file_is_read_to_its_last_whole_chunk_wherever_it_was_cut(recorded: Path) -> None:
    content, whole = recorded.read_bytes(), Recording.load(recorded)
    counts = []
    for end in range(2500, len(content), 97):
        recorded.write_bytes(content[:end])
        cut = Recording.load(recorded)
        assert not cut.whole
        assert cut.messages == whole.messages[: len(cut.messages)]
        counts.append(len(cut.messages))
    assert counts == sorted(counts)
    assert 0 < counts[len(counts) // 2] < len(whole.messages)


def test_a_single_flipped_bit_is_found_wherever_it_is(recorded: Path) -> None:
    content, digest = bytearray(recorded.read_bytes()), Recording.load(recorded).digest
    outcomes = []
    for at in range(8, len(content), 41):
        content[at] ^= 0x10
        recorded.write_bytes(content)
        outcomes.append(_digest_or_reason(recorded))
        content[at] ^= 0x10
    refused = [outcome for outcome in outcomes if outcome != digest]
    assert len(refused) > len(outcomes) / 2
    assert all(str(recorded) in message for message in refused), "what is read must be the same"


def _digest_or_reason(path: Path) -> str:
    try:
        return Recording.load(path).digest
    except RecordingError as error:
        return str(error)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin as an MCAP file does"),
        (b"RIFF1234WAVE", "does not begin as an MCAP file does"),
        (b"\x89MCAP0\r\n", "cut before it held anything"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=reason):
        Recording.load(path)


def test_a_file_of_another_kind_or_of_the_future_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = tmp_path / "future.mcap"
    InlineWriter().open(future, about(format="99", version="7.0.0")).close()
    with pytest.raises(RecordingError, match=r"format '99'.*reads '1', '2', '3'.*Viva 7\.0\.0"):
        Recording.load(future)
    monkeypatch.setattr("recording.mcap_file.PROFILE", "ros2")
    robot = tmp_path / "robot.mcap"
    InlineWriter().open(robot, about()).close()
    with pytest.raises(RecordingError, match="profile 'ros2'"):
        Recording.load(robot)
    with pytest.raises(RecordingError, match="No such file"):
        Recording.load(tmp_path / "missing.mcap")


def test_a_process_that_is_killed_leaves_a_file_up_to_its_last_chunk(tmp_path: Path) -> None:
    path = tmp_path / "killed.mcap"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.recording.writing_process", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    recording = Recording.load(path)
    assert not recording.whole
    assert recording.duration_secs >= 4.0


# What a writer must never do to a call.


async def test_an_unwritable_folder_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("a file where the folder should be")
    lost: list[str] = []
    writer = RecordingWriter(drain_secs=0.01)
    file = writer.open(tmp_path / "recordings" / "c.mcap", about(), lost=lost.append)
    for at_ns, topic, data in messages(0.5):
        file.write(at_ns, topic, data)
    async with asyncio.timeout(5):
        while not lost:
            await asyncio.sleep(0.01)
    for at_ns, topic, data in messages(0.5):
        file.write(at_ns, topic, data)
    file.close()
    await writer.close()
    assert len(lost) == 1


async def test_a_full_disk_ends_the_recording_and_leaves_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    flush, flushes = McapFile.flush, 0

    def full(self: McapFile) -> None:
        nonlocal flushes
        flushes += 1
        if flushes > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(self)

    monkeypatch.setattr(McapFile, "flush", full)
    writer = RecordingWriter(drain_secs=0.01)
    file = writer.open(tmp_path / "c.mcap", about(), lost=lost.append)
    for at_ns, topic, data in messages(5.5):
        file.write(at_ns, topic, data)
    async with asyncio.timeout(5):
        while not lost:
            await asyncio.sleep(0.01)
    file.close()
    await writer.close()
    assert lost == ["No space left on device."]
    kept = Recording.load(tmp_path / "c.mcap")
    assert not kept.whole
    assert 1.9 < kept.duration_secs < 2.1


async def test_a_disk_that_stands_still_costs_bounded_memory_and_the_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    create = writing.create

    def slow(path: Path) -> Any:
        go_on.wait(10)
        return create(path)

    monkeypatch.setattr(writing, "create", slow)
    lost: list[str] = []
    writer = RecordingWriter(max_waiting_bytes=100_000, drain_secs=0.01)
    file = writer.open(tmp_path / "c.mcap", about(), lost=lost.append)
    most = 0
    for at_ns, topic, data in messages(60):
        file.write(at_ns, topic, data)
        most = max(most, writer.waiting_bytes)
    go_on.set()
    file.close()
    await writer.close()
    assert most <= 100_000
    assert lost == ["The disk is slower than the calls."]
    kept = Recording.load(tmp_path / "c.mcap")
    assert kept.whole
    assert kept.trouble == "The disk is slower than the calls."
    assert 0 < kept.duration_secs < 60


async def test_a_server_that_ends_finishes_the_recordings_that_are_open(tmp_path: Path) -> None:
    writer = RecordingWriter()
    file = writer.open(tmp_path / "c.mcap", about())
    for at_ns, topic, data in messages(0.5):
        file.write(at_ns, topic, data)
    await writer.close()
    assert Recording.load(tmp_path / "c.mcap").whole


def test_a_topic_that_is_none_is_an_error_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="/no/Such"):
        InlineWriter().open(tmp_path / "c.mcap", about()).write(0, "/no/Such", {})


def test_time_never_falls(tmp_path: Path) -> None:
    file = InlineWriter().open(tmp_path / "c.mcap", about())
    for at in (2.0, 1.0, 3.0):
        file.write(START_NS + round(at * 1e9), "/turn/DuckFrame", {})
    file.close()
    assert [message.at for message in Recording.load(tmp_path / "c.mcap").messages] == [
        2.0,
        2.0,
        3.0,
    ]


def test_the_digest_is_of_every_message(recorded: Path) -> None:
    recording = Recording.load(recorded)
    shorter = replace(recording, messages=recording.messages[:-1])
    assert shorter.digest != recording.digest


def _audio(level: int, samples: int = 320, rate: int = 16_000) -> dict[str, Any]:
    from recording.frames import raw_audio

    return raw_audio(tone(samples, level), rate)
