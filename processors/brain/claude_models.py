"""Documented properties of Claude's models, by model id.

Separate from the brain, whose module imports Anthropic's client: the worst-case cost of a call is
computed from these before anything is loaded.
"""

from collections.abc import Mapping

# Shortest prefix that a model caches, in tokens, by prefix of its id; unknown ones get the largest.
_MINIMUM_TOKENS: Mapping[str, int] = {
    "claude-haiku-5-5": 512,
    "claude-opus-5": 512,
    "claude-fable-5": 512,
    "claude-opus-4-8": 1024,
    "claude-opus-4-1": 1024,
    "claude-opus-4-2025": 1024,
    "claude-sonnet-": 1024,
    "claude-opus-4-7": 2048,
    "claude-3-5-haiku": 2048,
}
_MINIMUM_OF_OTHERS = 4096
# Models with the older tokenizer, by prefix of their ids. The newer one, of Claude 4.7 and later,
# makes about 30 % more tokens (https://platform.claude.com/docs/en/models/haiku-5-5/overview).
_FEWER_TOKENS = (
    "claude-3", "claude-haiku-4-5", "claude-sonnet-4", "claude-opus-4-0", "claude-opus-4-1",
    "claude-opus-4-2025", "claude-opus-4-5", "claude-opus-4-6",
)  # fmt: skip
_MORE_TOKENS = 1.3
# Models without documented support for strict tools, by prefix of their ids
# (https://platform.claude.com/docs/en/build-with-claude/structured-outputs).
_NOT_STRICT = (
    "claude-3", "claude-sonnet-4-0", "claude-sonnet-4-2025", "claude-opus-4-0", "claude-opus-4-1",
    "claude-opus-4-2025",
)  # fmt: skip


def minimum_tokens(model: str) -> int:
    """The shortest prefix that a model caches, in tokens; the API ignores shorter ones silently."""
    known = (least for begun, least in _MINIMUM_TOKENS.items() if model.startswith(begun))
    return next(known, _MINIMUM_OF_OTHERS)


def token_ratio(model: str) -> float:
    """Most tokens that a model makes of a text, relative to the older tokenizer."""
    return 1.0 if model.startswith(_FEWER_TOKENS) else _MORE_TOKENS


def may_be_strict(model: str) -> bool:
    """Whether a model is documented to support strict tools."""
    return not model.startswith(_NOT_STRICT)
