"""Detects sensitive topics, which are refused whatever the document says."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from knowledge.loading.document import Document
from knowledge.loading.frontmatter import usual_topics
from knowledge.loading.section import SensitiveTopic
from knowledge.per_document import per_document
from knowledge.words import spaced, stem, tokens

_POSSESSIVES = frozenset(spaced("her his their your hers theirs yours"))
_PERSONS = frozenset(spaced("she he they you her him them"))
_GAP = 4  # most words that a lone ``*`` matches


def topic_of(text: str, document: Document) -> SensitiveTopic | None:
    """The sensitive topic of a text, if any.

    A phrase matches consecutive words in any inflection (``salary``, ``salaries``).
    In a phrase, ``her`` matches any possessive (``their``, ``Grace's``), ``she`` any person
    (``he``, ``you``, a name in the title), ``*`` up to four words, ``word*`` any ending,
    and a final ``$`` the end of the text.

    Parameters:
        text: A caller's question, or a sentence that a brain is about to say.
        document: The document; its front matter lists the topics.
    """
    said = _about_others(text)
    topic = _first_topic(said, document)
    if topic is not None and topic.name.lower() in _IN_NAMES:
        said = _without_names(said, document)
        topic = _first_topic(said, document)
    if topic is not None and topic.phrases in _USUAL_PHRASES:
        worked = _without_work(said, document)
        return topic if worked == said else _first_topic(worked, document)
    return topic


def is_about_work(text: str, document: Document) -> bool:
    """Whether a text is about the children, the sick or the weddings of somebody's work."""
    said = _about_others(text)
    return _without_work(said, document) != said


_IN_NAMES = frozenset(("health",))
"""Topics that the names of employers are full of. Those of beliefs tell something: a party."""


def _first_topic(text: str, document: Document) -> SensitiveTopic | None:
    written = tuple((token.key, token.text.lower()) for token in tokens(text))
    phrases = _phrases(document.sensitive, document.title)
    found = len(document.sensitive)
    for at, word in enumerate(written):
        rest = written[at:]
        for topic, pattern in phrases.that_may_begin_with(*word):
            if topic < found and _matches(pattern, rest, phrases.names):
                found = topic
    return document.sensitive[found] if found < len(document.sensitive) else None


_NAMED = re.compile(
    r"(?<=[\w,] )[A-Z][\w&'-]+(?:(?: (?:of|for|and|the|de|du|von|für))* [A-Z][\w&'-]+)+"
)


def _without_names(text: str, document: Document) -> str:
    """Remove the document's names of several words, such as an employer's.

    "She works at Pulsar Medical Devices" is not about her health. The first word of a sentence
    stays, since its capital means nothing: "Married Anna Smith".
    """

    def unnamed(match: re.Match[str]) -> str:
        words = {token.key for token in tokens(match[0])}
        return match[0] if words & subject or match[0] not in known else "it"

    if not _NAMED.search(text):
        return text
    subject = {token.key for token in tokens(document.title)}
    known = _written(document)
    return _NAMED.sub(unnamed, text)


@per_document
def _written(document: Document) -> str:
    return "\n".join(line.text for section in document.sections for line in section.lines)


# What a teacher, a nurse or a photographer works with, and others would rather not talk about.
_WORKED_WITH = re.compile(
    r"\b(?:children|kids|weddings?|marriages?|divorces?|hospitals?|cancer|diseases?|"
    r"illness(?:es)?|sick|medications?|surgery|therap(?:y|ies|ists?)|diagnos\w+|pregnan\w+|"
    r"vaccin\w+|disabled|disabilit(?:y|ies)|mental health|alcohol|"
    r"kinder\w*|krank\w*|behindert\w*|enfants|malad\w+|enferm\w+)\b",
    re.IGNORECASE,
)
_WORKING = re.compile(
    r"\b(?:work|teach|taught|tutor|train|coach|mentor|look(?:s|ed|ing)? after|"
    r"car(?:e|es|ed|ing) for|treat|nurs|research|stud(?:y|ied|ies)|publish|wr[io]te|written|"
    r"photograph|film|counsel|represent|advis|volunteer|operat|manag|led\b|lead|head|direct|"
    r"organi[sz]|experience|good with|design|develop|buil[dt]|found|measur|responsible for|"
    r"consult|equip|install|supply|suppli|analys|audit|handbook|congress|conference|customers?|clients?|"
    r"arbeit|gearbeitet|unterricht|betreu|pfleg|gepflegt|behandel|geleitet|leite|forsch|geforscht|"
    r"travaill|enseign|soign|encadr|trabaj|enseñ|cuid)\w*|"
    r"\b(?:ward|clinic|class(?:es)?|school|nursery|choir|patient|project|programme|program|unit)"
    r"s?\b",
    re.IGNORECASE,
)
# Said of the subject: "has she any children?", "her children", "has she been sick?".
_HERS = re.compile(
    r"\b(?:her|his|your|their|own|ihre?n?|seine?n?|eigene|ses|sus)\s+(?:\w+\s+){0,2}?@(?!')"
    r"|\b(?:have|has|had|having|got|gets?|raise[sd]?|adopt\w*|want\w*|expect\w*|hat|hatte|haben|"
    r"a-t-\w+|tiene)\b[^,.;?!@]*@(?!')"
    r"|\b(?:is|was|be|been|being|become|fell|fall|ist|war|est|está)\s+(?:\w+\s+){0,3}?@(?!')"
    r"|@(?:\s+\w+){0,2}?\s+(?:do|does|did)\s+\w+(?:\s+\w+)?\s+(?:have|want|raise|get)\b"
    r"|@(?:\s+\w+){0,2}?\s+(?:has|had|hat|hatte|a-t)[\s-]\w+\W*$"
    r"|\bsuffer\w*|@ leave\b|\bdied\b|\bdie (?:of|from)\b",
    re.IGNORECASE,
)
_AS_PATIENT = re.compile(
    r"\b(?:is|was|be|been|being|got|get)\s+(?:\w+\s+){0,2}?"
    r"(?:treated|operated|nursed|cared for|looked after|diagnosed|counselled|represented)\b",
    re.IGNORECASE,
)
_OLD = re.compile(r"\bhow old (?:are|were)(?= (?:the|these|those)\b)", re.IGNORECASE)
_AGE_GROUP = re.compile(r"\b(?:what|which) age(?= (?:groups?|range)\b)", re.IGNORECASE)
_USUAL_PHRASES = frozenset(
    topic.phrases
    for language in ("en", "de")
    for topic in usual_topics(language)
    if topic.name in ("family", "health", "age")
)


def _without_work(text: str, document: Document) -> str:
    """Replace what the document says its subject works with: "people" for a teacher's children.

    Nothing is replaced where the subject's own are meant, or in a document that says anything else
    of them than that she works with them.
    """
    worked = _worked_with(document)
    if not worked:
        return text
    text = _AGE_GROUP.sub("which", text)
    named = any(_word(match[0]) in worked for match in _WORKED_WITH.finditer(text))
    if not named or not _is_of_work(text, definite=True):
        return text
    said = _WORKED_WITH.sub(lambda m: "people" if _word(m[0]) in worked else m[0], text)
    return _OLD.sub("which are", said)


def _word(written: str) -> str:
    return stem(_key(written.lower()))


def _is_of_work(text: str, *, definite: bool = False) -> bool:
    """Whether a text that names such people or things is about work with them.

    Args:
        text: A line or a question.
        definite: Whether "the children" are enough, as in a question about a line that says so.
    """
    marked = _WORKED_WITH.sub("@", text.replace("\u2019", "'"))
    hers = any(not _WORKING.search(match[0]) for match in _HERS.finditer(marked))
    if hers or _AS_PATIENT.search(marked):
        return False
    talked_of = definite and re.search(r"\b(?:the|these|those) (?:\w+ )?@", marked)
    return bool(talked_of or _WORKING.search(marked))


@per_document
def _worked_with(document: Document) -> frozenset[str]:
    """The words for what the subject works with, if every line with one says so."""
    of_work: set[str] = set()
    of_others: set[str] = set()
    for section in document.sections:
        for line in section.lines:
            text = _HOSPITAL_TRADE.sub("", line.text)
            names = {_word(match[0]) for match in _WORKED_WITH.finditer(text)}
            if names:
                said = f"{section.title} {line.text}"
                works = line.kind == "heading" or _is_of_work(said)
                (of_work if works else of_others).update(names)
    return frozenset(of_work - of_others)


# Relatives of the caller, who are not the document's subject.
_MY_OWN = re.compile(r"\b(?:my|our)(?: own)? [\w'-]+", re.IGNORECASE)
_CLAUSE = re.compile(
    r"(?<=[.!?;])\s+|,\s+(?=(?:so|and|but|then|can|could|what|where|when|who|how|tell)\b)"
)
# The age of a group that somebody works with: "How old are the pupils?"
_GROUP_OLD = re.compile(
    r"\bhow old (?:are|were)(?= (?:the|these|those) (?!children|kids|parents)[a-z]+s\b)",
    re.IGNORECASE,
)
# Where somebody "lives and works" is the town of their work, as artists' CVs have it.
_LIVES_AND_WORKS = re.compile(
    r"\bliv(?:es?|ed|ing) and (work(?:s|ed|ing)?)\b|\b(work(?:s|ed|ing)?) and liv(?:es?|ed|ing)\b",
    re.IGNORECASE,
)
# The children's wing of a hospital is nobody's child.
_CHILDRENS_THING = re.compile(
    r"(?<!her )(?<!his )(?<!their )(?<!your )(?<!own )\bchildren's "
    r"(?=(?:wing|ward|hospital|home|books?|choir|library|literature|theatre|programmes?|clothes|"
    r"fashion|rights|charity|television|museum|workshops?|festival|film|court|department|menu)\b)",
    re.IGNORECASE,
)
# Nor is a hospital acoustician ill.
_HOSPITAL_TRADE = re.compile(r"\bhospital (?=[a-z]+(?:ian|er|or|ist|ect)s?\b)", re.IGNORECASE)
_MOTHER_TONGUE = re.compile(r"\bmother(?: |-)tongues?\b", re.IGNORECASE)
_ABOUT_ME = re.compile(
    r"^\W*(?:(?:well|so|and|but|because|since|as|um+|uh+|hello|hi)\W+)*(?:i|i'm|i've|i'd|we|we're|we've|someone)\b",
    re.IGNORECASE,
)
_ABOUT_ANOTHER = re.compile(
    r"\b(?:you|your|yours|she|he|her|his|him|they|them|their|who|what|where|when|which|how|why|ask|know)\b",
    re.IGNORECASE,
)


def _about_others(text: str) -> str:
    """Remove what callers say about themselves.

    "I have been ill, so tell me ..." asks about nobody's health, and "my wife asked me ..." is not
    about a marriage.
    """
    text = _MY_OWN.sub("someone", text.replace("\u2019", "'"))
    text = _LIVES_AND_WORKS.sub(r"\1\2", _MOTHER_TONGUE.sub("first language", text))
    text = _HOSPITAL_TRADE.sub("", _CHILDRENS_THING.sub("young ", text))
    text = _GROUP_OLD.sub("which are", text)
    clauses = _CLAUSE.split(text)
    kept = [
        clause
        for clause in clauses
        if not (_ABOUT_ME.search(clause) and not _ABOUT_ANOTHER.search(clause))
    ]
    return " ".join(kept) if len(kept) < len(clauses) else text


_Phrase = tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Phrases:
    """A document's phrases with the index of their topic, grouped by first word.

    There are hundreds of phrases, and each sentence is matched against them before it is spoken.

    Parameters:
        names: Names that ``she`` matches besides pronouns.
        by_stem: Phrases that begin with an ordinary word, by its stem.
        beginnings: Matches a word that begins as the first word of a phrase in ``begun`` does.
        begun: Phrases that begin with ``word*``.
        possessive: Phrases that begin with ``her``.
        person: Phrases that begin with ``she``.
        rest: All others.
    """

    names: frozenset[str]
    by_stem: Mapping[str, Sequence[_Phrase]]
    beginnings: re.Pattern[str]
    begun: Sequence[_Phrase]
    possessive: Sequence[_Phrase]
    person: Sequence[_Phrase]
    rest: Sequence[_Phrase]

    def that_may_begin_with(self, key: str, text: str) -> Iterator[_Phrase]:
        """Phrases that may begin with this word."""
        yield from self.by_stem.get(stem(key), ())
        if self.beginnings.match(key):
            yield from self.begun
        if _is("her", key, text, self.names):
            yield from self.possessive
        if _is("she", key, text, self.names):
            yield from self.person
        yield from self.rest


@lru_cache(maxsize=16)
def _phrases(topics: tuple[SensitiveTopic, ...], title: str) -> _Phrases:
    by_stem: defaultdict[str, list[_Phrase]] = defaultdict(list)
    others: dict[str, list[_Phrase]] = {"her": [], "she": [], "*": [], "": []}
    for place, topic in enumerate(topics):
        for phrase in topic.phrases:
            pattern = tuple(phrase.lower().split())
            first = pattern[0] if pattern else ""
            if first in ("her", "she"):
                others[first].append((place, pattern))
            elif first in ("", "$", "*"):
                others[""].append((place, pattern))
            elif first.endswith("*"):
                others["*"].append((place, pattern))
            else:
                by_stem[stem(_key(first))].append((place, pattern))
    names = frozenset(token.key for token in tokens(title)) | {"candidate"}
    beginnings = "|".join(sorted({re.escape(_key(pattern[0][:-1])) for _, pattern in others["*"]}))
    return _Phrases(
        names,
        dict(by_stem),
        re.compile(beginnings or r"(?!)"),
        others["*"],
        others["her"],
        others["she"],
        others[""],
    )


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
    # Stems alone would confuse "refer" with "reference".
    return key == wanted or (
        stem(key) == stem(wanted) and key[: len(wanted) - 1] == wanted[: len(wanted) - 1]
    )
