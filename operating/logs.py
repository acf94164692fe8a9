"""Logging: one stream for all libraries, tagged with call and turn, and free of personal data."""

import json
import logging
import re
import sys
from datetime import UTC
from textwrap import indent
from typing import TYPE_CHECKING, Any, TextIO

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError
from loguru import logger

from operating.redaction import MARK, Redaction
from settings import Settings

if TYPE_CHECKING:
    from loguru import Message, Record

FLOORS = {
    "aiohttp.access": logging.WARNING,  # INFO: a line per request, with the client's address
    "alembic": logging.WARNING,  # INFO: connection details at each start
    "anthropic": logging.INFO,  # DEBUG: whole prompts
    "asyncio": logging.INFO,
    "faster_whisper": logging.WARNING,
    "httpcore": logging.INFO,  # DEBUG: headers
    "httpx": logging.WARNING,  # INFO: a line per request
    "openai": logging.INFO,  # DEBUG: whole prompts
    "opentelemetry": logging.WARNING,
    "sqlalchemy": logging.WARNING,  # INFO: every statement with its parameters
    "urllib3": logging.INFO,  # DEBUG: URLs with their queries
    "websockets": logging.INFO,  # DEBUG: keys and audio
}
"""Lowest level of each library, whatever ``LOG_LEVEL`` is, and what a lower one would reveal."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that would end a line or control a terminal."""

_CONTROL_IN_LINES = re.compile(
    r"\x1b(?!\[[\d;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029]"
)
"""The same for text with several lines and colours."""

_BRACKETS = re.compile(r"\[.*\]", re.DOTALL)


def setup(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all logs of this process, by loguru or ``logging``, to one stream.

    A line carries the ids of its call and turn if the code runs under
    ``logger.contextualize(call=…, turn=…)``. The turn may be a callable, evaluated for each line,
    so that a task that outlives a turn logs the current one.

    Args:
        settings: ``LOG_LEVEL``, ``LOG_FORMAT``, and the secrets to redact.
        stream: Output; standard error by default.
    """
    out = stream or sys.stderr
    lines = _Lines(Redaction.from_settings(settings))
    written = lines.as_json if settings.log_format == "json" else lines.as_text

    def sink(message: "Message") -> None:
        out.write(written(message))
        out.flush()

    logger.remove()
    logger.add(
        sink,
        level=settings.log_level,
        filter=_is_news,
        format=lines.format,
        colorize=settings.log_format == "text" and out.isatty(),
        backtrace=False,
        diagnose=False,
    )
    level = max(logging.DEBUG, logger.level(settings.log_level).no)
    logging.basicConfig(handlers=[_Intercept()], level=level, force=True)
    for name, floor in FLOORS.items():
        logging.getLogger(name).setLevel(max(floor, level))


class _Intercept(logging.Handler):
    """Forwards records of the ``logging`` module to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        try:
            message = record.getMessage()
        except Exception:
            message = str(record.msg)  # its arguments do not match its format
        exception = record.exc_info
        if record.name == "aiohttp.server" and (reason := _malformed(exception and exception[1])):
            # The client's fault: no traceback, or anybody could fill the log with them.
            level, message, exception = "WARNING", f"{message}: {reason}", None

        def place(ours: "Record") -> None:
            ours["name"] = record.name
            ours["function"] = record.funcName
            ours["line"] = record.lineno

        logger.patch(place).opt(exception=exception).log(level, message)


def _malformed(error: BaseException | None) -> str:
    """What is wrong with a malformed request, in a few words; empty for other errors.

    Its content is left out, because it may be a cookie.
    """
    while error is not None:
        if isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
            said = "" if isinstance(error, InvalidURLError) else getattr(error, "message", "")
            said = re.split(r"[\n:'\"]", str(said), maxsplit=1)[0].strip()
            return f"{type(error).__name__} ({said[:80]})" if said else type(error).__name__
        error = error.__cause__ or error.__context__
    return ""


class _Lines:
    """Formats lines. The content is redacted, and cannot be mistaken for further lines."""

    def __init__(self, redact: Redaction) -> None:
        self._redact = redact

    def format(self, record: "Record") -> str:
        """Loguru's format of a record: a line, then the exception, if any."""
        extra = record["extra"]
        extra["_said"] = said = self._said(record)
        extra["_line"] = _CONTROL.sub(_visible, said)
        extra["_where"] = _CONTROL.sub(_visible, " turn ".join(map(str, _ids(record).values())))
        return (
            "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> <level>{level: <8}</level> "
            "<cyan>{name}:{function}:{line}</cyan> "
            + ("<cyan>[{extra[_where]}]</cyan> " if extra["_where"] else "")
            + "<level>{extra[_line]}</level>\n{exception}"
        )

    def as_text(self, message: "Message") -> str:
        """A line, with the exception's lines indented so that none resembles a log line."""
        line, _, exception = str(message).partition("\n")
        exception = _CONTROL_IN_LINES.sub(_visible, self._redact(exception))
        return f"{line}\n{indent(exception, '    ')}"

    def as_json(self, message: "Message") -> str:
        """A line that is a JSON object."""
        record = message.record
        line: dict[str, Any] = {
            "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
            "level": record["level"].name,
            "logger": record["name"],
            "message": record["extra"]["_said"],
            **_ids(record),
        }
        if record["exception"] is not None:
            line["exception"] = self._redact(str(message).partition("\n")[2].rstrip())
        return json.dumps(line, ensure_ascii=False) + "\n"

    def _said(self, record: "Record") -> str:
        """The message; pipecat puts what was said in brackets, which only DEBUG may show."""
        said = record["message"]
        loud = record["level"].no >= logging.INFO
        if loud and (record["name"] or "").startswith("pipecat."):
            said = _BRACKETS.sub(f"[{MARK}]", said)
        return self._redact(said)


def _is_news(record: "Record") -> bool:
    """Whether a line says something new: pipecat's worker repeats each error of a processor."""
    repeats = record["name"] == "pipecat.pipeline.worker" and record["level"].name == "WARNING"
    return not (repeats and "Something went wrong: ErrorFrame" in record["message"])


def _visible(found: "re.Match[str]") -> str:
    return found[0].encode("unicode_escape").decode()


def _ids(record: "Record") -> dict[str, str | int]:
    """The ids of call and turn, where known."""
    ids: dict[str, str | int] = {}
    if call := record["extra"].get("call"):
        ids["call"] = str(call)
    turn = record["extra"].get("turn")
    turn = turn() if callable(turn) else turn
    if isinstance(turn, int) and turn > 0:
        ids["turn"] = turn
    return ids
