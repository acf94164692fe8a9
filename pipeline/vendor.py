"""Declares a vendor: one implementation of one stage of a call, with its settings and prices.

Each module of :mod:`pipeline.vendors` declares one. The settings import those modules before
anything else of Viva, so they import their engine only in ``load`` and ``build``.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from processors.declarations import DeclarationError, check_fields, place_in
from server_settings import RecordedText as RecordedText  # noqa: PLC0414 - for vendors
from server_settings import ServerSettings, SettingsError
from validation import what_is_allowed

if TYPE_CHECKING:
    from conversation.far_end import FarEnd
    from knowledge.loading.document import Document
    from processors.brain.tools import FunctionTool

Stage = Literal["vad", "stt", "brain", "tts"]
STAGES: tuple[Stage, ...] = get_args(Stage)

AUTO = "auto"
"""The value of a stage's setting that chooses among its vendors, and the name of none."""

Progress = Callable[[str, float], None]
"""Called with the label of what is loading and the share that is done, 0 to 1."""


class VendorSettings(BaseModel):
    """A vendor's own settings; :class:`settings.Settings` reads them from the environment.

    The field name in capitals is the environment variable. Begin it with the vendor's name: all
    vendors share one environment, and a name that is taken is refused. Each field has a default
    and a ``description``.
    """

    model_config = ConfigDict(frozen=True)


PricedBy = Literal[
    "per_million_input_tokens",
    "per_million_output_tokens",
    "per_million_cache_read_tokens",
    "per_million_cache_write_tokens_5m",
    "per_million_cache_write_tokens_1h",
    "per_thousand_characters",
    "per_minute_of_audio",
]


@dataclass(frozen=True, slots=True)
class Price:
    """A vendor's price for some of its models, in force from a day on.

    Excludes taxes, credits, and discounts by volume or contract.

    Parameters:
        since: The first day (UTC) on which ``source`` is known to have shown it.
        source: The page that publishes it.
        usd: US dollars per billing unit.
        models: The vendor's model ids; a trailing ``*`` matches every id with that prefix.
        free: Whether nothing is charged.
        only_if: Values of settings with which it applies, by the settings' names; other values have
            a price of their own.
        up_to_prompt_tokens: Longest prompt to which it applies, in tokens; 0 for any.
    """

    since: date
    source: str
    usd: Mapping[PricedBy, Decimal] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)
    free: bool = False
    only_if: Mapping[str, str] = field(default_factory=dict)
    up_to_prompt_tokens: int = 0

    def applies(self, settings: ServerSettings | None) -> bool:
        """Whether it applies with these settings; without settings, if it depends on none."""
        if settings is None:
            return not self.only_if
        return all(
            str(getattr(settings, name)).strip().casefold() == value
            for name, value in self.only_if.items()
        )

    def __post_init__(self) -> None:
        # A datetime is an instance of date, but the two cannot be compared.
        if not isinstance(self.since, date) or isinstance(self.since, datetime):
            raise DeclarationError(
                f"since is {self.since!r}; it must be a day, such as date(2026, 1, 31)."
            )
        check_fields(self)
        for unit, usd in self.usd.items():
            if usd < 0:
                raise DeclarationError(
                    f"usd[{unit!r}] is {usd!r}; it must be a Decimal of 0 or more."
                )


FREE = (Price(date(2025, 1, 1), "it runs on this machine", free=True),)
"""The price of an engine that runs in this process."""


@dataclass(frozen=True, slots=True)
class Context:
    """The argument of a vendor's ``load`` and ``build``.

    Parameters:
        settings: The settings; ``settings.for_vendor(CartesiaSettings)`` returns a vendor's own.
        document: The document to answer from.
        turn_model: Whether a turn model judges each pause in the caller's speech.
        far_end: What the caller's loudspeaker plays, for voice activity; ``None`` if not known.
        stores: Whether ``load`` may write what it has computed to ``DATA_DIR``, for the next start.
    """

    settings: ServerSettings
    document: "Document"
    turn_model: bool = True
    far_end: "FarEnd | None" = None
    stores: bool = True

    @property
    def tools(self) -> "tuple[FunctionTool, ...]":
        """Tools that a brain may call besides ``respond`` and ``escalate``."""
        from processors.brain.tools import registered

        return registered()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # raised for the parent package
        return False


def _nothing_is_shared(_context: Context, _progress: Progress) -> None:
    return None


def _as_many(_model: str) -> float:
    return 1.0


def _the_same_for_all(loaded: Any, _context: Context) -> Any:
    return loaded


