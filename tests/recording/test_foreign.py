"""Recordings that another tool has written anew, and files made to harm whoever reads them."""

import itertools
import json
import struct
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from typer.testing import CliRunner

from recording.commands import app
from recording.recording import Recording, RecordingError
from recording.schemas import TOPICS
from tests.recording.call import START_NS, about, record

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, CHUNK, METADATA = 0x01, 0x02, 0x06, 0x0C


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "c-test.mcap"
    record(path, secs=1.2)
    return path


def rewritten(
    source: Path,
    *,
    profile: str = "viva",
    shuffled: bool = False,
    metadata_last: bool = True,
    chunked: bool = True,
    compression: CompressionType = CompressionType.LZ4,
    crcs: bool = True,
) -> bytes:
    """A recording as another tool writes it."""
    stream = BytesIO()
    writer = Writer(
        stream,
        chunk_size=4 * 1024 * 1024,
        compression=compression,
        use_chunking=chunked,
        enable_crcs=crcs,
        enable_data_crcs=crcs,
    )
    writer.start(profile=profile, library="another tool")
    if not metadata_last:
        writer.add_metadata("viva", known())
    channels: dict[str, int] = {}
    read = list(make_reader(BytesIO(source.read_bytes())).iter_messages())
    if shuffled:
        read = [*read[1::2], *read[::2]]
    for schema, channel, message in read:
        assert schema is not None
        if channel.topic not in channels:
            id = writer.register_schema(schema.name, schema.encoding, schema.data)
            channels[channel.topic] = writer.register_channel(channel.topic, "json", id)
        writer.add_message(
            channels[channel.topic],
            message.log_time,
            message.data,
            publish_time=message.publish_time,
            sequence=message.sequence,
        )
    if metadata_last:
        writer.add_metadata("viva", known())
    writer.finish()
    return stream.getvalue()


@pytest.mark.parametrize(
    "anew",
    [
        rewritten,
        lambda source: rewritten(source, profile=""),
        lambda source: rewritten(source, compression=CompressionType.NONE),
        lambda source: rewritten(source, compression=CompressionType.ZSTD, shuffled=True),
        lambda source: rewritten(source, chunked=False, crcs=False, shuffled=True),
        lambda source: rewritten(source, metadata_last=False, crcs=False),
    ],
    ids=["lz4", "no profile", "uncompressed", "in another order", "no chunks", "no checksums"],
)
def test_a_recording_that_another_tool_has_written_anew_is_the_same_call(
    recorded: Path, tmp_path: Path, anew: Callable[[Path], bytes]
) -> None:
    path = tmp_path / "anew.mcap"
    path.write_bytes(anew(recorded))
    assert Recording.load(path).digest == Recording.load(recorded).digest


@cache
def known() -> dict[str, str]:
    return about()


def a_record(opcode: int, body: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(body)) + body


def text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def a_chunk(compression: str, data: bytes, size: int) -> bytes:
    body = struct.pack("<QQQI", START_NS, START_NS, size, 0) + text(compression)
    return a_record(CHUNK, body + struct.pack("<Q", len(data)) + data)


def a_file(*records: bytes, **changes: str) -> bytes:
    entries = b"".join(text(name) + text(value) for name, value in (known() | changes).items())
    metadata = text("viva") + struct.pack("<I", len(entries)) + entries
    return b"".join(
        (
            MAGIC,
            a_record(HEADER, text("viva") + text("")),
            a_record(METADATA, metadata),
            *records,
            a_record(FOOTER, bytes(20)),
            MAGIC,
        )
    )


LIMIT = 100_000
ZEROS = bytes(LIMIT + 1)


@pytest.mark.parametrize(
    ("chunk", "why"),
    [
        (a_chunk("zstd", zstandard.compress(ZEROS), len(ZEROS)), "holds 100001 bytes, more than"),
        (a_chunk("zstd", zstandard.compress(ZEROS), 9), "holds 100001 bytes, more than 100000"),
        (a_chunk("lz4", lz4.frame.compress(ZEROS), len(ZEROS)), "holds 100001 bytes, more than"),
        (a_chunk("lz4", lz4.frame.compress(ZEROS), 9), "does not hold the 9 bytes that it should"),
        (a_chunk("lz4", b"", 2**64 - 1), "holds 18446744073709551615 bytes"),
    ],
    ids=["zstd", "a zstd that lies", "lz4", "an lz4 that lies", "16 EB"],
)
def test_a_chunk_that_unpacks_to_more_than_it_may_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: bytes, why: str
) -> None:
    monkeypatch.setattr("recording.recording.MAX_CHUNK_BYTES", LIMIT)
    path = tmp_path / "bomb.mcap"
    path.write_bytes(a_file(chunk))
    with pytest.raises(RecordingError, match=why):
        Recording.load(path)


