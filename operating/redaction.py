"""The last line of defence: what must not be in a log is taken out of it, whoever wrote it."""

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from settings import Settings

MARK = "***"
"""What stands in place of what was taken out."""

MIN_SECRET_CHARS = 6
"""A shorter secret is not looked for: it would be found in ordinary words."""

MAX_CHARS = 16_384
"""What is longer is cut off."""

_SLACK_CHARS = 2_048
"""How far past the cut is looked, so that no half of a secret is left before it."""

_ASSIGNED = r"""['"]?\s*[:=,]\s*\(?(?:b(?=['"]))?['"]?"""
"""What stands between the name of a header and its value, however a program writes them down."""

# Each takes time in proportion to the text, whatever is in it: repeats are bounded, or go on to the
# end of the text when what should close them is missing.
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        # user:password@ in an address
        (r"(://)[^\s/@:]{0,256}:[^\s/@]{1,256}@", rf"\1{MARK}@"),
        # Headers that hold credentials
        (
            rf"\b(authorization|api-key)({_ASSIGNED})(?:(?:bearer|basic|token)\s)?[^\s'\",;)]+",
            rf"\1\2{MARK}",
        ),
        (rf"\b(cookie)({_ASSIGNED})[^\n'\"]+", rf"\1\2{MARK}"),
        (r"\b(bearer)\s[\w.~+/=-]{8,}", rf"\1 {MARK}"),
        # Links that sign somebody in, and what gives access in any other link
        (r"(/sign-in/link[/?#])[^\s'\"<>]+", rf"\1{MARK}"),
        (r"([?&#;]\w{0,32}(?:token|key|code|secret|signature)=)[^\s&'\"<>]+", rf"\1{MARK}"),
        # What a statement was given, the row that a database refused, what did not fit a model
        (r"\[parameters: .*?(\n\(Background|\Z)", rf"[parameters: {MARK}]\1"),
        (r"\b(DETAIL:)[^\n]+", rf"\1 {MARK}"),
        (r"\b(input_value=).*?(, input_type=|\Z)", rf"\1{MARK}\2"),
        # E-mail addresses
        (r"[\w.+~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}", MARK),
    )
)


class Redaction:
    """Takes out of texts what may be in no log: secrets, credentials, addresses of people.

    Parameters:
        secrets: Known secrets; they are found as they are, in an address and in base64.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first, lest a part of one be found and the rest be left.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Redaction":
        """One that knows every secret of these settings, passwords in addresses included."""
        return cls(_secrets_of(settings))

    def __call__(self, text: str) -> str:
        """The text without what may be in no log, and without its end if it is very long."""
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
