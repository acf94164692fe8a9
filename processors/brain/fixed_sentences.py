"""The fixed sentences that may be spoken without a citation.

A brain's own words are spoken only in an answer that cites the document. For small talk and
escalations one of these is spoken instead, whatever the brain wrote.
"""

from collections.abc import Iterable
from functools import lru_cache

from knowledge.search.clarification import CLARIFICATIONS
from processors.brain.sentences import SentenceStream, plain_text
from processors.brain.small_talk import KINDS, reply_about

NOT_UNDERSTOOD = "I did not understand that. Could you ask it another way?"
NOT_TALKED_ABOUT = "That's something I don't talk about, so I'll pass it on to a person."


def not_found(title: str) -> str:
    """Return the sentence for a question that the document does not answer."""
    return (
        f"I can't find that in the document about {title}, "
        "so I'll pass your question on to a person who can follow up."
    )


def split(text: str) -> tuple[str, ...]:
    """Split a text into the sentences in which it would be spoken."""
    stream = SentenceStream()
    found = [*stream.feed(text), *stream.close()]
    return tuple(sentence for sentence in map(plain_text, found) if sentence)


@lru_cache(maxsize=32)
def fixed_sentences(title: str, name: str, others: tuple[str, ...]) -> frozenset[str]:
    """Return all sentences that may be spoken without a citation.

    Args:
        title: The document's title.
        name: The persona's name.
        others: Other texts: phrases spoken instead of refused answers, and topics' refusals.
    """
    texts: Iterable[str] = (
        *(reply_about(kind, title=title, name=name) for kind in KINDS),
        NOT_UNDERSTOOD,
        NOT_TALKED_ABOUT,
        not_found(title),
        *CLARIFICATIONS,
        *others,
    )
    return frozenset(sentence for text in texts for sentence in split(text))
