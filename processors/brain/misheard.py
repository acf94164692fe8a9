"""Asks back for a name that a recogniser may have misheard, and understands what is said to that.

Recognisers write names that they do not know as others that sound alike: "Who was Achan?" for
Aiken. If such a question finds no answer, and one name of the document sounds like a name in it,
the caller is asked whether they said that.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from conversation.frames import Exchange
from knowledge.loading.document import Document
from knowledge.per_document import per_document
from knowledge.words import STOPWORDS, stem, tokens

ASKED_BACK = "Did you say {}?"
SPELL_IT = "Could you spell the name for me?"

_ALIKE = 0.8
"""Least likeness of what two names sound like, 0 to 1.

Tuned on names of the bundled CV as the embedded recogniser wrote them in noise and other voices:
"Achan", "Akin" and "Aitken" are asked about as Aiken, "Eckhart" as Eckert, "Vasa" as Vassar; "Rasa"
and "Watchley" (for Mauchly) are not. Of 18 names that it does not contain, "Einstein" is asked
about as Øystein, and "Bustin" as Boston.
"""
_MOST_LONGER = 1
"""How many more sounds one may have."""
_LEAST_LETTERS = 4  # of a name that may be misheard
_SHORT = 3
"""Most words of a question in which a capital at its start may be that of a name."""

_YES = re.compile(
    r"(?:(?:oh|um|uh|yes|yeah|yep|yup|correct|exactly|sure|indeed|(?:that's |that is )?right"
    r"|of course|i did(?! not)|i do)\b[\s,.!]*)+",
    re.IGNORECASE,
)
_NO = re.compile(
    r"(?:(?:oh|um|uh|sorry|no|nope|not really|i did not|i didn't|that's wrong|wrong)\b[\s,.!]*)+",
    re.IGNORECASE,
)
_I_SAID = re.compile(
    r"(?:(?:i said|i say|i meant|i mean|it's|it is|that's|the name is)\b[\s,]*)+", re.I
)
_REPLY_WORDS = 3
"""Most words of a reply that only names the name."""


@dataclass(frozen=True, slots=True)
class Misheard:
    """A name in a question that is none of the document's, and the one that it sounds like."""

    heard: str
    name: str


def misheard_name(question: str, document: Document) -> Misheard | None:
    """Find a name in a question that sounds like a name of the document, and is none of its words.

    Returns:
        The likest; ``None`` if there is none, or if two different names are as like.
    """
    known = _names(document)
    if not known:
        return None
    words = tokens(question)
    found: list[tuple[float, str, Misheard]] = []
    for word in words:
        if not _may_be_a_name(word.text, short=len(words) <= _SHORT or not word.initial):
            continue
        heard = word.text.removesuffix("'s")
        if stem(_key(heard)) in _stems_of(document):
            continue
        sound = _sound(heard)
        for name, name_sound in known.items():
            if sound[0] != name_sound[0] or abs(len(sound) - len(name_sound)) > _MOST_LONGER:
                continue
            likeness = Indel.normalized_similarity(sound, name_sound)
            if likeness >= _ALIKE:
                found.append((likeness, name, Misheard(heard, name)))
    found.sort(key=lambda one: -one[0])
    if not found or any(one[0] == found[0][0] and one[1] != found[0][1] for one in found[1:]):
        return None
    return found[0][2]


def question_back(question: str, history: Sequence[Exchange], document: Document) -> str:
    """What is asked back about a question without an answer; empty if nothing is.

    A caller is not asked twice in succession.
    """
    if history and _asks_back(history[-1].answer):
        return ""
    found = misheard_name(question, document)
    return ASKED_BACK.format(found.name) if found else ""


def questions_back(document: Document) -> tuple[str, ...]:
    """Everything that may be asked back about the names of a document."""
    return (SPELL_IT, *(ASKED_BACK.format(name) for name in _names(document)))


def denied(question: str, history: Sequence[Exchange]) -> bool:
    """Whether a caller who was asked whether they said a name says no, and nothing else."""
    no = _NO.match(question.strip())
    return _was_asked(history) and no is not None and not question.strip()[no.end() :].strip(" .!")


