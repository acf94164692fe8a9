"""No key, token or audio is in any log, at any level."""

import logging
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from loguru import logger

from evals.replay import virtual_time
from pipeline.engines import Engines
from settings import Settings
from tests.end_to_end.simulated import KEYS, Stack

_AUDIO = (
    re.compile(r"[A-Za-z0-9+/]{64,}"),  # in base64
    re.compile(r"(?:\b[0-9a-f]{2}\b[ :]){8,}"),  # in hexadecimal
    re.compile(r"[0-9a-f]{64,}"),
    re.compile(r"(?:\\x[0-9a-f]{2}){6,}"),  # as Python shows bytes
)
_HEADERS = re.compile(
    r"(?:authorization|xi-api-key|x-api-key)(?:\W|\bb\b){1,8}(?:token |bearer )?[\w-]{8,}",
    re.IGNORECASE,
)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """All that is logged, at every level, by everybody."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    listener, root = Listener(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.NOTSET + 1)
    sink = logger.add(lambda line: lines.append(str(line)), level="TRACE")
    yield lines
    logger.remove(sink)
    root.setLevel(level)
    root.removeHandler(listener)


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({}, id="all is well"),
        pytest.param(
            {"brain": "openai", "tts_mode": "whole"},
            id="the other ways",
            marks=pytest.mark.thorough,
        ),
        *(
            pytest.param(
                {key: f"wrong-{value}"},
                id=f"wrong {key}",
                marks=[pytest.mark.thorough] if number else [],
            )
            for number, (key, value) in enumerate(KEYS.items())
        ),
    ],
)
def test_no_key_and_no_audio_is_in_any_log(
    engines: Engines, data_dir: Path, log: list[str], overrides: dict[str, str]
) -> None:
    stages = {"brain": "openai"} if "brain_api_key" in overrides else {}

    async def play() -> tuple[Settings, str]:
        options: dict[str, Any] = {**stages, **overrides}
        async with (
            Stack(engines, None, data_dir=data_dir, **options) as stack,
            aiohttp.ClientSession() as session,
        ):
            await stack.call()
            async with session.get(stack.listening.make_url("/about.json")) as about:
                return stack.settings, await about.text()

    settings, about = virtual_time.run(play())
    secrets = [getattr(settings, name).get_secret_value() for name in KEYS]
    secrets += [b64encode(secret.encode()).decode().rstrip("=") for secret in secrets]
    told = "\n".join(log)
    assert len(log) > 20, "something is logged"
    for text in (told, about, repr(settings), str(settings), settings.model_dump_json()):
        assert not [secret for secret in secrets if secret in text]
    assert not _HEADERS.search(told)
    assert not [found.group() for pattern in _AUDIO for found in pattern.finditer(told)]


def test_the_scan_of_logs_finds_what_it_looks_for() -> None:
    audio = bytes(range(64, 128))
    for shown in (b64encode(audio).decode(), audio.hex(" "), audio.hex(), repr(b"\xfe\xff" * 8)):
        assert any(pattern.search(f"> {shown} [64 bytes]") for pattern in _AUDIO), shown
    for header in (
        f"Authorization: Token {KEYS['deepgram_api_key']}",
        f"'xi-api-key': '{KEYS['elevenlabs_api_key']}'",
        f"(b'x-api-key', b'{KEYS['anthropic_api_key']}')",
    ):
        assert _HEADERS.search(header), header
