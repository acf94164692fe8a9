"""Reads a recording, and verifies every checksum."""

import hashlib
import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from operator import itemgetter
from pathlib import Path
from typing import Any

from lz4.frame import LZ4FrameDecompressor
from mcap.exceptions import EndOfFile, McapError
from mcap.records import Channel, Chunk, Header, McapRecord, Metadata
from mcap.records import Message as McapMessage
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
from zstandard import ZstdError, frame_content_size

from recording import mcap_file
from recording.mcap_file import PROFILE, READABLE, canonical, canonical_audio
from recording.message import Message, audio_misfit, samples_of
from recording.schemas import AUDIO_TOPICS, TOPICS, misfit
from recording.timeline import heard_by_caller, heard_by_viva

CALLER_RATE = 16_000
AGENT_RATE = 24_000

MAX_CHUNK_BYTES = 64 * 1024 * 1024
"""Most that a chunk may hold: ours hold a second, some 150 kB, other tools' 4 MiB."""

MAX_SECS = 4 * 3600.0
"""Longest recording, and most audio of one topic in it: both voices of it are 1 GB of samples."""

_MAGIC = b"\x89MCAP0\r\n"
_NS = 1_000_000_000
_END_OF_TIME = 2**64 / _NS  # seconds that a message's time can be
_RECORD = struct.Struct("<BQ")


class RecordingError(Exception):
    """A file cannot be read as a recording; the message says why and what to do."""


@dataclass(frozen=True)
class Recording:
    """A recorded call.

    Parameters:
        path: Its file.
        metadata: The call's metadata; see :mod:`recording.metadata`.
        messages: All messages, in order.
        whole: Whether the file was closed properly; otherwise it ends with its last chunk.
        trouble: Why the recording ended before its call; empty if it did not.
    """

    path: Path
    metadata: Mapping[str, str]
    messages: tuple[Message, ...] = field(repr=False)
    whole: bool = True
    trouble: str = ""

    @classmethod
    def load(cls, path: Path | str) -> "Recording":
        """Read a file and verify every checksum in it.

        A file cut by a crash is read up to its last complete chunk. One that another tool has
        written anew (``mcap compress``, ``mcap sort``) may be compressed otherwise, and have its
        records in another order.

        Raises:
            RecordingError: The file cannot be read, is not a recording, is damaged, or has a format
                that this version does not know.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror or error}.") from None
        return _Reading(path, content).recording()

    def topic(self, *topics: str) -> Iterator[Message]:
        """The messages of these topics, in order."""
        return (message for message in self.messages if message.topic in topics)

    @property
    def call(self) -> str:
        """The call's id."""
        return self.metadata.get("call", "")

    @property
    def started_at(self) -> float:
        """When the call began, Unix seconds."""
        return float(self.metadata["started_at"])

    @property
    def duration_secs(self) -> float:
        """Seconds from the start of the call to the last message."""
        return self.messages[-1].at if self.messages else 0.0

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of the call, without secrets."""
        return self._plain("settings")

    @cached_property
    def vendors(self) -> dict[str, str]:
        """Name of each stage's vendor."""
        return self._plain("vendors")

    @cached_property
    def models(self) -> dict[str, str]:
        """Model of each vendor, by its name, where it is known."""
        return self._plain("models")

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of every message: its topic, nanoseconds from the start, and data.

        Equal for the same call, whenever it took place and however the file is compressed.
        """
        hashed = hashlib.sha256()
        for message in self.messages:
            hashed.update(f"{message.topic}\0{round(message.at * _NS)}\0".encode())
            if message.topic in AUDIO_TOPICS:
                timeless = {name: of for name, of in message.data.items() if name != "timestamp"}
                hashed.update(canonical_audio(timeless))
            else:
                hashed.update(canonical(message.data).encode())
            hashed.update(b"\n")
        return hashed.hexdigest()

    def caller_audio(self) -> bytes:
        """The caller's audio on the call's time line: 16 kHz, 16 bits, gaps as silence."""
        audio = self.topic("/caller/audio")
        return heard_by_viva(audio, CALLER_RATE, self.duration_secs).tobytes()

    def agent_audio(self) -> bytes:
        """The agent's audio as it was played: 24 kHz, 16 bits, cut at interruptions."""
        told = self.topic("/agent/audio", "/agent/page")
        return heard_by_caller(told, AGENT_RATE, self.duration_secs).tobytes()

    def _plain(self, name: str) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(self.metadata.get(name, "{}"))
        return plain


def _end_of_records(content: bytes) -> int:
    """Offset of the end of the last complete record, by the records' own lengths."""
    at = len(_MAGIC)
    while at + _RECORD.size <= len(content):
        _, length = _RECORD.unpack_from(content, at)
        if at + _RECORD.size + length > len(content):
            break
        at += _RECORD.size + length
        if at == len(content) - len(_MAGIC) and content.endswith(_MAGIC):
            break
    return at


