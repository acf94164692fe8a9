import asyncio
import base64
import io
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from loguru import logger
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ledger.store.database import Database
from operating.logs import FLOORS, setup
from settings import Settings

KEY = "sk-ant-4f9d1c7b3e5a2068"
SMTP_PASSWORD = "relay/pass+word"


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# The two ways a line is written.


def test_a_line_of_json_holds_time_level_logger_and_message(stream: io.StringIO) -> None:
    setup(settings(log_format="json"), stream)
    logger.info("call begins")
    (line,) = read(stream)
    assert line["time"].endswith("+00:00")
    assert line["level"] == "INFO"
    assert line["logger"] == __name__
    assert line["message"] == "call begins"
    assert set(line) == {"time", "level", "logger", "message"}


def test_a_line_of_text_can_be_read(stream: io.StringIO) -> None:
    setup(settings(), stream)
    with logger.contextualize(call="c-7", turn=3):
        logger.warning("late")
    place, ids = stream.getvalue().split(" WARNING  ")[1].split(" ", 1)
    assert place.startswith(f"{__name__}:test_a_line_of_text_can_be_read:")
    assert ids == "[c-7 turn 3] late\n"


async def test_a_line_tells_the_call_and_the_turn_its_task_is_in(stream: io.StringIO) -> None:
    """A task that was begun in one turn, and goes on in another, tells of the one it is in."""
    setup(settings(log_format="json"), stream)
    going_on = asyncio.Event()

    async def stage() -> None:
        logger.info("begun")
        await going_on.wait()
        await asyncio.to_thread(logging.getLogger("aiohttp.client").warning, "done")

    async def hold(name: str, turns: list[int]) -> None:
        with logger.contextualize(call=name, turn=lambda: turns[-1]):
            task = asyncio.create_task(stage())
            await asyncio.sleep(0)
            turns.append(turns[-1] + 1)
            await task

    calls = asyncio.gather(hold("c-1", [1]), hold("c-2", [4]))
    await asyncio.sleep(0.01)
    going_on.set()
    await calls
    logger.info("nobody's")
    with logger.contextualize(call="c-3", turn=lambda: 0):
        logger.info("nothing said yet")
    lines = [(entry["message"], entry.get("call"), entry.get("turn")) for entry in read(stream)]
    assert set(lines) == {
        ("begun", "c-1", 1),
        ("begun", "c-2", 4),
        ("done", "c-1", 2),
        ("done", "c-2", 5),
        ("nobody's", None, None),
        ("nothing said yet", "c-3", None),
    }


def test_an_exception_is_one_line_of_json(stream: io.StringIO) -> None:
    setup(settings(log_format="json"), stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("it failed")
    (line,) = read(stream)
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: two\nlines")


@pytest.mark.parametrize("how", ["text", "json"])
def test_nobody_can_write_a_line_in_the_name_of_the_log(stream: io.StringIO, how: str) -> None:
    setup(settings(log_format=how), stream)
    forged = "hello\n2026-09-21 10:00:00.000 ERROR    all is lost\x1b[2J\x1b]0;title\x07"
    logger.info("said {}", forged)
    try:
        raise ValueError(forged)
    except ValueError:
        logger.exception("refused")
    lines = stream.getvalue().splitlines()
    assert not [line for line in lines if line.startswith("2026-09-21 10:00")]
    assert "\x1b]" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
    assert "all is lost" in lines[0]
    if how == "json":
        assert len(lines) == 2


def test_a_terminal_is_shown_colours_and_only_its_own(stream: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    setup(settings(), terminal)
    logger.error("red \x1b[31m or not")
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[31m or not" not in terminal.getvalue()
    assert "red \\x1b[31m or not" in terminal.getvalue()


def test_the_level_is_that_of_the_settings(stream: io.StringIO) -> None:
    setup(settings(log_level="WARNING"), stream)
    logger.info("quiet")
    logging.getLogger("anything").info("quiet")
    logging.getLogger("anything").error("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


# Libraries.


def test_what_libraries_log_is_in_the_same_stream_under_their_names(stream: io.StringIO) -> None:
    setup(settings(log_format="json"), stream)
    with logger.contextualize(call="c-9"):
        logging.getLogger("alembic.util").warning("Multiple heads: %s", "0001")
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=OSError("gone"))
    logging.getLogger("odd").warning("%d of them", "several")
    migration, server, odd = read(stream)
    assert migration["logger"] == "alembic.util"
    assert migration["message"] == "Multiple heads: 0001"
    assert migration["call"] == "c-9"
    assert server["exception"] == "OSError: gone"
    assert odd["message"] == "%d of them", "what does not fit together is logged as it is"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: viva_session=secret\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    ],
)
@pytest.mark.parametrize("how", ["text", "json"])
async def test_a_malformed_request_is_one_line_without_its_content(
    stream: io.StringIO, how: str, request_bytes: bytes
) -> None:
    async def read_body(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    setup(settings(log_format=how), stream)
    app = web.Application()
    app.router.add_post("/", read_body)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request_bytes)
        assert await reader.readline()
        writer.close()
    lines = stream.getvalue().splitlines()
    assert lines[0].count("Error handling request from 127.0.0.1: ") == 1
    assert all("WARNING" in line for line in lines)  # none is of a traceback
    assert "secret" not in stream.getvalue()


@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "INFO"])
def test_no_level_makes_libraries_tell_keys_voices_or_statements(
    stream: io.StringIO, level: str, database: Database
) -> None:
    setup(settings(log_level=level), stream)
    logging.getLogger("websockets.client").debug("> Authorization: Token %s", KEY)
    logging.getLogger("websockets.protocol").debug("> BINARY 00 01 02")
    logging.getLogger("httpcore.http11").debug("send_request_headers")
    logging.getLogger("aiohttp.access").info("127.0.0.1 GET /call")
    with database.writing() as session:
        session.connection().execute(text("SELECT :said"), {"said": "what she said"})
    assert stream.getvalue() == ""
    assert logging.getLogger("websockets").level >= logging.INFO


