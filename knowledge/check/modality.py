"""Checks that a sentence obliges, forbids and permits only what its record does."""

import re

Modality = str  # "must", "must not", "need not" or "may"

# In this order: "need not" before "must", since "do not have to" contains "have to".
_MODALITIES: tuple[tuple[Modality, re.Pattern[str]], ...] = tuple(
    (modality, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE))
    for modality, pattern in (
        (
            "need not",
            r"need not|needn't|(?:do|does|did|will|would)(?: not|n't) (?:have|need) to|"
            r"(?:are|is|was|were)(?: not|n't) (?:required|obliged|necessary|mandatory|compulsory)|"
            r"not (?:necessary|required|mandatory|compulsory|needed)|no need|optional|voluntary|"
            r"(?:do|does)(?: not|n't) need|no \w+ (?:is|are) (?:needed|required|necessary)|"
            r"unnecessary",
        ),
        (
            "must not",
            r"must not|mustn't|may not|can(?:not| not|'t)|(?:is|are) (?:not allowed|not permitted|"
            r"forbidden|prohibited|banned)|(?:isn't|aren't) (?:allowed|permitted)|never",
        ),
        (
            "must",
            r"must|ha(?:ve|s|d) to|need to|needs to|ha(?:ve|s) got to|(?:is|are) (?:required|"
            r"obliged|mandatory|compulsory|necessary)|obligatory",
        ),
        ("may", r"may|(?<!I )(?:can|could)|(?:is|are) (?:allowed|permitted|free) to|might"),
    )
)
# What a sentence may not say if the record says otherwise.
_CONTRADICTED: dict[Modality, frozenset[Modality]] = {
    "must": frozenset(("may", "need not")),
    "must not": frozenset(("need not",)),
    "need not": frozenset(("must", "must not")),
    "may": frozenset(),
}


def modalities(text: str) -> frozenset[Modality]:
    """What a text obliges, forbids, leaves open or permits."""
    found: set[Modality] = set()
    for modality, pattern in _MODALITIES:
        text, times = pattern.subn(" ", text)
        if times:
            found.add(modality)
    return frozenset(found)


_DEMANDING = re.compile(
    r"\b(?:please|requir\w+|due|only|ask|asks|asked|should|shall|necessary|need|needs|needed|minimum|"
    r"at least|least|if|unless|until|before|after|by|in advance|prior|(?:is|are|be) to|expected|"
    r"fee|charge|costs?|allowed|permitted|not|no|never|without|from|over|under|above|below|condition|"
    r"duty|obligation|law|makes?|rule|deadline|each|every|all|always)\b|n't\b",
    re.IGNORECASE,
)
_MUST = re.compile(
    r"(?<!not )(?<!n't )\b(?:must|ha(?:ve|s) to|ha(?:ve|s) got to)\b(?! (?:not|been)\b)",
    re.IGNORECASE,
)


def obliges_nobody(sentence: str, record: str, *, orders: bool) -> bool:
    """Whether a sentence obliges somebody to what its record only tells.

    Args:
        sentence: The sentence.
        record: The text of the record.
        orders: Whether the record is an order: "Bring a towel".
    """
    return (
        _MUST.search(sentence) is not None
        and not orders
        and not modalities(record) & {"must", "must not"}
        and _DEMANDING.search(record) is None
    )


def other_modality(sentence: str, record: str) -> str:
    """What the record obliges or permits where the sentence contradicts it; empty if it agrees.

    Args:
        sentence: The sentence.
        record: The text of the record.
    """
    said, known = modalities(sentence), modalities(record)
    if not known or said & known:
        return ""
    return next((theirs for mine in said for theirs in sorted(_CONTRADICTED[mine] & known)), "")
