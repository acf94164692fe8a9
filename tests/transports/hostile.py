"""What no honest client sends: messages of every kind of both wires, each spoilt in one way."""

import json
import random
from collections.abc import Callable
from typing import Any

from pipecat.frames.protobufs import frames_pb2

protobuf: Any = frames_pb2  # its classes are made at run time

SPOILT_VALUES = [
    *("null", "true", "false", '""', '"x"', "[]", "{}", "[0]", "[[]]", '{"":0}'),
    *("0", "-1", "-0", "0.5", "-1e-400", "1e400", "-1e400", "1e308"),
    *("NaN", "Infinity", "-Infinity"),
    *("9007199254740992", "18446744073709551616", '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"'),
]
SPOILT_VALUES += ["9" * 400, "-" + "9" * 400, "9" * 5000, "0." + "3" * 2000]
SPOILT_VALUES += ["[" * deep + "]" * deep for deep in (150, 900, 5000)]
SPOILT_VALUES += [json.dumps("x" * 20_000), json.dumps("\N{GRINNING FACE}" * 9)]

VALID: list[dict[str, Any]] = [
    {"type": "client-ready", "data": {"version": "2.2.0", "about": {"library": "x"}}},
    {"type": "client-ready", "data": {"version": "2.2.0", "about": {}, "voice": "opus"}},
    {"type": "client-message", "data": {"t": "playback", "d": {"epoch": 0, "samples": 480}}},
    {"type": "client-message", "data": {"t": "clock", "d": {"sent": 1.5, "late": 0.25}}},
    {"type": "client-message", "data": {"t": "audible", "d": {"epoch": 0, "sample": 9, "at": 1.0}}},
    {"type": "client-message", "data": {"t": "hangup", "d": {}}},
    {"type": "client-message", "data": {"t": "typing", "d": {}}},
    {
        "type": "client-message",
        "data": {"t": "resume", "d": {"call": "c-1", "token": "t", "received": 3}},
    },
    {"type": "client-message", "data": {"t": "talk", "d": {"on": True}}},
    {"type": "client-message", "data": {"t": "lead", "d": {"secs": 0.6}}},
    {"type": "disconnect-bot", "data": {}},
    {"type": "send-text", "data": {"content": "typed", "options": {}}},
]

_HOLE = "-a spoilt value goes here-"


def text_message(chance: random.Random) -> str:
    """A text message, valid or spoilt."""
    message = {"label": "rtvi-ai", "id": "1", **json.loads(json.dumps(chance.choice(VALID)))}
    spoil = chance.choice([_nothing, _replace, _replace, _replace, _drop, _add, _cut, _garble])
    return spoil(message, chance)


def _places(value: Any) -> list[tuple[Any, str]]:
    """Every key of a message and of the objects within."""
    found = [(value, key) for key in value]
    for inner in value.values():
        found += _places(inner) if isinstance(inner, dict) else []
    return found


def _nothing(message: Any, _chance: random.Random) -> str:
    return json.dumps(message)


def _replace(message: Any, chance: random.Random) -> str:
    inside, key = chance.choice(_places(message))
    inside[key] = _HOLE
    return json.dumps(message).replace(json.dumps(_HOLE), chance.choice(SPOILT_VALUES))


def _drop(message: Any, chance: random.Random) -> str:
    inside, key = chance.choice(_places(message))
    del inside[key]
    return json.dumps(message)


def _add(message: Any, chance: random.Random) -> str:
    inside, _ = chance.choice(_places(message))
    inside[chance.choice(["", "type", "d", "final", "record", "x" * 300])] = _HOLE
    return json.dumps(message).replace(json.dumps(_HOLE), chance.choice(SPOILT_VALUES))


def _cut(message: Any, chance: random.Random) -> str:
    text = json.dumps(message)
    return text[: chance.randrange(len(text))]


def _garble(message: Any, chance: random.Random) -> str:
    letters = list(json.dumps(message))
    for _ in range(chance.randint(1, 4)):
        letters[chance.randrange(len(letters))] = chance.choice('{}[]",:\\\0 \ufeff9eE-+.u')
    return "".join(letters)


def audio_message(chance: random.Random) -> bytes:
    """An audio message of Viva's own wire."""
    return bytes(chance.choice([0, 1, 2, 3, 320, 640, 641, 63_999, 64_000, 64_001, 65_536]))


def protobuf_message(chance: random.Random) -> bytes:
    """A frame of pipecat's wire, valid or spoilt."""
    frame = protobuf.Frame()
    kind = chance.choice(["message", "message", "audio", "audio", "text", "transcription", "bytes"])
    if kind == "bytes":
        return chance.randbytes(chance.randint(0, 60))
    if kind == "message":
        frame.message.data = text_message(chance)
    elif kind == "audio":
        frame.audio.audio = bytes(chance.choice([0, 1, 2, 480, 481, 960, 64_000, 64_002]))
        rates = [0, 1, 7_999, 8_000, 11_025, 16_000, 24_000, 44_100, 48_000, 48_001, 2**32 - 1]
        frame.audio.sample_rate = chance.choice(rates)
        frame.audio.num_channels = chance.choice([0, 1, 1, 1, 2, 2**32 - 1])
    elif kind == "text":
        frame.text.text = "typed"
    else:
        frame.transcription.text = "heard elsewhere"
    data = bytearray(frame.SerializeToString())
    if data and chance.random() < 0.2:
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


Hostile = Callable[[random.Random], str | bytes]


def browser_message(chance: random.Random) -> str | bytes:
    """A message of Viva's own wire."""
    return audio_message(chance) if chance.random() < 0.2 else text_message(chance)


def rtvi_message(chance: random.Random) -> str | bytes:
    """A message of the wire of pipecat's clients."""
    return text_message(chance) if chance.random() < 0.05 else protobuf_message(chance)
