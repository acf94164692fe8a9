"""Secrets that whoever holds them is known by: links, sessions, browsers. Only hashes are kept."""

import hashlib
import hmac
import re
import secrets

SECRET_BYTES = 32

_SECRET = re.compile(r"[0-9a-f]{64}")


def new() -> str:
    """A secret: 32 random bytes, in hex."""
    return secrets.token_hex(SECRET_BYTES)


def is_secret(text: str) -> bool:
    """Whether a text could be a secret, so that nobody looks up what cannot."""
    return _SECRET.fullmatch(text) is not None


def digest(secret: str) -> bytes:
    """What is kept of a secret: its SHA-256, 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()


def form_token(secret: str) -> str:
    """What a form carries to show that it was made for whoever holds a secret, in hex."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are the same, in a time that does not tell how far they are."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
