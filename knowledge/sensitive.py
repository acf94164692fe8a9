"""What is refused whatever the document says."""

from collections.abc import Sequence
from functools import lru_cache

from knowledge.document import Document
from knowledge.section import SensitiveTopic
from knowledge.words import spaced, stem, tokens

_POSSESSIVES = frozenset(spaced("her his their your hers theirs yours"))
_PERSONS = frozenset(spaced("she he they you her him them"))
_GAP = 4  # words that a lone ``*`` may stand for, at most


def topic_of(text: str, document: Document) -> SensitiveTopic | None:
    """The sensitive topic that the text asks about, if any.

    A phrase matches words that follow each other, in any inflection (``salary``, ``salaries``).
    In a phrase, ``her`` stands for any possessive (``their``, ``Grace's``), ``she`` for any person
    (``he``, ``you``, a name in the title), ``*`` for up to four words, ``word*`` for any ending
    and a last ``$`` for the end of the text.

    Parameters:
        text: What a caller asked, or what a brain means to say.
        document: The document, whose front matter lists the topics.
    """
    written = tuple((token.key, token.text.lower()) for token in tokens(text))
    names = frozenset(token.key for token in tokens(document.title)) | {"candidate"}
    for topic in document.sensitive:
        for phrase in topic.phrases:
            pattern = tuple(phrase.lower().split())
            if any(_matches(pattern, written[at:], names) for at in range(len(written))):
                return topic
    return None


def _matches(
    pattern: Sequence[str], written: Sequence[tuple[str, str]], names: frozenset[str]
) -> bool:
    if not pattern:
        return True
    if pattern[0] == "$":
        return not written
    if pattern[0] == "*":
        return any(
            _matches(pattern[1:], written[skip:], names)
            for skip in range(min(_GAP, len(written)) + 1)
        )
    return (
        bool(written)
        and _is(pattern[0], *written[0], names)
        and _matches(pattern[1:], written[1:], names)
    )


def _is(wanted: str, key: str, text: str, names: frozenset[str]) -> bool:
    if wanted.endswith("*"):
        return key.startswith(_key(wanted[:-1]))
    if wanted == "her":
        return key in _POSSESSIVES or text.endswith(("'s", "s'"))
    if wanted == "she":
        return key in _PERSONS or key in names
    return _inflected(_key(wanted), key) and ("'" not in text or text.endswith(("'s", "s'")))


@lru_cache(maxsize=4096)
def _key(word: str) -> str:
    return "".join(token.key for token in tokens(word))


@lru_cache(maxsize=16384)
def _inflected(wanted: str, key: str) -> bool:
    # A stem alone would take "refer" for "reference".
    return key == wanted or (
        stem(key) == stem(wanted) and key[: len(wanted) - 1] == wanted[: len(wanted) - 1]
    )
