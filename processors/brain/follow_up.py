"""Chooses the phrases about questions for a person, by who can answer the caller later."""

from functools import lru_cache

from conversation.turns import FollowUp
from knowledge.loading.document import Document
from processors.brain.guardrails import Phrases, uncited_sentences

LEAVE_ADDRESS = "Leave an address on the page, and a person will follow up."


@lru_cache(maxsize=64)
def _phrases(follow_up: FollowUp, contact: str) -> Phrases:
    if follow_up == "person":
        return Phrases()
    if contact:
        return Phrases.without_follow_up(f"You can turn to {contact}.")
    return Phrases.without_follow_up(LEAVE_ADDRESS if follow_up == "address" else "")


def phrases_for(follow_up: FollowUp, document: Document) -> Phrases:
    """The phrases that promise no more than can be kept.

    Args:
        follow_up: Who can answer the caller later.
        document: Its persona may say where else a caller can turn.
    """
    return _phrases(follow_up, document.persona.contact.rstrip("."))


def claimless_sentences(document: Document) -> frozenset[str]:
    """Every sentence that may be spoken without a citation, to any caller."""
    whoever: tuple[FollowUp, ...] = ("person", "address", "nobody")
    known = [phrases_for(follow_up, document) for follow_up in whoever]
    said = [uncited_sentences(document, phrases) for phrases in known]
    return frozenset().union(*said, *(phrases.hedges for phrases in known))
