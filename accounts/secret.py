"""Random secrets for links, sessions and browsers. Only their hashes are stored."""

import hashlib
import hmac
import re
import secrets

SECRET_BYTES = 32

_SECRET = re.compile(r"[0-9a-f]{64}")


def new_secret() -> str:
    """A new secret: 32 random bytes, in hex."""
    return secrets.token_hex(SECRET_BYTES)


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret; anything else need not be looked up."""
    return _SECRET.fullmatch(text) is not None


def digest(secret: str) -> bytes:
    """The SHA-256 of a secret, 32 bytes: what is stored of it."""
    return hashlib.sha256(secret.encode()).digest()


def form_token(secret: str) -> str:
    """The CSRF token of forms served to the holder of a secret, in hex."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def constant_time_equal(one: str, other: str) -> bool:
    """Compare two texts in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
