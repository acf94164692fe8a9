"""The query parameters of Deepgram's ``/v1/listen`` and its refusals of bad ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MODELS = frozenset({"nova-3", "nova-3-general", "nova-2", "nova-2-general"})
_ENGLISH = frozenset({"en", "en-US", "en-AU", "en-GB", "en-IN", "en-NZ"})
LANGUAGES: Mapping[str, frozenset[str]] = {
    model: _ENGLISH | {"multi"} if model.startswith("nova-3") else _ENGLISH for model in MODELS
}
_BOOLEANS = frozenset({"interim_results", "vad_events", "punctuate", "smart_format"})
_OTHERS = frozenset(
    {"model", "language", "encoding", "sample_rate", "channels", "endpointing", "utterance_end_ms"}
)
KEYTERM_TOKENS = 500


class BadQueryError(Exception):
    """A parameter that Deepgram refuses with 400."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request's parsed parameters."""

    model: str
    language: str
    sample_rate: int
    endpointing_secs: float | None
    utterance_end_secs: float | None
    interim_results: bool
    vad_events: bool
    keyterms: tuple[str, ...]


def parse(pairs: Iterable[tuple[str, str]]) -> Query:
    """Parse a query string.

    Deepgram ignores unknown parameters; this simulator refuses them, so that tests find misspelt
    ones.

    Raises:
        BadQueryError: A parameter is refused; with Deepgram's message where that is known.
    """
    given: dict[str, str] = {}
    keyterms: list[str] = []
    for name, value in pairs:
        if name == "keyterm":
            keyterms.append(value)
        elif name in _BOOLEANS or name in _OTHERS:
            given[name] = value
        else:
            raise BadQueryError(f"Unknown parameter: {name}.")
    for name in _BOOLEANS & given.keys():
        if given[name] not in ("true", "false"):
            raise BadQueryError(f"Invalid value for {name}: expected true or false.")
    model = given.get("model", "")
    language = given.get("language", "en")
    if model not in MODELS or language not in LANGUAGES[model]:
        raise BadQueryError("Bad Request: No such model/language/tier combination found.")
    if keyterms and not model.startswith("nova-3"):
        raise BadQueryError("Keyterms are only supported for Nova-3 models.")
    if keyterm_tokens(keyterms) > KEYTERM_TOKENS:
        raise BadQueryError(
            "Keyterm limit exceeded. The maximum number of tokens across all keyterms is "
            f"{KEYTERM_TOKENS}."
        )
    if given.get("encoding", "linear16") != "linear16":
        raise BadQueryError("This simulator supports linear16 only.")
    if given.get("channels", "1") != "1":
        raise BadQueryError("This simulator supports one channel only.")
    interim = given.get("interim_results") == "true"
    utterance_end = _milliseconds("utterance_end_ms", given, at_least=1000, at_most=5000)
    if utterance_end is not None and not interim:
        raise BadQueryError("utterance_end_ms requires interim_results=true.")
    endpointing = (
        None
        if given.get("endpointing") == "false"
        else _milliseconds("endpointing", {"endpointing": "10"} | given, at_least=1, at_most=10_000)
    )
    rate = given.get("sample_rate", "")
    if not rate.isdecimal() or not 8000 <= int(rate) <= 48_000:
        raise BadQueryError(f"Invalid sample_rate: {rate!r}.")
    return Query(
        model=model,
        language=language,
        sample_rate=int(rate),
        endpointing_secs=endpointing,
        utterance_end_secs=utterance_end,
        interim_results=interim,
        vad_events=given.get("vad_events") == "true",
        keyterms=tuple(keyterms),
    )


def keyterm_tokens(keyterms: Iterable[str]) -> int:
    """Tokens of key terms, estimated as one per four characters of each."""
    return sum(max(1, -(-len(term) // 4)) for term in keyterms)


def _milliseconds(
    name: str, given: Mapping[str, str], *, at_least: int, at_most: int
) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if not value.isdecimal() or not at_least <= int(value) <= at_most:
        raise BadQueryError(f"Invalid {name}: expected {at_least} to {at_most}.")
    return int(value) / 1000