@dataclass(frozen=True, slots=True)
class Vendor:
    """One implementation of one stage.

    Parameters:
        stage: Its stage.
        name: Its name in the settings.
        label: Its name for people.
        kind: ``embedded`` runs in this process, ``cloud`` is a remote service.
        detail: What it is and where it runs, for people.
        settings: The class of its own settings.
        required: Names of the settings that must not be empty.
        modules: Import names of the modules that it needs.
        load: Loads what all calls share (a model, a connection pool); called once per process, in a
            thread.
        build: Makes one call's processor from the loaded object; for a brain, which serves all
            calls, returns it.
        ends_turns: Whether it detects the end of the caller's turn itself, so that no turn model
            is needed.
        early_answers: For a recogniser: when an answer may start early, to be spoken only if the
            turn is over. ``pauses``: when the caller pauses, from the interim transcript;
            ``predicted``: when the recogniser predicts the end of the turn; ``judged``: when the
            turn model takes a pause for the end, and the words before it are final, for recognisers
            whose interim transcripts are rare, if ``PREEMPTIVE`` is ``on``; ``never``: nor would
            that gain anything.
        auto: Its rank in its stage when the setting is ``auto``, the lowest tried first; ``None``
            if it is used by name only.
        model: Its model if it has only one; empty if unknown.
        model_setting: Name of the setting that chooses its model, if it has several.
        first_token_secs: For a brain: how long its first token may take, where that is more than
            ``FIRST_TOKEN_TIMEOUT_SECS`` is by default; one that is set applies.
        caches_from: For a brain whose vendor charges for caching the prompt: the shortest prompt
            that a model caches, in tokens, by the model's id.
        token_ratio: For a brain: the most tokens that a model makes of a text, relative to Viva's
            estimate, by the model's id.
        unfit: Why it cannot do its stage with these settings, in a sentence without a full stop;
            empty if it can. Viva then refuses to start instead of choosing another vendor.
        unavailable: Asks the service whether this account may use it. Returns the reason if not, in
            a sentence; empty if it may. Raises :class:`processors.key_check.UnreachableError` if
            nobody answers. Asked at start.
        address: For a vendor with a configurable address: the name of that setting, and the default
            address. Without ``unavailable``, whether somebody answers there is tried at start.
        prices: Its prices, dated; each is in force from its day on. Add new prices, never change
            old ones.
        unpriced: The reason, if it has no price here.
        checked: What the project's tests cover: whole calls (with a simulator of its protocol, or
            the real engine), or only its construction.
    """

    stage: Stage
    name: str
    label: str
    kind: Literal["embedded", "cloud"]
    detail: str
    settings: type[VendorSettings] = VendorSettings
    required: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    load: Callable[[Context, Progress], Any] = _nothing_is_shared
    build: Callable[[Any, Context], Any] = _the_same_for_all
    ends_turns: bool = False
    early_answers: Literal["pauses", "predicted", "judged", "never"] = "pauses"
    auto: int | None = None
    model: str = ""
    model_setting: str = ""
    first_token_secs: float = 0.0
    caches_from: Callable[[str], int] | None = None
    token_ratio: Callable[[str], float] = _as_many
    unfit: Callable[[ServerSettings], str] | None = None
    unavailable: Callable[[ServerSettings], str] | None = None
    address: tuple[str, str] = ("", "")
    prices: tuple[Price, ...] = ()
    unpriced: str = ""
    checked: Literal["calls", "construction"] = "calls"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.name == AUTO or not re.fullmatch(r"[a-z][a-z0-9-]*", self.name):
            raise DeclarationError(
                f"name is {self.name!r}; allowed: lower-case letters, digits and hyphens, with "
                f"a letter first, but not {AUTO!r}."
            )
        for name in ("label", "detail"):
            if not getattr(self, name).strip():
                raise DeclarationError(f"{name} is empty; people read it.")
        for module in self.modules:
            if not all(part.isidentifier() for part in module.split(".")):
                raise DeclarationError(f"modules has {module!r}; it must be a module's name.")
        if not 0 <= self.first_token_secs < math.inf:
            raise DeclarationError(
                f"first_token_secs is {self.first_token_secs}; it must be 0 or more seconds."
            )
        self._check_settings()

    def _check_settings(self) -> None:
        own = self.settings
        for name, setting in own.model_fields.items():
            if name not in ServerSettings.model_fields and hasattr(ServerSettings, name):
                raise DeclarationError(f"{own.__name__}.{name} is a word of pydantic's or Viva's.")
            if setting.is_required():
                raise DeclarationError(
                    f"{own.__name__}.{name} has no default; without one, {name.upper()} would have "
                    f"to be set even where {self.name} is not used."
                )
            if not (setting.description or "").strip():
                raise DeclarationError(
                    f"{own.__name__}.{name} has no description, which is its comment in "
                    ".env.example: Field(…, description=…)."
                )
        try:
            own.model_validate({name: field.default for name, field in own.model_fields.items()})
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            raise DeclarationError(
                f"{own.__name__}.{wrong['loc'][0]} has the default {wrong['input']!r}; "
                f"{what_is_allowed(wrong)}."
            ) from None
        known = ", ".join(own.model_fields) or "nothing"
        for of, names in (
            ("required", self.required),
            ("model_setting", (self.model_setting,)),
            ("address", self.address[:1]),
        ):
            for name in filter(None, names):
                if name not in own.model_fields:
                    raise DeclarationError(
                        f"{of} has {name!r}, which {own.__name__} does not declare; it declares "
                        f"{known}."
                    )

    def address_in(self, settings: ServerSettings) -> str:
        """Its address with these settings; empty if it has none that can be configured."""
        setting, default = self.address
        return (setting and str(getattr(settings, setting))) or default

    def refusal(self, settings: ServerSettings) -> str:
        """Ask the service whether it can be used with these settings. Blocks for seconds at most.

        Returns:
            Why not, in a sentence without a full stop; empty if it can, as far as is known.

        Raises:
            processors.key_check.UnreachableError: Nobody answers.
        """
        from processors.key_check import check_reachable, url_fault

        url = self.address_in(settings)
        if url and (fault := url_fault(url)):
            return f"{self.address[0].upper()}={url!r} is no server's URL: {fault}"
        if self.unavailable is not None:
            return self._told("unavailable", settings)
        if url:
            check_reachable(url)
        return ""

    def unfitness(self, settings: ServerSettings) -> str:
        """Why it cannot do its stage with these settings; empty if it can.

        Raises:
            SettingsError: Its file's ``unfit`` failed.
        """
        return self._told("unfit", settings) if self.unfit is not None else ""

    def _told(self, part: str, settings: ServerSettings) -> str:
        """What ``unfit`` or ``unavailable`` says.

        Raises:
            SettingsError: It failed.
            processors.key_check.UnreachableError: Nobody answered.
        """
        from processors.key_check import UnreachableError

        try:
            told = getattr(self, part)(settings)
            if not isinstance(told, str):
                raise TypeError(f"it returned {told!r}, and no text")
        except UnreachableError:
            raise
        except (Exception, SystemExit) as error:
            module = getattr(getattr(self, part), "__module__", "")
            where = place_in(f"{module.replace('.', '/')}.py", error)
            raise SettingsError(
                f"{self.stage.upper()}={self.name}: its {part} failed ({where}): "
                f"{type(error).__name__}: {error}"
            ) from error
        return told

    def missing(self, settings: ServerSettings) -> str:
        """Why it cannot be used with these settings, in a sentence; empty if it can."""
        unset = [name for name in self.required if not getattr(settings, name)]
        if unset:
            return f"not set: {', '.join(name.upper() for name in unset)}"
        absent = [module for module in self.modules if not _is_installed(module)]
        return f"not installed: {', '.join(absent)}; run `make install`" if absent else ""

    def model_of(self, settings: ServerSettings) -> str:
        """The model that the settings choose; empty if unknown."""
        return str(getattr(settings, self.model_setting)) if self.model_setting else self.model


