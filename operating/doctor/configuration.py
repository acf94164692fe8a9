"""Checks the settings and what they name: vendors, keys, document, prices, database, mail."""

import logging
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dotenv.parser import parse_stream
from pydantic import SecretStr

from knowledge.loading.document import Document, DocumentError, load
from ledger.money.prices import PriceError, Prices, check_prices
from ledger.store.database import Database, DatabaseError
from operating.doctor.finding import Finding
from pipeline.choice import Choice, choose_for
from pipeline.vendors import STAGES, Stage
from pipeline.vendors.claude import ClaudeSettings
from settings import (
    ENV_ENCODING,
    ENV_FILE,
    Settings,
    SettingsError,
    known_names,
    meant_by,
)

MAIL_SECS = 4.0
"""Time limit for the mail server."""

UNREADABLE = "settings"
"""Area of findings about settings that cannot be read."""

_STAGE_NAMES: Mapping[Stage, str] = {
    "vad": "voice activity",
    "stt": "speech to text",
    "brain": "brain",
    "tts": "text to speech",
}


class Mail(Protocol):
    """The part of :class:`accounts.mail.mailer.Mail` that the doctor needs."""

    delivers: bool

    @property
    def where(self) -> str:
        """Where mail goes, in a few words."""
        ...

    async def trouble(self, timeout_secs: float) -> str:
        """Why mail cannot be sent; empty if it can."""
        ...


def read_settings() -> tuple[Settings, list[Finding]]:
    """The settings, with defaults for those that cannot be read, and findings about these."""
    # python-dotenv's own warnings about invalid lines are replaced by better ones below.
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)
    findings = _env_file(ENV_FILE)
    settings, error = Settings.load_valid()
    if error is not None:
        return settings, [*_broken(error), *findings]
    if not findings:
        where = f"{ENV_FILE} and the environment" if ENV_FILE.is_file() else "the environment"
        findings.append(Finding(UNREADABLE, "values", "ok", f"read from {where}"))
    return settings, findings


def _broken(error: SettingsError) -> list[Finding]:
    """A finding for each setting that an error names, or one for the file that cannot be read."""
    if not error.names:
        remedy = f"Make {ENV_FILE} a readable text file; `viva settings` prints one."
        return [Finding(UNREADABLE, str(ENV_FILE), "problem", str(error), remedy)]
    broken = []
    for invalid, text in zip(error.names, str(error).splitlines(), strict=True):
        field = Settings.field_named(invalid)
        default = Settings.model_fields[field].get_default()
        default = "empty" if default is None else default
        set_ones = {name.upper() for name in os.environ} & {
            alias.upper() for alias in Settings.names_of(field)
        }
        where = "in the environment" if set_ones else f"in {ENV_FILE}"
        name = min(set_ones, default=field.upper())
        remedy = f"Change {name} {where}, or remove it: its default is {default}."
        broken.append(Finding(UNREADABLE, name, "problem", text, remedy))
    return broken


def _env_file(path: Path) -> list[Finding]:
    """Invalid lines of ``.env``, unknown names, and its file permissions."""
    if not path.is_file():  # absent, or reported by read_settings
        return []
    try:
        with path.open(encoding=ENV_ENCODING) as lines:
            bindings = list(parse_stream(lines))
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError):  # reported by read_settings
        return []
    findings = []
    for line in bindings:
        name = (line.key or "").upper()
        if line.error:
            shown = f"line {line.original.line}"
            detail = f"{shown} is not a setting; it is ignored"
            remedy = "Write it as NAME=value, with quotes around a value with a space or #."
            findings.append(Finding(UNREADABLE, f"{path}, {shown}", "warning", detail, remedy))
        elif line.key and line.value is None and name in known_names():
            detail = f"{name} in line {line.original.line} has no value; it is ignored"
            remedy = f"Write {name}=value, or delete the line."
            findings.append(Finding(UNREADABLE, str(path), "warning", detail, remedy))
        elif meant := meant_by(name):
            detail = f"{name} in line {line.original.line} is not the name of a setting"
            remedy = f"Did you mean {' or '.join(meant)}?"
            findings.append(Finding(UNREADABLE, str(path), "warning", detail, remedy))
    secrets = [
        name for name, value in _secrets(Settings.model_construct()).items() if value is None
    ]
    kept = {(line.key or "").upper() for line in bindings if line.value}
    if os.name == "posix" and mode & 0o044 and kept & {name.upper() for name in secrets}:
        detail = f"{path} holds keys, and other users of this machine can read it ({mode:o})"
        findings.append(Finding(UNREADABLE, "permissions", "warning", detail, f"chmod 600 {path}"))
    return findings


