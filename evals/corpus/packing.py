"""Packs a recording for the repository: a normal recording in one chunk without message indexes."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcap.writer import CompressionType, IndexType, Writer

from recording.mcap_file import METADATA, PROFILE, encode
from recording.message import Message, samples_of
from recording.recording import Recording
from recording.schemas import schema_name, schema_text

_AGENTS_VOICE = ("/agent/audio", "/tts/TTSAudioRawFrame")
_NS = 1_000_000_000
_CHUNK_BYTES = 1 << 28


def pack(recording: Recording, path: Path, call: str) -> None:
    """Write a recording without the agent's voice, whose length is kept.

    Args:
        recording: The recording.
        path: The new file.
        call: The call's new id.
    """
    start_ns = round(recording.started_at * _NS)
    with path.open("wb") as stream:
        writer = Writer(
            stream,
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.ZSTD,
            index_types=IndexType.CHUNK | IndexType.METADATA,
            enable_crcs=True,
            enable_data_crcs=True,
        )
        writer.start(profile=PROFILE, library=PROFILE)
        metadata: Mapping[str, str] = {**recording.metadata, "call": call}
        writer.add_metadata(METADATA, dict(metadata))
        channels: dict[str, int] = {}
        schemas: dict[str, int] = {}
        for sequence, message in enumerate(_quiet(recording, call)):
            topic = message.topic
            if topic not in channels:
                name = schema_name(topic)
                if name not in schemas:
                    schemas[name] = writer.register_schema(name, "jsonschema", schema_text(topic))
                channels[topic] = writer.register_channel(topic, "json", schemas[name])
            at_ns = start_ns + round(message.at * _NS)
            content = encode(at_ns, topic, message.data)
            writer.add_message(channels[topic], at_ns, content, at_ns, sequence)
        writer.finish()


def _quiet(recording: Recording, call: str) -> Iterator[Message]:
    for message in recording.messages:
        data = message.data
        if message.topic in _AGENTS_VOICE:
            data = {**data, "data": "", "samples": samples_of(data)}
        elif message.topic == "/call/Begin":
            data = {**data, "call": call}
        yield dataclasses.replace(message, data=data)