def a_message(data: bytes, topic: str = "/turn/DuckFrame", at_ns: int = START_NS) -> bytes:
    channel = struct.pack("<HH", 1, 0) + text(topic) + text("json") + bytes(4)
    told = struct.pack("<HIQQ", 1, 0, at_ns, at_ns) + data
    return a_record(0x04, channel) + a_record(0x05, told)


def an_audio(data: str, **changes: int) -> bytes:
    known = {"sample_rate": 16_000, "number_of_channels": 1, "samples": 0}
    stamp = {"sec": 0, "nsec": 0}
    return json.dumps(
        {"timestamp": stamp, "format": "pcm-s16", "data": data} | known | changes
    ).encode()


@pytest.mark.parametrize(
    ("records", "changes", "why"),
    [
        (a_message(b"[" * 100_000), {}, "a message is nested too deep"),
        (a_message(b'{"a": ' * 100_000), {}, "a message is nested too deep"),
        (a_message(b"9" * 5000), {}, "damaged"),
        (a_message(b"[]"), {}, "a message of /turn/DuckFrame is no JSON object"),
        (a_message(b"\xff"), {}, "damaged"),
        (a_message(b""), {}, "damaged"),
        (a_message(b"{}", "/turn/TurnFrame"), {}, "message of /turn/TurnFrame has no turn"),
        (a_message(b"{}", "/caller/audio"), {}, "a message of /caller/audio has no timestamp"),
        (a_message(b'{"type": "playback", "epoch": 1}', "/caller/page"), {}, "has no samples"),
        (a_message(b'{"type": "sentence"}', "/agent/page"), {}, "/agent/page has no turn"),
        (
            a_message(b'{"ask": 1, "brain": "", "event": "arguments"}', "/brain/Event"),
            {},
            "no json",
        ),
        (
            a_message(b'{"ask": 1, "brain": "", "event": "?"}', "/brain/Event"),
            {},
            "none of tool_st",
        ),
        (a_message(b'{"vendors": {"stt": 1}}', "/call/Begin"), {}, "/call/Begin has no call"),
        (a_message(b'{"start_secs": NaN}', "/vad/VADUserStartedSpeakingFrame"), {}, "no number"),
        (a_message(b'{"start_secs": 1e999}', "/vad/VADUserStartedSpeakingFrame"), {}, "no number"),
        (a_message(b'{"start_secs": true}', "/vad/VADUserStartedSpeakingFrame"), {}, "no number"),
        (a_message(an_audio("="), "/caller/audio"), {}, "has data, which is no base64"),
        (a_message(an_audio("AAAA"), "/caller/audio"), {}, "has half a sample"),
        (
            a_message(an_audio("", samples=10**12), "/caller/audio"),
            {},
            "more than 14400 s of audio",
        ),
        (a_message(an_audio("", samples=-1), "/caller/audio"), {}, "has less than no samples"),
        (a_message(an_audio("", sample_rate=0), "/caller/audio"), {}, "0, which is no rate"),
        (a_message(an_audio("", number_of_channels=2), "/caller/audio"), {}, "has 2 channels"),
        (a_message(b"{}", at_ns=START_NS - 1), {}, "is -0 s after the start, where 0 to 14400"),
        (a_message(b"{}", at_ns=2**64 - 1), {}, "s after the start, where 0 to 14400 are read"),
        (a_record(0x05, bytes(22)), {}, "channel 0, which is not there"),
        (a_chunk("lz4", b"garbage", 7), {}, "a chunk cannot be unpacked"),
        (a_chunk("zstd", b"garbage", 7), {}, "damaged"),
        (a_chunk("brotli", b"garbage", 7), {}, "damaged"),
        (b"", {"started_at": "nan"}, "started_at is missing or no time"),
        (b"", {"started_at": "1e999"}, "started_at is missing or no time"),
        (b"", {"started_at": "-1"}, "started_at is missing or no time"),
        (b"", {"settings": "[]"}, "the metadata's settings are no JSON object"),
        (b"", {"vendors": "{" * 100_000}, "the metadata's vendors are no JSON object"),
        (b"", {"models": "\ufeff{}"}, "the metadata's models are no JSON object"),
    ],
    ids=map(str, itertools.count()),
)
def test_a_file_made_to_harm_is_refused_in_a_sentence(
    tmp_path: Path, records: bytes, changes: dict[str, str], why: str
) -> None:
    path = tmp_path / "bad.mcap"
    path.write_bytes(a_file(records, **changes))
    with pytest.raises(RecordingError, match=why) as refused:
        Recording.load(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "AAA=", "x"]),
    lambda value: st.lists(value, max_size=2) | st.dictionaries(st.text(max_size=3), value),
    max_leaves=3,
)


