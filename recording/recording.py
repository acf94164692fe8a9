"""Reads a recording, and verifies every checksum."""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from mcap.exceptions import EndOfFile, McapError
from mcap.records import Channel, Header, Metadata
from mcap.records import Message as McapMessage
from mcap.stream_reader import CRCValidationError, StreamReader
from zstandard import ZstdError

from recording import mcap_file
from recording.mcap_file import PROFILE, READABLE, canonical
from recording.message import Message
from recording.schemas import AUDIO_TOPICS
from recording.timeline import heard_by_caller, heard_by_viva

CALLER_RATE = 16_000
AGENT_RATE = 24_000

_MAGIC = b"\x89MCAP0\r\n"
_NS = 1_000_000_000
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

        A file cut by a crash is read up to its last complete chunk.

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
            data = message.data
            if message.topic in AUDIO_TOPICS:
                data = {name: value for name, value in data.items() if name != "timestamp"}
            hashed.update(f"{message.topic}\0{round(message.at * _NS)}\0".encode())
            hashed.update(canonical(data).encode())
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
        if content[at:] == _MAGIC:
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
        self._messages: list[Message] = []
        self._start_ns = 0
        self._last_ns = 0

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
            BytesIO(self._content if self._whole else self._content[:end]), validate_crcs=True
        )
        try:
            for record in reader.records:
                self._take(record)
        except EndOfFile:
            if self._whole:
                raise self._damaged("it has no end") from None
        except CRCValidationError as error:
            what = type(error.record).__name__
            raise self._damaged(f"the checksum of a {what} does not match") from None
        except RecordingError:
            raise
        except (McapError, ZstdError, struct.error, UnicodeDecodeError, ValueError) as error:
            raise self._damaged(" ".join(str(error).split()) or type(error).__name__) from None
        if self._metadata is None:
            raise self._error(
                "says nothing of its call: it was cut before it held anything. There is nothing "
                "to repair"
            )
        return Recording(
            path=self._path,
            metadata=self._metadata,
            messages=tuple(self._messages),
            whole=self._whole,
            trouble=self._trouble,
        )

    def _take(self, record: object) -> None:
        match record:
            case Header(profile=profile) if profile != PROFILE:
                raise self._error(
                    f"is an MCAP file of another kind (profile {profile!r}): only recordings made "
                    "by Viva can be used"
                )
            case Metadata(name=mcap_file.METADATA, metadata=metadata):
                self._check_format(metadata)
                self._metadata = metadata
                self._start_ns = round(float(metadata["started_at"]) * _NS)
            case Metadata(name=mcap_file.TROUBLE, metadata=metadata):
                self._trouble = metadata.get("trouble", "")
            case Channel(id=number, topic=topic):
                self._channels[number] = topic
            case McapMessage():
                self._take_message(record)
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
            float(metadata["started_at"])
        except (KeyError, ValueError):
            raise self._damaged("started_at is missing or no number") from None

    def _take_message(self, record: McapMessage) -> None:
        if self._metadata is None:
            raise self._damaged("there is a message before the metadata")
        topic = self._channels.get(record.channel_id)
        if topic is None:
            raise self._damaged(f"a message is of channel {record.channel_id}, which is not there")
        if record.log_time < self._last_ns:
            raise self._damaged(f"a message of {topic} is older than the one before it")
        self._last_ns = record.log_time
        data = json.loads(record.data)
        if not isinstance(data, dict):
            raise self._damaged(f"a message of {topic} is no JSON object")
        self._messages.append(Message((record.log_time - self._start_ns) / _NS, topic, data))

    def _error(self, what: str) -> RecordingError:
        return RecordingError(f"{self._path} {what}.")

    def _damaged(self, what: str) -> RecordingError:
        return self._error(f"is damaged: {what}. Take it from a backup, or record the call again")