def test_libraries_that_say_too_much_are_held_at_every_level(stream: io.StringIO) -> None:
    for level in ("DEBUG", "ERROR"):
        setup(settings(log_level=level), stream)
        for name, floor in FLOORS.items():
            assert logging.getLogger(name).level >= floor
            assert logging.getLogger(name).level >= logging.getLevelName(level)


def test_only_debug_tells_what_pipecat_was_about_to_say(stream: io.StringIO) -> None:
    setup(settings(log_level="DEBUG", log_format="json"), stream)

    def pipecat(level: str, message: str) -> None:
        def place(record: Any) -> None:
            record["name"] = "pipecat.services.tts_service"

        logger.patch(place).log(level, message)

    pipecat("WARNING", "HibariTTS#0: service is no longer usable, not speaking [I live [alone].]")
    pipecat("ERROR", "exception processing TextFrame#3(pts: 1, text: [Who is\nAda?]): oh")
    pipecat("DEBUG", "Generating TTS [hello]")
    warning, error, debug = (line["message"] for line in read(stream))
    assert warning == "HibariTTS#0: service is no longer usable, not speaking [***]"
    assert error == "exception processing TextFrame#3(pts: 1, text: [***]): oh"
    assert debug == "Generating TTS [hello]"


# The last line of defence.

SECRET_SETTINGS = {
    "anthropic_api_key": KEY,
    "resend_api_key": "re_Xk29fJ2m_4hGq",
    "metrics_token": "mt-2f7d9a1c4e6b8035",
    "smtp_url": "smtp://mailer:relay%2Fpass%2Bword@mail.example.net:587",
    "database_url": "postgresql://viva:s3cr3tdb@db.internal/viva",
}


@pytest.mark.parametrize("how", ["text", "json"])
@pytest.mark.parametrize("where", ["message", "exception", "library"])
def test_no_secret_of_the_settings_is_in_any_line(
    stream: io.StringIO, how: str, where: str
) -> None:
    own = settings(log_format=how, **SECRET_SETTINGS)
    setup(own, stream)
    values = [value for value in SECRET_SETTINGS.values() if "://" not in value]
    values += [SMTP_PASSWORD, "s3cr3tdb"]
    forms = [*values, *(base64.b64encode(value.encode()).decode().rstrip("=") for value in values)]
    for secret in [*forms, *SECRET_SETTINGS.values()]:
        told = f"sent <{secret}> to them"
        if where == "message":
            logger.info("{}", told)
        elif where == "library":
            logging.getLogger("aiohttp.client").warning("%s", told)
        else:
            try:
                raise RuntimeError(told)
            except RuntimeError:
                logger.exception("failed")
    assert stream.getvalue().count("***") >= len(forms)
    for secret in forms:
        assert secret not in stream.getvalue()


def test_every_secret_setting_there_is_or_will_be_is_taken_out(stream: io.StringIO) -> None:
    names = [
        name
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    ]
    assert {"anthropic_api_key", "metrics_token", "smtp_url"} <= set(names)
    own = settings(**{name: f"value-of-{name}" for name in names})
    setup(own, stream)
    for name in names:
        secret = getattr(own, name)
        assert isinstance(secret, SecretStr)
        logger.error("{}", secret.get_secret_value())
    assert "value-of" not in stream.getvalue()


LINK = "https://viva.example.com/sign-in/link"
TOKEN = "Jc3TqkS0u8a2RkDkLx6mYp1XvB7nHf4wZ9eGiO5tQyA"


