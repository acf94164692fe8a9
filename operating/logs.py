"""How the process logs: every library into one stream, by call and turn, and nothing personal."""

import json
import logging
import re
import sys
from datetime import UTC
from textwrap import indent
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from operating.redaction import MARK, Redaction
from settings import Settings

if TYPE_CHECKING:
    from loguru import Message, Record

FLOORS = {
    "aiohttp.access": logging.WARNING,  # INFO: a line a request, with where its caller is
    "alembic": logging.WARNING,  # INFO: what it is connected to, at each start
    "anthropic": logging.INFO,  # DEBUG: whole prompts
    "asyncio": logging.INFO,
    "faster_whisper": logging.WARNING,
    "httpcore": logging.INFO,  # DEBUG: headers
    "httpx": logging.WARNING,  # INFO: a line a request
    "openai": logging.INFO,  # DEBUG: whole prompts
    "opentelemetry": logging.WARNING,
    "sqlalchemy": logging.WARNING,  # INFO: every statement with what it was given
    "urllib3": logging.INFO,  # DEBUG: addresses with what is asked of them
    "websockets": logging.INFO,  # DEBUG: keys and voices
}
"""Libraries that may not say more than this, whatever ``LOG_LEVEL`` is, and what they would say."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""What would end a line, or move a terminal's cursor."""

_CONTROL_IN_LINES = re.compile(
    r"\x1b(?!\[[\d;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029]"
)
"""The same in what has several lines, and colours."""

_BRACKETS = re.compile(r"\[.*\]", re.DOTALL)


def setup(settings: Settings, stream: TextIO | None = None) -> None:
    """Log to one stream from now on, whoever logs in this process, by loguru or by ``logging``.

    A line has the ids of the call and the turn that it was written in, where the code around it ran
    under ``logger.contextualize(call=…, turn=…)``. The turn may be a callable without arguments: it
    is asked for each line, so that tasks begun in one turn tell of the one they are in.

    Args:
        settings: ``LOG_LEVEL``, ``LOG_FORMAT``, and the secrets that are taken out of each line.
        stream: Where to; standard error by default.
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
    """Hands on to loguru what libraries log by ``logging``."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        try:
            message = record.getMessage()
        except Exception:
            message = str(record.msg)  # its arguments do not fit it

        def place(ours: "Record") -> None:
            ours["name"] = record.name
            ours["function"] = record.funcName
            ours["line"] = record.lineno

        logger.patch(place).opt(exception=record.exc_info).log(level, message)


class _Lines:
    """How a line is written: what is in it is redacted first, and can then not pass for a line."""

    def __init__(self, redact: Redaction) -> None:
        self._redact = redact

    def format(self, record: "Record") -> str:
        """What loguru is to write of a record: a line, and after it the exception, if any."""
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
        """A line, and the exception's lines set in, so that none of them looks like another."""
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
        """The message; pipecat's has in brackets what was said, which only DEBUG may tell."""
        said = record["message"]
        loud = record["level"].no >= logging.INFO
        if loud and (record["name"] or "").startswith("pipecat."):
            said = _BRACKETS.sub(f"[{MARK}]", said)
        return self._redact(said)


def _visible(found: "re.Match[str]") -> str:
    return found[0].encode("unicode_escape").decode()


def _ids(record: "Record") -> dict[str, str | int]:
    """The ids of the call and the turn, as far as there are any."""
    ids: dict[str, str | int] = {}
    if call := record["extra"].get("call"):
        ids["call"] = str(call)
    turn = record["extra"].get("turn")
    turn = turn() if callable(turn) else turn
    if isinstance(turn, int) and turn > 0:
        ids["turn"] = turn
    return ids