@st.composite
def odd_messages(draw: st.DrawFn) -> bytes:
    """A message that fits the schema of its topic, or nearly."""
    topic = draw(st.sampled_from(sorted(TOPICS)))
    data = fitting(draw, TOPICS[topic])
    if data and draw(st.booleans()):
        data[draw(st.sampled_from(sorted(data)))] = draw(VALUES)
    if data and draw(st.booleans()):
        del data[draw(st.sampled_from(sorted(data)))]
    at_ns = START_NS + draw(st.integers(0, 10**9))
    return a_message(json.dumps(data).encode(), topic, at_ns)


def fitting(draw: st.DrawFn, schema: Any) -> Any:
    """A value of a schema; page messages are of a type that is read."""
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    match kind:
        case "string" if "contentEncoding" in schema:
            return "AAAAAA=="
        case "string":
            words = ["", "x", "sentence", "playback", "bot-interrupted"]
            return draw(st.sampled_from(schema.get("enum", words)))
        case "integer" | "number":
            return draw(st.integers(-2, 30_000))
        case "boolean":
            return draw(st.booleans())
        case "array":
            return [fitting(draw, schema["items"]) for _ in range(draw(st.integers(0, 2)))]
    return {name: fitting(draw, field) for name, field in schema.get("properties", {}).items()}


@pytest.mark.thorough
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(odd_messages(), min_size=1, max_size=6))
def test_every_command_reads_an_odd_recording_or_says_why_not(
    tmp_path: Path, messages: list[bytes]
) -> None:
    path, out = tmp_path / "odd.mcap", str(tmp_path / "out")
    path.write_bytes(a_file(*messages))
    commands = [["show"], ["show", "--messages"], ["show", "--json"], ["transcript"]]
    commands += [["audio", "--out", out], ["redact", "--out", out], ["repair", "--out", out]]
    try:
        Recording.load(path)
    except RecordingError:
        commands = commands[:1]  # all read it in the same way
    for command, *options in commands:
        result = CliRunner().invoke(app, [command, str(path), *options])
        assert result.exit_code == 0 if len(commands) > 1 else result.exit_code == 2
        assert not isinstance(result.exception, Exception), command


def test_two_calls_joined_in_one_file_are_refused(tmp_path: Path) -> None:
    entries = b"".join(
        text(name) + text(value) for name, value in (known() | {"call": "c-other"}).items()
    )
    other = a_record(METADATA, text("viva") + struct.pack("<I", len(entries)) + entries)
    path = tmp_path / "joined.mcap"
    path.write_bytes(a_file(other))
    with pytest.raises(RecordingError, match="holds more than one call"):
        Recording.load(path)


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, end=st.none() | st.floats(0, 1), cut=st.booleans())
def test_any_damage_is_read_or_refused(
    tmp_path: Path, changes: list[tuple[float, int]], end: float | None, cut: bool
) -> None:
    whole = a_file(
        a_message(b'{"a": [1, "x"]}'),
        a_chunk("", a_message(b"{}"), len(a_message(b"{}"))),
        a_chunk("lz4", lz4.frame.compress(a_message(b"{}")), len(a_message(b"{}"))),
    )
    damaged = bytearray(whole)
    for share, value in changes:
        damaged[len(MAGIC) + int(share * (len(whole) - len(MAGIC) - 1))] = value
    content = bytes(damaged if end is None else damaged[: int(end * len(whole))])
    path = tmp_path / "damaged.mcap"
    path.write_bytes(content + (MAGIC if cut else b""))
    try:
        recording = Recording.load(path)
    except RecordingError:
        return
    assert len(recording.messages) <= 3


def test_the_layout_for_foxglove_shows_what_recordings_hold() -> None:
    layout = json.loads(Path("docs/foxglove-layout.json").read_text("utf-8"))
    panels = layout["configById"]

    def shown(node: Any) -> set[str]:
        return {node} if isinstance(node, str) else shown(node["first"]) | shown(node["second"])

    assert shown(layout["layout"]) == set(panels)
    paths = [path["value"] for panel in panels.values() for path in panel.get("paths", ())]
    for path in paths:
        topic, field = path.split(".")
        assert field in TOPICS[topic]["properties"], path
    raw = [panel["topicPath"] for panel in panels.values() if "topicPath" in panel]
    assert set(raw) <= set(TOPICS)
    assert len(paths) + len(raw) == 8
