"""docs/protocol.md and the code say the same."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.processors.frameworks.rtvi import models as rtvi

from transports.browser.messages import (
    CLIENT_PAYLOADS,
    SERVER_PAYLOAD,
    ClientReady,
    Hangup,
    MessageError,
    Playback,
    ServerPayload,
    Typed,
    parse_client_message,
)

PAGE = Path("docs/protocol.md").read_text()


def _examples(text: str) -> dict[str, Any]:
    found = re.findall(r"^### ([\w-]+)\n(?:(?!^#).)*?```json\n(.*?)\n```", text, re.M | re.S)
    return {heading: json.loads(example) for heading, example in found}


TO_VIVA, TO_PAGE = map(_examples, PAGE.split("## Viva → page", 1))
OWN = {model.model_fields["type"].default for model in get_args(get_args(ServerPayload)[0])}
FROM_RTVI = {"client-ready": ClientReady, "send-text": Typed}
FROM_PAGE = {*FROM_RTVI, *CLIENT_PAYLOADS}
RTVI_MODELS: dict[str, Any] = {
    "bot-ready": rtvi.BotReady,
    "user-started-speaking": rtvi.UserStartedSpeakingMessage,
    "user-stopped-speaking": rtvi.UserStoppedSpeakingMessage,
    "user-transcription": rtvi.UserTranscriptionMessage,
    "bot-started-speaking": rtvi.BotStartedSpeakingMessage,
    "bot-stopped-speaking": rtvi.BotStoppedSpeakingMessage,
    "bot-output": rtvi.BotOutputMessage,
    "bot-interrupted": rtvi.BotInterruptedMessage,
    "error": rtvi.Error,
}


def test_the_page_lists_every_message_and_no_other() -> None:
    assert set(TO_VIVA) == FROM_PAGE
    assert set(TO_PAGE) == OWN | set(RTVI_MODELS)


@pytest.mark.parametrize("kind", sorted(OWN))
def test_the_example_of_a_server_message_is_one(kind: str) -> None:
    data = TO_PAGE[kind]["data"]
    assert SERVER_PAYLOAD.validate_python(data).model_dump() == data


@pytest.mark.parametrize("kind", sorted(RTVI_MODELS))
def test_the_example_of_an_rtvi_message_is_one(kind: str) -> None:
    example = TO_PAGE[kind]
    message = RTVI_MODELS[kind].model_validate(example)
    assert json.loads(message.model_dump_json(exclude_none=True)) == example


@pytest.mark.parametrize("kind", sorted(FROM_PAGE))
def test_the_example_of_a_page_message_is_taken(kind: str) -> None:
    parsed = parse_client_message(json.dumps(TO_VIVA[kind]))
    assert isinstance(parsed, (FROM_RTVI | dict(CLIENT_PAYLOADS))[kind])


def test_rtvi_clients_hang_up_in_their_own_words() -> None:
    assert (
        parse_client_message('{"label": "rtvi-ai", "type": "disconnect-bot", "id": "1"}')
        == Hangup()
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "text message is not JSON"),
        ("[1]", "not a JSON object"),
        ('{"label": "x"}', "label is 'x'; it must be 'rtvi-ai'"),
        ('{"label": "rtvi-ai", "type": "dance"}', "type is 'dance'; allowed: client-ready"),
        (
            '{"label": "rtvi-ai", "type": "client-message", "data": {"t": "jump"}}',
            "data.t is 'jump'; allowed: playback, typing, talk, hangup",
        ),
        (
            '{"label": "rtvi-ai", "type": "client-message", "data": {"t": "playback", '
            '"d": {"epoch": 0, "samples": -1}}}',
            "samples is -1; Input should be greater than or equal to 0",
        ),
        (
            '{"label": "rtvi-ai", "type": "client-message", "data": {"t": "playback", '
            f'"d": {{"epoch": 0, "samples": {"9" * 400}}}}}}}',
            "Input should be less than or equal to 9007199254740991",
        ),
        (
            '{"label": "rtvi-ai", "type": "client-message", "data": {"t": "clock", '
            '"d": {"sent": 1e999}}}',
            "sent is inf; Input should be a finite number",
        ),
        ('{"label": "rtvi-ai", "id": "\\ud800"}', "text message is not JSON"),
        ('{"label": "rtvi-ai", "id": NaN}', "text message is not JSON"),
        ('{"label": "rtvi-ai", "id": "1", "data": ' + "[" * 900 + "]" * 900 + "}", "not JSON"),
        ('{"label": "rtvi-ai", "type": "client-ready", "id": 3, "data": {}}', "id is 3"),
        ("x" * 20_000, "text message of 20000 characters; 16384 at most"),
    ],
)
def test_a_message_that_cannot_be_used_is_named(text: str, told: str) -> None:
    with pytest.raises(MessageError, match=re.escape(told)):
        parse_client_message(text)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.booleans())
def test_progress_of_playback_is_read_as_sent(epoch: int, samples: int, final: bool) -> None:
    played = {"epoch": epoch, "samples": samples, "final": final}
    text = json.dumps(
        {
            "label": "rtvi-ai",
            "type": "client-message",
            "id": "1",
            "data": {"t": "playback", "d": played},
        }
    )
    assert parse_client_message(text) == Playback(epoch=epoch, samples=samples, final=final)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(["client-ready", "client-message", "disconnect-bot", "", "x"]),
)
def test_nothing_a_page_sends_raises_anything_but_a_message_error(data: Any, kind: str) -> None:
    text = json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data})
    with suppress(MessageError):
        parse_client_message(text)