def _secrets(settings: Settings) -> dict[str, Any]:
    """The secret settings by field."""
    return {
        name: getattr(settings, name)
        for name, field in Settings.model_fields.items()
        if field.annotation == SecretStr | None
    }


def vendors(settings: Settings) -> tuple[dict[Stage, Choice], list[Finding]]:
    """The vendor chosen for each stage, and why others are not; keys are not shown."""
    choices: dict[Stage, Choice] = {}
    findings = []
    for stage in STAGES:
        try:
            choice = choices[stage] = choose_for(stage, settings)
        except SettingsError as error:
            missing = str(error).rpartition("not set: ")[2].rstrip(".")
            remedy = f"Set {stage.upper()}=auto, or to a vendor that `viva vendors` lists."
            if missing != str(error).rstrip("."):
                remedy = f"Set {missing}, or {stage.upper()}=auto."
            elif "not installed" in str(error):
                remedy = "Run `make install`."
            trouble = str(error).rstrip(".")
            findings.append(Finding("vendors", _STAGE_NAMES[stage], "problem", trouble, remedy))
            continue
        first, *reserves = (
            f"{vendor.label}, {'in the cloud' if vendor.kind == 'cloud' else 'here'}"
            for vendor in choice.vendors
        )
        detail = f"{first} ({choice.why})"
        if reserves:
            detail += f"; then {'; '.join(reserves)}"
        findings.append(Finding("vendors", _STAGE_NAMES[stage], "ok", detail))
    return choices, [*findings, *_keys(settings, choices)]


def _keys(settings: Settings, choices: Mapping[Stage, Choice]) -> list[Finding]:
    """Which keys are set, and whether each looks valid."""
    findings = []
    unused = []
    held = {name: key for name, key in _secrets(settings).items() if name.endswith("_api_key")}
    for name, key in held.items():
        if key is None:
            continue
        text = key.get_secret_value()
        if not text.isascii() or any(char.isspace() or char in "\"'<>…" for char in text):
            detail = "contains a space, a quote or another character that keys do not have"
            remedy = f"Copy {name.upper()} again, only the key itself."
            findings.append(Finding("vendors", name.upper(), "problem", detail, remedy))
        elif not _is_used(name, choices):
            unused.append(name.upper())
    if unused:
        detail = f"set, and used by no stage: {', '.join(unused)}"
        findings.append(Finding("vendors", "further keys", "ok", detail))
    if len(choices) == len(STAGES):
        cloud = [
            _STAGE_NAMES[stage]
            for stage in STAGES
            if any(vendor.kind == "cloud" for vendor in choices[stage].vendors)
        ]
        named = f"callers' speech or words go to one for: {', '.join(cloud)}"
        detail = named if cloud else "no stage uses one"
        findings.append(Finding("vendors", "cloud", "ok", detail))
    return findings


def _is_used(key: str, choices: Mapping[Stage, Choice]) -> bool:
    """Whether a chosen vendor uses a key."""
    if key == "resend_api_key":
        return True
    chosen = [vendor for choice in choices.values() for vendor in choice.vendors]
    return any(key in vendor.settings.model_fields for vendor in chosen)


def document(settings: Settings) -> tuple[Document | None, list[Finding]]:
    """Whether the document can be loaded."""
    try:
        loaded = load(settings.knowledge)
    except DocumentError as error:
        remedy = (
            "Set KNOWLEDGE to a Markdown file with headings or a JSON Resume, or leave it empty."
        )
        return None, [Finding("document", "KNOWLEDGE", "problem", str(error), remedy)]
    named = settings.knowledge or "the bundled CV"
    detail = f"{named}: {loaded.title}, {len(loaded.sections)} sections"
    return loaded, [Finding("document", "KNOWLEDGE", "ok", detail)]


