"""What is said without a citation: fixed sentences, with slots for the document and the persona.

A brain's own words are spoken only in an answer that cites what it rests on. Where it makes small
talk or hands over to a person, one of these is said, whatever the brain wrote.
"""

from collections.abc import Iterable
from functools import lru_cache

from processors.brain.sentences import SentenceStream, plain_text
from processors.brain.small_talk import KINDS, reply_about

NOT_UNDERSTOOD = "I did not understand that. Could you ask it another way?"
NOT_TALKED_ABOUT = "That's something I don't talk about, so I'll pass it on to a person."


def not_found(title: str) -> str:
    """The document about that does not answer it."""
    return (
        f"I can't find that in the document about {title}, "
        "so I'll pass your question on to a person who can follow up."
    )


def split(text: str) -> tuple[str, ...]:
    """A text as the sentences in which it would be spoken."""
    stream = SentenceStream()
    found = [*stream.feed(text), *stream.close()]
    return tuple(sentence for sentence in map(plain_text, found) if sentence)


@lru_cache(maxsize=32)
def fixed_sentences(title: str, name: str, others: tuple[str, ...]) -> frozenset[str]:
    """Every sentence that may be spoken without a citation.

    Args:
        title: What the document is about.
        name: The persona's name.
        others: Further texts: what is said instead of a refused answer, and topics' refusals.
    """
    texts: Iterable[str] = (
        *(reply_about(kind, title=title, name=name) for kind in KINDS),
        NOT_UNDERSTOOD,
        NOT_TALKED_ABOUT,
        not_found(title),
        *others,
    )
    return frozenset(sentence for text in texts for sentence in split(text))
