"""The settings that belong to no vendor, and how settings are read.

They come from the environment and ``.env``. Nothing of Viva is imported here: vendors are declared
for these settings, and :mod:`settings` adds theirs.
"""

import errno
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from dotenv import dotenv_values
from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from validation import what_is_allowed

Declared = TypeVar("Declared", bound=BaseModel)

# python-dotenv warns at each reading; settings.without_effect says it once, with what to do.
logging.getLogger("dotenv").setLevel(logging.ERROR)

Positive = Annotated[float, Field(gt=0)]

ENV_FILE = Path(".env")
"""Where settings are kept, beside the environment, whose values win."""

ENV_ENCODING = "utf-8-sig"
"""UTF-8, whose byte order mark, if any, is no part of the first name."""

ENVIRONMENT = "environment"
"""Where a variable is set, for people."""


@dataclass(frozen=True, slots=True)
class MayBeRecorded:
    """Marks a text setting that holds no secret, address or path."""


RecordedText = Annotated[str, MayBeRecorded()]
"""Text that a recording may hold, such as a model's name; other text settings are left out."""


def may_be_recorded(field: FieldInfo) -> bool:
    """Whether recordings may contain a setting's text: it is not a secret, an address or a path."""
    return any(isinstance(mark, MayBeRecorded) for mark in field.metadata)