class _Reading:
    """Reads one file's content."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content
        self._whole = len(content) >= 2 * len(_MAGIC) and content.endswith(_MAGIC)
        self._metadata: dict[str, str] | None = None
        self._trouble = ""
        self._channels: dict[int, str] = {}
        self._audio_secs: defaultdict[str, float] = defaultdict(float)
        self._messages: list[tuple[int, int, str, dict[str, Any]]] = []

    def recording(self) -> Recording:
        if not self._content.startswith(_MAGIC):
            raise self._error(
                "is no recording: it does not begin as an MCAP file does. Recordings end in .mcap "
                "and are in DATA_DIR/recordings"
            )
        end = _end_of_records(self._content)
        if self._whole and end != len(self._content) - len(_MAGIC):
            raise self._damaged("its records do not end where the file does")
        reader = StreamReader(
            BytesIO(self._content if self._whole else self._content[:end]),
            emit_chunks=True,
            validate_crcs=True,
        )
        try:
            for record in reader.records:
                for part in self._unpacked(record):
                    self._take(part)
        except EndOfFile:
            if self._whole:
                raise self._damaged("it has no end") from None
        except CRCValidationError as error:
            what = type(error.record).__name__
            raise self._damaged(f"the checksum of a {what} does not match") from None
        except RecursionError:
            raise self._damaged("a message is nested too deep") from None
        except (McapError, ZstdError, struct.error, ValueError, OverflowError) as error:
            raise self._damaged(" ".join(str(error).split()) or type(error).__name__) from None
        if self._metadata is None:
            raise self._error(
                "says nothing of its call: it was cut before it held anything. There is nothing "
                "to repair"
            )
        start_ns = round(float(self._metadata["started_at"]) * _NS)
        for at_ns, _, topic, _ in self._messages:
            if not 0 <= at_ns - start_ns <= MAX_SECS * _NS:
                at = (at_ns - start_ns) / _NS
                raise self._damaged(
                    f"a message of {topic} is {at:.0f} s after the start, where 0 to "
                    f"{MAX_SECS:.0f} are read"
                )
        # Other writers' chunks may overlap; what took place at one time stays in its order.
        self._messages.sort(key=itemgetter(0, 1))
        return Recording(
            path=self._path,
            metadata=self._metadata,
            messages=tuple(
                Message((at_ns - start_ns) / _NS, topic, data)
                for at_ns, _, topic, data in self._messages
            ),
            whole=self._whole,
            trouble=self._trouble,
        )

    def _unpacked(self, record: McapRecord) -> list[McapRecord]:
        if not isinstance(record, Chunk):
            return [record]
        data = record.data
        size = record.uncompressed_size
        if record.compression == "zstd":
            size = max(size, frame_content_size(data))
        if size > MAX_CHUNK_BYTES:
            raise self._damaged(f"a chunk of it holds {size} bytes, more than {MAX_CHUNK_BYTES}")
        if record.compression == "lz4":
            # The library would unpack whatever is there, however much.
            try:
                data = LZ4FrameDecompressor().decompress(data, max_length=size + 1)
            except RuntimeError as error:
                raise self._damaged(f"a chunk cannot be unpacked: {error}") from None
            if len(data) != size:
                raise self._damaged(f"a chunk of it does not hold the {size} bytes that it should")
            record = replace(record, compression="", data=data)
        return breakup_chunk(record, validate_crc=True)

    def _take(self, record: McapRecord) -> None:
        match record:
            case McapMessage():  # first, since most are
                self._take_message(record)
            case Header(profile=profile):
                if profile not in ("", PROFILE):  # tools that join files leave none
                    raise self._error(
                        f"is an MCAP file of another kind (profile {profile!r}): only recordings "
                        "made by Viva can be used"
                    )
            case Metadata(name=mcap_file.METADATA, metadata=metadata):
                if self._metadata is not None and metadata != self._metadata:
                    raise self._error("holds more than one call: take each from its own file")
                self._check_format(metadata)
                self._metadata = metadata
            case Metadata(name=mcap_file.TROUBLE, metadata=metadata):
                self._trouble = metadata.get("trouble", "")
            case Channel(id=number, topic=topic):
                self._channels[number] = topic
            case _:
                pass

    def _check_format(self, metadata: Mapping[str, str]) -> None:
        found = metadata.get("format", "")
        if found not in READABLE:
            made = metadata.get("version", "")
            by = f" by Viva {made}" if made else ""
            readable = ", ".join(map(repr, READABLE))
            raise self._error(
                f"has format {found!r}: this Viva reads {readable}. It was made{by}; use "
                "that version or a later one"
            )
        try:
            started = float(metadata["started_at"])
        except (KeyError, ValueError):
            started = math.nan
        if not 0.0 <= started < _END_OF_TIME:
            raise self._damaged("started_at is missing or no time")
        for name in ("settings", "vendors", "models"):
            try:
                plain = json.loads(metadata.get(name, "{}"))
            except (ValueError, RecursionError):
                plain = None
            if not isinstance(plain, dict):
                raise self._damaged(f"the metadata's {name} are no JSON object")

    def _take_message(self, record: McapMessage) -> None:
        topic = self._channels.get(record.channel_id)
        if topic is None:
            raise self._damaged(f"a message is of channel {record.channel_id}, which is not there")
        if topic not in TOPICS:  # another tool's
            return
        data = json.loads(record.data)
        wrong = misfit(topic, data)
        if not wrong and topic in AUDIO_TOPICS:
            wrong = audio_misfit(data)
            self._audio_secs[topic] += 0 if wrong else samples_of(data) / data["sample_rate"]
            if self._audio_secs[topic] > MAX_SECS:
                wrong = f"is more than {MAX_SECS:.0f} s of audio"
        if wrong:
            raise self._damaged(f"a message of {topic} {wrong}")
        self._messages.append((record.log_time, record.sequence, topic, data))

    def _error(self, what: str) -> RecordingError:
        return RecordingError(f"{self._path} {what}.")

    def _damaged(self, what: str) -> RecordingError:
        return self._error(f"is damaged: {what}. Take it from a backup, or record the call again")
