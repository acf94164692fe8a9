"""All settings of Viva: one typed object, read from the environment and ``.env``.

A vendor declares its settings in its module of :mod:`pipeline.vendors`; :class:`Settings` combines
them all.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypeVar, cast, get_args

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from rapidfuzz.distance import DamerauLevenshtein

from pipeline.vendor import MayBeRecorded, RecordedText, VendorSettings
from pipeline.vendors import VENDORS
from processors.declarations import DeclarationError

Declared = TypeVar("Declared", bound=VendorSettings)

Positive = Annotated[float, Field(gt=0)]

ENV_FILE = Path(".env")
"""Where settings are kept, beside the environment, whose values win."""

ENV_ENCODING = "utf-8-sig"
"""UTF-8, whose byte order mark, if any, is no part of the first name."""

ENVIRONMENT = "environment"
"""Where a variable is set, for people."""

_HIDDEN = "***"
_CREDENTIALS = re.compile(r"(://)[^/@\s]*@")  # of an address

MOST_MEANT = 3
"""Most settings that are named when one of their names was probably meant."""

LONG_CHARS = 7
"""Names at least this long may have two typing errors and still be suggested; shorter ones, one."""


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
    """The settings that belong to no vendor; :class:`Settings` adds the vendors'.

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
        behind = _BehindEnvironment(settings_cls, dotenv_settings)
        return init_settings, env_settings, behind, file_secret_settings

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
                    f"{trouble['msg']}.",
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
    def field_named(cls, name: str) -> str:
        """The field that has a name, its own or an alias."""
        return next(field for field in cls.model_fields if name in names_of(field, cls))

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
        raise OSError(errno.EINVAL, "it is no file")
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
    sources = _sources()
    for field, info in settings.model_fields.items():
        if info.default in (None, "") or field in given:
            continue
        names = names_of(field, settings)
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


def _sources(*, env_file: bool = True) -> dict[str, dict[str, str]]:
    """What is set where, by names in small letters; the first source that has one wins.

    Args:
        env_file: Whether ``.env`` can be read.
    """
    values = dotenv_values(ENV_FILE, encoding=ENV_ENCODING) if env_file else {}
    return {
        ENVIRONMENT: {name.lower(): value for name, value in os.environ.items()},
        str(ENV_FILE): {
            name.lower(): value
            for name, value in values.items()
            if value is not None  # a line with a name alone sets nothing
        },
    }


