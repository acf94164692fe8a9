"""Redaction of logs: removes secrets and personal data, whichever library logged them."""

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from settings import Settings

MARK = "***"
"""Replaces redacted text."""

MIN_SECRET_CHARS = 6
"""Shorter secrets are not searched for: they would match ordinary words."""

MAX_CHARS = 16_384
"""Longer text is truncated."""

_SLACK_CHARS = 2_048
"""How far beyond the cut to search, so that no part of a secret is left before it."""

_ASSIGNED = r"""['"]?\s*[:=,]\s*\(?(?:b(?=['"]))?['"]?"""
"""Between a header's name and its value, in the notations that programs use."""

# All patterns run in linear time on any text: repeats are bounded, or run to the end of the text if
# their closing part is missing.
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        # user:password@ in a URL
        (r"(://)[^\s/@:]{0,256}:[^\s/@]{1,256}@", rf"\1{MARK}@"),
        # Headers that hold credentials
        (
            rf"\b(authorization|api-key)({_ASSIGNED})(?:(?:bearer|basic|token)\s)?[^\s'\",;)]+",
            rf"\1\2{MARK}",
        ),
        (rf"\b(cookie)({_ASSIGNED})[^\n'\"]+", rf"\1\2{MARK}"),
        (r"\b(bearer)\s[\w.~+/=-]{8,}", rf"\1 {MARK}"),
        # Sign-in links, and credentials in any other URL
        (r"(/sign-in/link[/?#])[^\s'\"<>]+", rf"\1{MARK}"),
        (r"([?&#;]\w{0,32}(?:token|key|code|secret|signature)=)[^\s&'\"<>]+", rf"\1{MARK}"),
        # SQL parameters, a row that the database rejected, input that failed validation
        (r"\[parameters: .*?(\n\(Background|\Z)", rf"[parameters: {MARK}]\1"),
        (r"\b(DETAIL:)[^\n]+", rf"\1 {MARK}"),
        (r"\b(input_value=).*?(, input_type=|\Z)", rf"\1{MARK}\2"),
        # E-mail addresses
        (r"[\w.+~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}", MARK),
    )
)


class Redaction:
    """Removes secrets, credentials and e-mail addresses from text.

    Parameters:
        secrets: Known secrets; found literally, URL-encoded and in base64.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # Longest first, so that a secret containing another is removed whole.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Redaction":
        """A redaction of every secret in the settings, passwords in URLs included."""
        return cls(_secrets_of(settings))

    def __call__(self, text: str) -> str:
        """The text, redacted and truncated."""
        left_out = len(text) - MAX_CHARS
        text = text[: MAX_CHARS + _SLACK_CHARS]
        if self._secrets is not None:
            text = self._secrets.sub(MARK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text if left_out <= 0 else f"{text[:MAX_CHARS]} … ({left_out} characters more)"


def _secrets_of(settings: Settings) -> Iterable[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield (secret := value.get_secret_value())
            yield _password(secret)
        elif isinstance(value, str):
            yield _password(value)


def _password(address: str) -> str:
    if "://" not in address:
        return ""
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:
        return ""


def _forms(secret: str) -> Iterable[str]:
    if len(secret) < MIN_SECRET_CHARS:
        return
    yield secret
    yield quote(secret, safe="")
    yield b64encode(secret.encode()).decode().rstrip("=")