def bundled() -> Document:
    """The bundled document, used if another cannot be read."""
    return load()


def prices(settings: Settings, choices: Mapping[Stage, Choice]) -> tuple[Prices, list[Finding]]:
    """The price table, and whether every vendor has a price if there is a cap."""
    try:
        table = Prices.for_settings(settings)
    except PriceError as error:
        remedy = f"Correct {settings.data_dir / 'prices.toml'}, or remove it."
        shipped = Prices.load(cache_ttl=settings.for_vendor(ClaudeSettings).claude_cache_ttl)
        return shipped, [Finding("money", "prices", "problem", str(error), remedy)]
    try:
        check_prices(table, choices, settings)
    except SettingsError as error:
        detail, _, remedy = str(error).partition("\n")
        return table, [Finding("money", "prices", "problem", detail, remedy)]
    if unpriced := table.missing(choices, settings):
        detail = f"{len(unpriced)} of the vendors have none; their use counts as free"
        return table, [Finding("money", "prices", "warning", detail, unpriced[0])]
    detail = f"every chosen vendor has one; the newest is from {table.newest}"
    return table, [Finding("money", "prices", "ok", detail)]


def check_combination(
    settings: Settings, checks: Sequence[Callable[[Settings], object]]
) -> list[Finding]:
    """Whether the settings go together.

    Args:
        settings: The settings.
        checks: Each raises :class:`SettingsError` if they do not.
    """
    findings = []
    for check in checks:
        try:
            check(settings)
        except SettingsError as error:
            detail, remedy = _split(str(error))
            findings.append(Finding("sign-in", "AUTH", "problem", detail, remedy))
    if not findings:
        detail = f"AUTH={settings.auth}, HOST={settings.host}"
        findings.append(Finding("sign-in", "AUTH", "ok", detail))
    return findings


def database(settings: Settings) -> list[Finding]:
    """Whether the database responds, and has this version's tables."""
    try:
        found = Database.inspect(settings)
    except DatabaseError as error:
        detail, remedy = _split(str(error))
        remedy = remedy or "Set DATABASE_URL, or leave it empty for SQLite in DATA_DIR."
        return [Finding("database", "tables", "problem", detail, remedy)]
    if found.state == "behind":
        detail = f"{found.where}: its tables are from an older version"
        remedy = "Back it up, then run `viva serve`, which migrates it."
        return [Finding("database", "tables", "warning", detail, remedy)]
    said = {
        "newest": "its tables are up to date",
        "empty": "it responds; its tables are created at the first start",
        "absent": "is created at the first start",
    }[found.state]
    return [Finding("database", "tables", "ok", f"{found.where}: {said}")]


def _split(text: str) -> tuple[str, str]:
    """Split an error message into problem and remedy."""
    what, *rest = re.split(r"[.;] (?=(?:Set|Check|Install|Leave|write)\b)", text, maxsplit=1)
    remedy = rest[0] if rest else ""
    return what, remedy[:1].upper() + remedy[1:]


async def mail(settings: Settings, carrier: Callable[[Settings], Mail]) -> list[Finding]:
    """Where mail goes, and whether it would be accepted.

    Args:
        settings: The settings.
        carrier: Creates the mailer; raises :class:`SettingsError`.
    """
    try:
        post = carrier(settings)
    except SettingsError as error:
        detail, remedy = _split(str(error))
        return [Finding("mail", "sender", "problem", detail, remedy)]
    if not post.delivers:
        detail = f"written to {post.where}, and not sent to anyone"
        if settings.auth == "off" or not settings.public_url:
            return [Finding("mail", "folder", "ok", detail)]
        remedy = "Set RESEND_API_KEY or SMTP_URL: callers need their link to sign in."
        return [Finding("mail", "folder", "warning", detail, remedy)]
    kind = "Resend" if settings.resend_api_key is not None else "SMTP"
    if trouble := await post.trouble(MAIL_SECS):
        remedy = "Correct SMTP_URL, or fix the mail server; mail waits until it is accepted."
        return [Finding("mail", kind, "problem", trouble, remedy)]
    asked = "RESEND_API_KEY is set; Resend is not contacted" if kind == "Resend" else "it responds"
    return [Finding("mail", kind, "ok", f"sent by {post.where}: {asked}")]