class _BehindEnvironment(PydanticBaseSettingsSource):
    """The values of ``.env`` that no variable hides: one that is set to nothing hides them, too.

    pydantic drops empty variables, so that ``DATABASE_URL= viva ledger delete`` would act on the
    database that ``.env`` names.
    """

    def __init__(self, settings: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """As the source gives it."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """The values, by name."""
        set_ = {name.lower() for name in os.environ}
        hidden: set[str] = set()
        for field in self.settings_cls.model_fields:
            names = set(names_of(field, cast(type[ServerSettings], self.settings_cls)))
            hidden |= names if names & set_ else set()
        return {name: value for name, value in self._source().items() if name not in hidden}


def including(declared: Iterable[type[VendorSettings]]) -> type[ServerSettings]:
    """The class of all settings: the server's, and those that vendors declare.

    Args:
        declared: The vendors' classes; duplicates are allowed, since vendors may share one.

    Raises:
        DeclarationError: A vendor declares a setting of the server's.
    """
    given = dict.fromkeys(declared)
    for declaration in given:
        for name in declaration.model_fields.keys() & ServerSettings.model_fields.keys():
            raise DeclarationError(
                f"{declaration.__module__.replace('.', '/')}.py: {declaration.__name__}.{name} is "
                f"{name.upper()}, a setting of the server's. Give it another name, which begins "
                "with the vendor's."
            )
    # One that another extends comes with it. The fields of the last base come first.
    own = [
        declaration
        for declaration in given
        if not any(issubclass(other, declaration) for other in given if other is not declaration)
    ]
    bases: Any = (*reversed(own), ServerSettings)
    made: type[ServerSettings] = create_model(
        "Settings", __base__=bases, __module__=__name__, __doc__=_ALL
    )
    return made


_ALL = """All settings of one server; :meth:`ServerSettings.for_vendor` gives a vendor's, typed."""

if TYPE_CHECKING:
    Settings: TypeAlias = ServerSettings
else:
    Settings = including(vendor.settings for vendor in VENDORS)


def names_of(field: str, settings: type[ServerSettings] = Settings) -> tuple[str, ...]:
    """All names of a setting: its field and its aliases."""
    alias = settings.model_fields[field].validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else ()
    return (field, *(choice for choice in choices if isinstance(choice, str)))


@cache
def known_names() -> frozenset[str]:
    """The names of all settings in upper case."""
    return frozenset(name.upper() for field in Settings.model_fields for name in names_of(field))


def meant_by(name: str) -> tuple[str, ...]:
    """The settings that an unknown name probably means; empty if it is one, or is like none.

    It has a few typing errors, begins with a setting's name, or is the beginning of some.

    Args:
        name: In upper case.
    """
    known = known_names()
    if name in known or len(name) < len("PORT"):
        return ()
    if (bare := name.removeprefix("VIVA_")) in known:
        return (bare,)
    mistakes = {setting: DamerauLevenshtein.distance(name, setting) for setting in known}
    nearest = min(sorted(mistakes), key=mistakes.__getitem__)
    if mistakes[nearest] <= (1 if len(name) < LONG_CHARS else 2):
        return (nearest,)
    if begun := [setting for setting in known if _begins(name, setting)]:
        return (max(begun, key=len),)
    continued = [setting for setting in known if _begins(setting, name)]
    return tuple(sorted(continued, key=lambda setting: (len(setting), setting))[:MOST_MEANT])


def _begins(name: str, start: str) -> bool:
    """Whether a name begins with the words of another."""
    return name.startswith(f"{start}_") or ("_" in start and name.startswith(start))


def unknown_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What is set by a name that no setting has, but which means one: a sentence each.

    The environment is everybody's: of it, only names of several words are looked at.
    """
    lines: list[tuple[str, str]] = []
    if ENV_FILE.is_file():
        with ENV_FILE.open(encoding=ENV_ENCODING) as file:
            bound = [line for line in parse_stream(file) if line.key]
        lines = [(f"{ENV_FILE}, line {line.original.line}", str(line.key)) for line in bound]
    lines += [("the environment", name) for name in environment if "_" in name]
    said = []
    for where, name in lines:
        meant = meant_by(name.upper())
        if where == "the environment":
            meant = tuple(setting for setting in meant if "_" in setting)
        if meant:
            said.append(f"{where}: {name} is unknown; did you mean {' or '.join(meant)}?")
    return said


def may_be_recorded(field: FieldInfo) -> bool:
    """Whether recordings may contain a setting's text: it is not a secret, an address or a path."""
    return any(isinstance(mark, MayBeRecorded) for mark in field.metadata)


def current(settings: ServerSettings, error: SettingsError | None = None) -> str:
    """Every setting that is in force, and where it is set; keys and passwords are hidden.

    Args:
        settings: The settings.
        error: What is wrong with those that are invalid, which are shown as they are set.
    """
    sources = _sources(env_file=error is None or bool(error.names))
    invalid = {settings.field_named(name) for name in error.names} if error else set()
    lines = []
    for name, _ in _in_order(type(settings)):
        names = names_of(name, type(settings))
        where = next((at for at, set_ in sources.items() if set_.keys() & set(names)), "default")
        value = getattr(settings, name)
        if name in invalid:
            value = next(sources[where][known] for known in names if known in sources[where])
            where += ", invalid"
        lines.append(f"{name.upper()}={_shown(value)}  ({where})")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    return _CREDENTIALS.sub(rf"\1{_HIDDEN}@", str(value))


def example(settings: type[ServerSettings] = Settings) -> str:
    """The text of ``.env.example``: each setting with its default and meaning."""
    lines = ["# All settings with their defaults. Copy to .env and uncomment what you change.", ""]
    for name, field in _in_order(settings):
        allowed = get_args(field.annotation)
        choices = (
            f" One of: {', '.join(allowed)}."
            if allowed and all(isinstance(value, str) for value in allowed)
            else ""
        )
        default = "" if field.default is None else field.default
        lines += [f"# {field.description}{choices}", f"#{name.upper()}={default}", ""]
    return "\n".join(lines)


def _in_order(settings: type[ServerSettings]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields in order: vendors' settings follow those that choose vendors."""
    fields, own = settings.model_fields, ServerSettings.model_fields
    for name in own:
        yield name, fields[name]
        if name == "vad":
            yield from ((other, fields[other]) for other in fields if other not in own)