def secret(key: SecretStr | None) -> str:
    """The plain text of a key; empty if it is not set."""
    return key.get_secret_value() if key is not None else ""


def openai_style(
    name: str,
    *,
    label: str,
    detail: str,
    url: str,
    settings: type[VendorSettings],
    readable: str = "models",
    prices: tuple[Price, ...] = (),
    unpriced: str = "",
) -> Vendor:
    """Declare a cloud brain with OpenAI's chat completions, used by name only.

    Args:
        name: Its name in the settings; the settings ``NAME_api_key`` and ``NAME_model`` hold its
            key and model.
        label: Its name for people.
        detail: What it is and where it runs, for people.
        url: Its base URL. Not a setting, so that the key cannot be sent anywhere else.
        settings: The class of those two settings.
        readable: A page that any valid key may read, below the URL.
        prices: Its prices, dated.
        unpriced: The reason, if it has no price here.
    """
    key, model = f"{name}_api_key", f"{name}_model"

    def load(context: Context, _: Progress) -> Any:
        from processors.brain.openai_compatible import OpenAICompatibleBrain

        own = context.settings.for_vendor(settings)
        return OpenAICompatibleBrain(
            context.document,
            base_url=url,
            model=getattr(own, model),
            api_key=secret(getattr(own, key)),
            name=name,
        )

    def unavailable(settings_: ServerSettings) -> str:
        from processors.key_check import key_refusal

        bearer = f"Bearer {secret(getattr(settings_.for_vendor(settings), key))}"
        return key_refusal(f"{url}/{readable}", {"Authorization": bearer}, setting=key)

    return Vendor(
        stage="brain",
        name=name,
        label=label,
        kind="cloud",
        detail=detail,
        settings=settings,
        required=(key, model),
        modules=("openai",),
        load=load,
        unavailable=unavailable,
        model_setting=model,
        prices=prices,
        unpriced=unpriced,
        checked="construction",
    )