class SettingsError(Exception):
    """A setting is invalid; the message names it, its value and what is allowed.

    Parameters:
        message: The message, one line per setting.
        names: Field names of settings that are invalid by themselves.
    """

    def __init__(self, message: str, *, names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


class ServerSettings(BaseSettings):
    """The settings that belong to no vendor; :class:`settings.Settings` adds the vendors'.

    The upper-case field names are the names of the environment variables. Times are in seconds.
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding=ENV_ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    log_level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
    )

    knowledge: Path | None = Field(
        None,
        description="The document to answer from: Markdown with headings, or a JSON Resume "
        "(.json). Empty: the bundled CV.",
    )

    data_dir: Path = Field(Path("data"), description="Directory for persistent data.")

    stt: RecordedText = Field(
        "auto", description="Speech to text: a vendor's name; see `viva vendors`."
    )
    brain: RecordedText = Field("auto", description="What decides each turn; see `viva vendors`.")
    tts: RecordedText = Field("auto", description="Text to speech; see `viva vendors`.")
    vad: RecordedText = Field("auto", description="Voice activity; see `viva vendors`.")

    vad_start_secs: Positive = Field(0.096, description="Speech this long starts a turn.")
    vad_stop_secs: Positive = Field(0.2, description="Silence this long ends the speech.")
    vad_threshold: float = Field(
        0.5, gt=0, lt=1, description="Probability at which a window counts as speech."
    )
    end_of_turn_wait_secs: Positive = Field(
        0.9,
        description="Wait this long after speech that sounds unfinished before answering it.",
    )
    barge_in: Literal["duck", "instant"] = Field(
        "duck",
        description="duck: lower the voice at once and stop it when speech is confirmed; "
        "instant: stop it at once.",
    )
    barge_in_confirm_secs: Positive = Field(
        0.8, description="Speech this long over the voice stops it, whatever the words are."
    )

    preemptive: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Start answers before it is certain that the caller has finished; "
        "auto: with a cloud brain, unless the recogniser guesses too seldom.",
    )
    preemptive_waste: float = Field(
        0.1, ge=0, le=1, description="Share of tokens that discarded early answers may waste."
    )

    call_secs: Positive = Field(120.0, description="Longest call.")
    wind_down_secs: Positive = Field(10.0, description="Warn this long before the limit.")
    silence_prompt_secs: Positive = Field(8.0, description="Prompt a silent caller after this.")
    silence_end_secs: Positive = Field(8.0, description="End the call this long after the prompt.")
    workers: int = Field(1, ge=1, le=256, description="Worker processes, sharing one port.")
    max_calls: int = Field(
        0,
        ge=0,
        description="Most concurrent calls in a process; 0: as many as MAX_LAG_SECS allows.",
    )
    connections_per_network: int = Field(
        128,
        ge=0,
        description="Connections of one network, such as a /24, to a process before its longest "
        "idle one makes room for a new one; 0: any number.",
    )
    max_lag_secs: Positive = Field(
        0.25,
        description="A process whose event loop is later than this, or whose engines keep work "
        "waiting longer (p99 over 10 s), accepts no further calls.",
    )

    database_url: str = Field(
        "",
        description="The ledger's database: postgresql://user:password@host/name; "
        "empty: SQLite in DATA_DIR.",
    )
    transcript_days: int = Field(
        90, ge=0, description="Days that transcripts are kept; 0 keeps them indefinitely."
    )
    record: Literal["off", "calls", "all"] = Field(
        "off",
        description="Which calls are recorded in DATA_DIR/recordings. calls: those whose caller "
        "consents when the page asks; all: every call, which the page announces.",
    )
    recording_days: int = Field(
        30, ge=0, description="Days that recordings are kept; 0 keeps them indefinitely."
    )
    daily_spend_cap_usd: Decimal | None = Field(
        None, ge=0, description="Spend cap for all calls of a day (UTC); empty: no cap."
    )
    call_spend_cap_usd: Decimal | None = Field(
        None, ge=0, description="Spend cap for one call; empty: its worst-case cost."
    )
    calls_per_caller_per_day: int = Field(
        0, ge=0, description="Calls that one caller may make in a day (UTC); 0: no limit."
    )

    open_calls_per_caller: int = Field(
        3,
        ge=0,
        description="Calls that one caller may have open at a time; 0: no limit. Under AUTH=off "
        "callers have no name, and no limit.",
    )

    auth: Literal["link", "off"] = Field(
        "link",
        description="link: callers sign in by a link sent to them; off: anyone may call, on "
        "loopback only.",
    )
    public_url: str = Field(
        "",
        description="The address that callers open, such as https://viva.example.com; with a path "
        "(https://example.com/viva) where a proxy has it for Viva.",
    )
    allow: str = Field(
        "",
        description="Who may sign in: addresses and domains (@example.com), separated by commas; "
        "`viva accounts` adds to them.",
    )
    admins: str = Field(
        "", description="Addresses, separated by commas, that see every call and report."
    )
    subaddresses: str = Field(
        "all",
        description="Domains, separated by commas, at which name+anything is the mailbox of name: "
        "a denial, and limits on links and calls, hold for all its addresses; or: all, none.",
    )
    session_days: Positive = Field(30, description="Days that a browser stays signed in.")
    trusted_proxies: str = Field(
        "",
        description="Networks, such as 10.0.0.0/8, whose X-Forwarded-For and -Proto are trusted.",
    )

    mail_from: str = Field("Viva <viva@localhost>", description="Sender of Viva's mail.")
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server: smtp://user:password@host:587 (STARTTLS) or smtps://…:465.",
    )
    resend_api_key: SecretStr | None = Field(None, description="Resend's API key, to send mail.")
    resend_base_url: str = Field("", description="Resend's address; empty: its cloud.")
    reports: Literal["on", "off"] = Field(
        "on", description="Whether each call's report is mailed to its caller and to ADMINS."
    )

    admin_reports: Literal["each", "hourly", "daily"] = Field(
        "each",
        description="How ADMINS are told of calls. each: a report of each, at most 20 an hour, of "
        "which 1 is of a call that failed before anybody spoke, and a digest of the others; "
        "hourly, daily: a digest.",
    )

    metrics_token: SecretStr | None = Field(
        None, description="Token that allows reading /metrics from other machines."
    )
    otel_exporter_otlp_endpoint: str = Field(
        "", description="Destination of OpenTelemetry traces (OTLP over HTTP); empty: none."
    )
    log_format: Literal["text", "json"] = Field("text", description="Format of the logs.")

    first_token_timeout_secs: Positive = Field(
        3.0,
        description="Time limit for a brain's first token, tried twice. BRAIN=openai: 8, unless "
        "it is set here.",
    )
    decision_timeout_secs: Positive = Field(12.0, description="Time limit for a whole decision.")
    first_audio_timeout_secs: Positive = Field(
        3.0, description="A cloud voice that sends no audio for this long has failed."
    )
    transcript_timeout_secs: Positive = Field(
        3.0, description="Longest wait for the transcript after speech has stopped."
    )
    page_timeout_secs: Positive = Field(
        5.0, description="End the call of a page that receives nothing for this long."
    )
    rtvi_origins: str = Field(
        "",
        description="Origins of other sites that may call by /rtvi, such as https://example.com, "
        "separated by commas; * for any.",
    )
    embed_origins: str = Field(
        "",
        description="Origins of other sites whose pages may embed the call and whose visitors may "
        "call without signing in, such as https://example.com, separated by commas.",
    )
    drain_secs: float = Field(
        30.0,
        ge=0,
        validation_alias=AliasChoices("drain_secs", "drain_s"),
        description="After SIGTERM, time for open calls to end by themselves.",
    )
    shutdown_secs: Positive = Field(
        5.0, description="After that, or after Ctrl-C, time for open calls to end with a farewell."
    )

    @field_validator("*", mode="after")
    @classmethod
    def _in_home(cls, value: Any) -> Any:
        """A path that begins with ``~`` is in a home directory, as in a shell."""
        if not isinstance(value, Path) or not str(value).startswith("~"):
            return value
        try:
            return value.expanduser()
        except RuntimeError:
            raise ValueError(
                f"there is no home directory {value.parts[0]}; write the whole path"
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then what of ``.env`` no variable hides."""
        environment = _Stripped(settings_cls, env_settings)
        behind = _Stripped(settings_cls, _BehindEnvironment(settings_cls, dotenv_settings))
        return init_settings, environment, behind, file_secret_settings

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """The settings of this process, with overrides by field name.

        Raises:
            SettingsError: A setting is invalid, or empty although it has a default.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        troubles: list[tuple[str, str]] = []
        try:
            _check_env_file()
            troubles += _left_empty(cls, given)
            settings = cls(**given)
        except ValidationError as error:
            troubles += (
                (
                    str(trouble["loc"][0]),
                    f"{'.'.join(map(str, trouble['loc'])).upper()}={trouble['input']!r}: "
                    f"{what_is_allowed(trouble)}.",
                )
                for trouble in error.errors(include_url=False)
            )
        except OSError as error:
            raise SettingsError(f"{ENV_FILE} cannot be read: {error.strerror}.") from None
        if troubles:
            names, lines = zip(*troubles, strict=True)
            raise SettingsError("\n".join(lines), names=names)
        return settings

    @classmethod
    def load_valid(cls) -> tuple[Self, SettingsError | None]:
        """The settings with the defaults of those that are invalid, and what is wrong with these.

        If ``.env`` cannot be read, they are those of the environment alone, or all the defaults.
        """
        try:
            return cls.load(), None
        except SettingsError as error:
            if error.names:
                fields = (cls.field_named(name) for name in error.names)
                return cls(**{name: cls.model_fields[name].get_default() for name in fields}), error
            try:
                return cls(_env_file=None), error  # type: ignore[call-arg]
            except ValidationError:
                return cls.model_construct(), error

    @classmethod
    def names_of(cls, field: str) -> tuple[str, ...]:
        """All names of a setting: its field and its aliases."""
        alias = cls.model_fields[field].validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else ()
        return (field, *(choice for choice in choices if isinstance(choice, str)))

    @classmethod
    def field_named(cls, name: str) -> str:
        """The field that has a name, its own or an alias."""
        return next(field for field in cls.model_fields if name in cls.names_of(field))

    def for_vendor(self, declared: type[Declared]) -> Declared:
        """Return these settings, typed by the class that a vendor's module declares.

        Raises:
            TypeError: No known vendor declares them.
        """
        own: object = self
        if not isinstance(own, declared):
            raise TypeError(f"no vendor declares the settings {declared.__name__}")
        return own


def _check_env_file() -> None:
    """Refuse a ``.env`` that would hold the reader up, or set what no system call takes.

    Raises:
        OSError: It is neither a file nor absent: reading a pipe would wait for its writer.
        SettingsError: It is not UTF-8 text, or holds a NUL character, which no path or name may.
    """
    if not ENV_FILE.exists():
        return
    if not ENV_FILE.is_file():
        raise OSError(errno.EINVAL, "it is not a file")
    content = ENV_FILE.read_bytes()
    if _is_utf16(content):
        raise SettingsError(
            f"{ENV_FILE} cannot be read: it is UTF-16, as PowerShell's > writes it. Save it as "
            "UTF-8 text."
        )
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            named = line[: error.start].decode().partition("=")[0].strip()
            raise SettingsError(
                f"{ENV_FILE} cannot be read: line {number}"
                + (f" ({named})" if named.isidentifier() else "")
                + " is not UTF-8 text, but of another encoding, such as Windows-1252. Save the "
                "file as UTF-8."
            ) from None
        if b"\0" in line:
            raise SettingsError(f"{ENV_FILE} cannot be read: line {number} holds a NUL character.")


def _is_utf16(content: bytes) -> bool:
    """Whether a text is UTF-16: it says so, or every other byte of its beginning is 0."""
    begins = content[:64]
    pairs = len(begins) // 2
    return begins.startswith((b"\xff\xfe", b"\xfe\xff")) or (
        pairs > 1 and pairs in (begins[::2].count(0), begins[1::2].count(0))
    )


def _left_empty(
    settings: type[ServerSettings], given: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Settings that are set to nothing, as by an unset variable, although they have a default.

    pydantic drops empty values, so that ``DATA_DIR=$UNSET`` would silently write to ./data.

    Yields:
        Each field and a line about it; fields without a default may be empty.
    """
    sources = values_by_source()
    for field, info in settings.model_fields.items():
        if info.default in (None, "") or field in given:
            continue
        names = settings.names_of(field)
        where = next((at for at, set_ in sources.items() if set_.keys() & set(names)), None)
        if where is None or any(sources[where].get(name) for name in names):
            continue
        empty = next(name for name in names if name in sources[where])
        hidden = where == ENVIRONMENT and any(sources[str(ENV_FILE)].get(name) for name in names)
        yield (
            field,
            f"{empty.upper()}='': give it a value, or remove it to use "
            + (f"that of {ENV_FILE}." if hidden else f"its default, {info.default}."),
        )


def values_by_source(*, env_file: bool = True) -> dict[str, dict[str, str]]:
    """What each source sets, by lower-case names, without white space around the values.

    The first source that has one wins.

    Args:
        env_file: Whether ``.env`` can be read.
    """
    values = dotenv_values(ENV_FILE, encoding=ENV_ENCODING) if env_file else {}
    return {
        ENVIRONMENT: {name.lower(): value.strip() for name, value in os.environ.items()},
        str(ENV_FILE): {
            name.lower(): value.strip()
            for name, value in values.items()
            if value is not None  # a line with a name alone sets nothing
        },
    }


class _Stripped(PydanticBaseSettingsSource):
    """The values of a source without the white space around them, as of a value that was pasted.

    A value of nothing else is none, as an empty one is.
    """

    def __init__(self, settings: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return what the source has."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """The values, by name."""
        values = self._source().items()
        stripped = {name: v.strip() if isinstance(v, str) else v for name, v in values}
        return {name: value for name, value in stripped.items() if value != ""}


class _BehindEnvironment(PydanticBaseSettingsSource):
    """The values of ``.env`` that no variable hides: one that is set to nothing hides them, too.

    pydantic drops empty variables, so that ``DATABASE_URL= viva ledger delete`` would act on the
    database that ``.env`` names.
    """

    def __init__(self, settings: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return what the source has."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """The values of ``.env`` that are in force, by name."""
        set_ = {name.lower() for name in os.environ}
        hidden: set[str] = set()
        for field in self.settings_cls.model_fields:
            names = set(cast(type[ServerSettings], self.settings_cls).names_of(field))
            hidden |= names if names & set_ else set()
        return {name: value for name, value in self._source().items() if name not in hidden}
