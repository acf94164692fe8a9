"""docs/recording.md and the code say the same."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from recording.frames import from_message, to_message
from recording.mcap_file import FORMAT, METADATA, PROFILE, TROUBLE
from recording.message import Message
from recording.metadata import metadata
from recording.redaction import REDACTED
from recording.schemas import TOPICS, schema_name
from settings import Settings

PAGE = Path("docs/recording.md").read_text()
ROWS = re.findall(r"^\| `(/[\w/]+)` \| `([\w.]+)` \| (.+?) \| `(\{.*\})` \|$", PAGE, re.M)
EXAMPLES: dict[str, dict[str, Any]] = {
    topic: json.loads(example.replace(r"\|", "|")) for topic, _, _, example in ROWS
}


def test_the_page_lists_every_topic_once_with_its_schema() -> None:
    assert sorted(topic for topic, *_ in ROWS) == sorted(TOPICS)
    assert {topic: schema for topic, schema, *_ in ROWS} == {t: schema_name(t) for t in TOPICS}


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_example_of_a_topic_is_one(topic: str) -> None:
    jsonschema.validate(EXAMPLES[topic], dict(TOPICS[topic]))


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_the_example_of_a_frame_is_what_is_written_of_it(topic: str) -> None:
    if topic.split("/")[1] not in ("vad", "stt", "turn", "brain", "tts"):
        return
    if topic in ("/brain/Asked", "/brain/Event"):
        return
    message = Message(0.0, topic, EXAMPLES[topic])
    told = to_message(message.stage, from_message(message))
    assert told is not None
    kind, data = told
    assert kind == message.kind
    written = {name: value for name, value in EXAMPLES[topic].items() if name != "timestamp"}
    pcm = data.get("data")
    assert (data if pcm is None else {**data, "data": written["data"]}) == written


def test_the_page_tells_every_field_of_the_metadata() -> None:
    told = set(re.findall(r"^\| `(\w+)` \| ", PAGE.partition("## Metadata")[2], re.M))
    given = metadata(
        call="", started_at=0.0, document="", document_hash="", settings=Settings.load(),
        vendors={}, models={},
    )  # fmt: skip
    assert told >= {*given, REDACTED}


def test_the_page_names_the_format() -> None:
    for name in (PROFILE, METADATA, TROUBLE):
        assert f"`{name}`" in PAGE
    assert f'format `"{FORMAT}"`' in PAGE