@pytest.mark.parametrize(
    ("told", "kept", "gone"),
    [
        ("mail to ada.lovelace+cv@mail.example.co.uk failed", "mail to ", "lovelace"),
        ("mail to <ada@localhost> failed", "mail to <", "ada"),
        ("GET /sign-in?email=ada%40example.com", "/sign-in", "ada"),
        ("RCPT TO:<o'neill@example.ie> code 550", "code 550", "neill@"),
        (f"open {LINK}?token={TOKEN}&b=1 now", "open https://viva.example.com", TOKEN),
        (f"open {LINK}/{TOKEN} now", "now", TOKEN),
        (f"open {LINK}#{TOKEN} now", "now", TOKEN),
        (f"GET /elsewhere?sign_in_token={TOKEN}", "/elsewhere", TOKEN),
        (f"Authorization: Bearer {TOKEN}", "Authorization: ", TOKEN),
        (f"{{'Authorization': 'Token {TOKEN}'}}", "Authorization", TOKEN),
        (f"(b'xi-api-key', b'{TOKEN}')", "xi-api-key", TOKEN),
        (f"x-api-key={TOKEN}", "x-api-key", TOKEN),
        (f"sent bearer {TOKEN} along", "along", TOKEN),
        (f"Cookie: viva_session={TOKEN}; theme={TOKEN}", "Cookie", TOKEN),
        (f"'Set-Cookie': 'viva_session={TOKEN}; HttpOnly'", "Set-Cookie", TOKEN),
        ("cannot reach postgresql://viva:hunter2@db/viva", "db/viva", "hunter2"),
        ("1 validation error, input_value='I live alone', input_type=str", "input_type", "alone"),
        ("Failed\nDETAIL:  Failing row contains (1, I live alone).\nHINT", "HINT", "alone"),
    ],
)
@pytest.mark.parametrize("how", ["text", "json"])
def test_no_address_link_or_credential_is_in_any_line(
    stream: io.StringIO, how: str, told: str, kept: str, gone: str
) -> None:
    setup(settings(log_format=how), stream)
    logger.info("{}", told)
    try:
        raise RuntimeError(told)
    except RuntimeError as error:
        logger.opt(exception=error).warning("failed")
    written = stream.getvalue()
    assert gone not in written
    assert written.count(kept) == 2
    assert "***" in written


@pytest.mark.parametrize(
    "told",
    [
        "authorization failed for this request",
        "the API key is missing; set ANTHROPIC_API_KEY",
        "claude: the prefix has 4100 tokens, written to the cache",
        "cookies are Secure, and a basic sign-in is refused",
        "cannot listen on 127.0.0.1:7860: address in use",
        "turn 3: gave up after 2.5 s (code=1011)",
        "https://example.com/path?page=2&since=2026-09-21",
    ],
)
def test_ordinary_sentences_are_left_as_they_are(stream: io.StringIO, told: str) -> None:
    setup(settings(log_format="json", anthropic_api_key="a key"), stream)
    logger.info("{}", told)
    assert read(stream)[0]["message"] == told


def test_what_a_statement_was_given_is_not_in_the_log(
    stream: io.StringIO, database: Database
) -> None:
    setup(settings(log_format="json"), stream)
    insert = text("INSERT INTO access_rule (pattern, allowed, created_at) VALUES (:said, :ok, 0)")
    given = {"said": "I live alone", "ok": True}
    try:
        with database.writing() as session:
            session.connection().execute(insert, given)
            session.connection().execute(insert, given)
    except IntegrityError:
        logger.exception("not written")
    (line,) = read(stream)
    assert "alone" not in line["exception"]
    assert "INSERT INTO access_rule" in line["exception"]


def test_a_line_is_not_longer_than_it_may_be_and_no_secret_is_cut_in_half(
    stream: io.StringIO,
) -> None:
    setup(settings(log_format="json", anthropic_api_key=KEY), stream)
    logger.info("{}", "x" * 16_380 + KEY + "y" * 100_000)
    (line,) = read(stream)
    assert len(line["message"]) < 16_500
    assert KEY[:4] not in line["message"]
    assert line["message"].endswith("characters more)")


@pytest.mark.parametrize(
    "told",
    [
        "[parameters: " * 4000,
        "input_value=" * 4000,
        "a" * 60_000 + "@",
        "://a:" * 9000,
        "@" * 60_000,
    ],
)
def test_no_text_makes_the_search_for_secrets_long(stream: io.StringIO, told: str) -> None:
    """Each of these would take minutes if any pattern had to look at all of it again and again."""
    setup(settings(log_format="json", anthropic_api_key=KEY), stream)
    for _ in range(20):
        logger.info("{}", told)
    assert len(read(stream)) == 20