def in_full(question: str, history: Sequence[Exchange], document: Document) -> str:
    """What a caller who was asked back wants to know: their earlier question, with the right name.

    Any other question is returned as it is.
    """
    earlier = _earlier(history, document)
    if earlier is None:
        return question
    asked, misheard = earlier
    reply = question.strip()
    if _was_asked(history) and (yes := _YES.match(reply)):
        rest = reply[yes.end() :]
        if len(tokens(rest)) <= _REPLY_WORDS:
            return _with_name(asked, misheard.heard, misheard.name)
        return rest
    no = _NO.match(reply)
    named = reply[no.end() :] if no else reply
    if said := _I_SAID.match(named):
        named = named[said.end() :]
    named = named.strip(" ,.!?")
    if not named or len(tokens(named)) > _REPLY_WORDS:
        return question
    if not (no or said or _names_one(named, document)):
        return question
    return _with_name(asked, misheard.heard, named)


def in_full_before(history: Sequence[Exchange], document: Document) -> tuple[Exchange, ...]:
    """The history with each question as :func:`in_full` returns it."""
    if not any(_asks_back(exchange.answer) for exchange in history):
        return tuple(history)
    return tuple(
        Exchange(
            in_full(exchange.question, history[:at], document),
            exchange.answer,
            exchange.sections,
            exchange.decision,
            exchange.interrupted,
        )
        for at, exchange in enumerate(history)
    )


def _earlier(history: Sequence[Exchange], document: Document) -> tuple[str, Misheard] | None:
    """The question whose name was asked for, and that name."""
    spelt = history and history[-1].answer.startswith(SPELL_IT[:-1])
    before = history[:-1] if spelt else history
    if not _was_asked(before):
        return None
    asked = before[-1].question
    misheard = misheard_name(asked, document)
    return None if misheard is None else (asked, misheard)


def _names_one(text: str, document: Document) -> bool:
    """Whether some words have a name of the document, or one that sounds like it."""
    known = {_key(name) for name in _names(document)}
    return bool(misheard_name(text, document) or known & {_key(word.text) for word in tokens(text)})


def _was_asked(history: Sequence[Exchange]) -> bool:
    return bool(history) and history[-1].answer.startswith(ASKED_BACK.split(" {", 1)[0])


def _asks_back(answer: str) -> bool:
    return answer.startswith((ASKED_BACK.split(" {", 1)[0], SPELL_IT[:-1]))


def _with_name(question: str, heard: str, name: str) -> str:
    return re.sub(rf"\b{re.escape(heard)}\b", lambda _found: name, question, count=1)


def _may_be_a_name(word: str, *, short: bool) -> bool:
    letters = sum(map(str.isalpha, word))
    lower = word.casefold()
    return letters >= _LEAST_LETTERS and word[0].isupper() and short and lower not in STOPWORDS


@per_document
def _names(document: Document) -> dict[str, str]:
    """The words of the document's names, without those of its title, and what they sound like."""
    title = {_key(token.text) for token in tokens(document.title)}
    words = dict.fromkeys(
        part
        for name in document.proper_nouns()
        for word in name.split()
        for part in (word.split("-") if not word.isupper() else [word])
        if _may_be_a_name(part, short=True) and _key(part) not in title
    )
    return {word: _sound(word) for word in words}


@per_document
def _stems_of(document: Document) -> frozenset[str]:
    text = f"{document.title} " + " ".join(
        line.text for section in document.sections for line in section.lines
    )
    whole = [token.text for token in tokens(text)]
    return frozenset(stem(_key(part)) for word in whole for part in (word, *word.split("-")))


def _key(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold().removesuffix("'s")))


_SOUNDS = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"[^a-zà-öø-ÿ]", ""),
        (r"^y(?=[aeiou])", "j"),
        (r"(?<=[a-z][^aeiou])e$", ""),
        (r"tch|sch|ch|ck|cc|c(?![eiy])|q", "k"),
        (r"c", "s"),
        (r"ph", "f"),
        (r"gh|(?<=[a-z])h", ""),
        (r"[aeiouyà-öø-ÿ]+(?:w(?![aeiou]))?", "a"),
        (r"(.)\1+", r"\1"),
    )
)


def _sound(name: str) -> str:
    """Roughly what a name sounds like in English: its consonants, and where it has vowels."""
    sound = name.casefold()
    for pattern, replacement in _SOUNDS:
        sound = pattern.sub(replacement, sound)
    return sound
