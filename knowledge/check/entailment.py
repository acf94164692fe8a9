"""Checks whether the cited records of the document entail one sentence of an answer.

The sentence is split into the fewest stretches of clauses such that one record supports each. The
record must contain every word, number and date of the stretch, deny what it denies, attach
quantities to the same things, and keep everybody's role. In doubt, the check refuses.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from knowledge.check.meaning import implied, is_past
from knowledge.check.modality import obliges_nobody, other_modality
from knowledge.check.order import reversed_order, same_order, unordered, wrong_end
from knowledge.check.placement import misplaced
from knowledge.check.reading import AUXILIARIES, Clause, Reading, Word, is_all, read, read_cached
from knowledge.check.reckoning import reckoned
from knowledge.check.records import (
    BOUND,
    Record,
    Records,
    months_of,
    pairs,
    quote_key,
    records_of,
)
from knowledge.check.spelling import spelled, times_called
from knowledge.check.subject import dropped_limit, has_subject, other_subject
from knowledge.claims import MONTHS, numbers
from knowledge.loading.section import Section
from knowledge.words import PRONOUNS, normalize, spaced, stem, tokens

_MOST_CLAUSES = 14  # that one sentence is read against; a limit on time, not on what is true
_WORDS_ALONE = 2  # of a statement after yes or no that is checked by itself
_FEW = 5  # words of a sentence, all of which a record must tell; of longer ones a quarter
# Words that may lack support: a turn of phrase among so many words, a light verb among so many,
# and a concrete verb in a sentence of so many. On the tuning half these let no lie more through.
_WORDS_A_TURN = 3
_WORDS_A_LIGHT_VERB = 2
_MANY = 6
_STATING = frozenset(stem(word) for word in spaced("become design work develop pass agree"))
_A_YEAR = len("#1934")
_FROM = frozenset(("from", "since", "after"))
_TO = frozenset(("to", "until", "till", "before"))
_BY = frozenset(("by",))  # before a date only; before a person it names the agent
_PLACING = frozenset(spaced("in at on from to into onto behind under above near beside via"))
_AT_LEAST = re.compile(
    r"\b(?:at least|more than|over|longer than|older than|above|minimum|or (?:more|later|older|"
    r"newer|above)|and (?:later|over|above|up)|from (?:the age of )?(?=\d)|upwards?)\b",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"\b(?:at most|less than|fewer than|under|shorter than|younger than|below|maximum|up to|"
    r"within (?:\d|a\b|an\b|one|two|three)|"
    r"or (?:less|fewer|earlier|younger|under)|and (?:earlier|under|below)|no longer than)\b",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(
    r"\b(?:never|always|every|each|all|any|whatever|everywhere|anywhere)\b", re.I
)
_RESTRICTING = re.compile(
    r"\b(?:without|unless|except|but|only|if|on duty|apart from|other than)\b", re.IGNORECASE
)
_CIRCUMSTANCE = re.compile(r"(?:after|before|during|in case of) \w+", re.IGNORECASE)
_ORDER = re.compile(r"\b(?:minute|hour|day|week|month|year)s? (before|after)\b", re.IGNORECASE)
_WE = re.compile(r"\b(?:we|you|she|he|they|i)\b", re.IGNORECASE)
_AT_FIRST = re.compile(r"\bfirst\W*$", re.IGNORECASE)
_ORDERED = frozenset(spaced("tell ask inform let call ring contact give send show help"))
_EARLIER = re.compile(
    r"\b(?:before|prior|ahead|beforehand|advance|earlier|previous)", re.IGNORECASE
)
_LATER = re.compile(r"\b(?:after|later|following|since|from|next|then|once)", re.IGNORECASE)
_ONLY = re.compile(
    r"\b(?:only|just|solely|exclusively|unless|except|nobody|nothing|no)\b|n't\b", re.I
)
_UP_TO_A_MOST = re.compile(r"\b(?:at most|up to(?: a)?(?: maximum of| at most)?) \d[\d.,]*", re.I)
_LIMITING = re.compile(r"\b(?:limit|ceiling|cap|capped|never|most|until|up)\b", re.I)
_AND_ANOTHER = re.compile(r"\b(?:and|or)\b.{,40}\bonly\b", re.I)
_BETWEEN = re.compile(
    r"\b(?:between|from)\s+(?:the )?([\w:]+)\s+(?:and|to|until|till)\s+(?:the )?([\w:]+)",
    re.IGNORECASE,
)
_LEANING = frozenset(
    ("before", "after", "until", "since", "or", "nor")
)  # clauses that deny nothing
_SUBJECTS = frozenset(("she", "he", "they", "we", "you", "it", "i"))
_GAVE = re.compile(r"\b(?:gave|awarded|presented|granted) (?:her|him|them)\b", re.IGNORECASE)
_GOT = re.compile(
    r"^(?:in \d{4} )?(?:she|he|they) (?:received|won|got|earned|was (?:given|awarded))\b", re.I
)
_MADE = frozenset(map(stem, spaced("make promote appoint name elect hire employ")))
_SHE = frozenset(("she", "he", "i"))
_ADDRESSED = frozenset(("you", "we"))
_LINKING = frozenset(("of", "at", "from", "by", "in", "for", "to", "with"))
_POLAR = re.compile(
    r"^\W*(?:(?P<yes>yes|yeah|yep|correct|that's right|that is right|indeed|exactly|absolutely|"
    r"of course|certainly|definitely)|(?P<no>nope|no(?=\s*(?:[^\w\s]|$))))\b[\s,.;:!\u2014-]*",
    re.IGNORECASE,
)
_DEPENDS = re.compile(
    r"^\W*(?:well, )?(?:it|that)(?:'s| is)? (?:all )?(?:depends?|depending|varies|differs)\b"
    r"[^:;\u2014]*(?:[:;\u2014]| -)\s+",
    re.IGNORECASE,
)
_AFRAID_NOT = re.compile(
    r"^\W*(?:i'm afraid|i am afraid|unfortunately|sadly),? (?:not|no)\b[,.;:]?\s*", re.IGNORECASE
)
_AFRAID = re.compile(
    r"^\W*(?:i'm|i am) afraid(?: that)?,? |,? (?:i'm|i am) afraid(?=\W*$)", re.IGNORECASE
)
_ABSENCE = re.compile(
    r"\b(?:doesn't|does not|don't|do not|didn't|did not|cannot|can't|can not|couldn't|isn't|is not|"
    r"aren't|not|no|nothing|never|nowhere)\b"
    r".{0,40}?\b(?:say|says|mention|mentions|mentioned|state|stated|contain|find|found|know|have|"
    r"include|included|cover|covered|list|listed|specify|specified|see|information|details?|"
    r"record|reference|in the (?:document|cv|resume|text|handbook|menu)|about|clear|sure|tell)\b",
    re.IGNORECASE,
)
_SPEAKS_OF_ITSELF = re.compile(
    r"\b(?:document|cv|resume|r\u00e9sum\u00e9|text|handbook|menu|information|section|"
    r"i|i'm|it doesn't say|it does not say|it doesn't mention|it does not mention|"
    r"there's nothing|there is nothing|there is no information|there's no information)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:why|when|how|what|which|who|where|whose)\b", re.IGNORECASE)
_REFUSING = frozenset(
    stem(word)
    for word in spaced("""
    say mention state contain find know include cover list specify see information
    detail record reference clear tell anything nothing something answer pass person follow
    cost price date year reason number name long much
    afraid sorry document cv resume text handbook menu whether give exact exactly rest part
    help unable able rather available here provide other else about
    """)
)
_NARROWING = re.compile(r"\b(?:one of|among|some of|often|called|considered|known as)\b", re.I)
_CAUSES = re.compile(r"\b(?:because|due to|owing to|thanks to|as a result of)\b", re.I)
_CAUSED = re.compile(
    r"\b(?:because|due|owing|thanks|since|so|in order|for|as|to|means?|result)\b", re.I
)
_EVERY = re.compile(r"\b(?:every|each)\b", re.I)
_EVERY_OTHER = re.compile(r"\bevery (?:second|other|third|fourth|few|two|three)\b", re.I)
_NAMED_MONTH = rf"(?:{'|'.join(name.capitalize() for name in MONTHS if len(name) > 3)}|May)"
_DURING = re.compile(rf"\b(?:from|in|between|until) {_NAMED_MONTH}\b(?! \d)")
_MONTHS_OR_SEASON = re.compile(
    rf"\b{_NAMED_MONTH}\b|\b(?:spring|summer|autumn|fall|winter|season|months?|year|\d{{4}})\b"
)
_PART_OF = re.compile(
    r"\b(?:for|the (?:first|last)) \w+ (day|week|month|hour|year)s? (?:in|of) (\w+)", re.I
)
_EXCEPTING = re.compile(r"\b(?:except|apart|but|besides|excluding|other than|unless)\b", re.I)
_DENYING = re.compile(
    r"n't\b|-free\b|\b(?:not|no|never|none|nobody|nothing|without|cannot|free of|free from)\b",
    re.IGNORECASE,
)
_WITHOUT = re.compile(
    r"\b(?:unless|other|except|else|outside|beyond)\b"
    r"|(?:n't|\b(?:not|no|never|nobody|none|cannot))\b.*\bwithout\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a sentence.

    Parameters:
        lines: Lines that support it; empty if it is refused or states nothing.
        refused: Why it may not be spoken, for the log and the page; empty if it may.
    """

    lines: tuple[int, ...] = ()
    refused: str = ""


def entailed(
    sentence: str, cited: Sequence[Section], *, title: str, question: str = "", free: str = ""
) -> Verdict:
    """Check whether the cited sections entail a sentence.

    Args:
        sentence: One sentence of an answer.
        cited: The sections it cites.
        title: The document's title.
        question: The caller's question. It supports only a statement that something is missing, and
            the statement that a yes or no stands for.
        free: Further text whose names may be used: the persona's name.
    """
    sources = [records_of(section, title) for section in cited]
    key = quote_key(sentence)
    for source in sources:
        if key in source.quoted:
            return Verdict((source.quoted[key],))
    return _Check(sentence, sources, question, f"{title} {free}").verdict()


class _Check:
    """Checks one sentence against the records of the cited sections."""

    def __init__(self, sentence: str, sources: Sequence[Records], question: str, free: str) -> None:
        self._sentence = sentence
        self._sources = sources
        self._question = question
        self._free = frozenset(
            form for token in tokens(free) for form in (token.key, stem(token.key))
        )
        self._records: list[Record] = [record for source in sources for record in source.records]
        self._places = {id(record): at for at, record in enumerate(self._records)}
        self._missing: list[str] = []
        self._masks: dict[tuple[int, bool, bool], int] = {}
        self._keep: list[Word] = []  # keeps them alive, since they are identified by id()
        self._failed = ""

    def verdict(self) -> Verdict:
        self._sentence = reckoned(_lead_in(self._sentence))
        if polar := _POLAR.match(self._sentence):
            return self._polar(self._sentence[polar.end() :], yes=bool(polar["yes"]))
        return self._statement(self._sentence)

    def _statement(self, text: str) -> Verdict:
        lines: list[int] = []
        for part in _turns(text):
            if _ABSENCE.search(part) and _SPEAKS_OF_ITSELF.search(part):
                if why := self._absence(part):
                    return Verdict(refused=why)
                continue
            reading = read(part)
            if not self._claims(reading.words):
                if any(clause.negative for clause in reading.clauses) or reading.auxiliary:
                    return Verdict(refused=f"{part.strip()!r} claims what cannot be looked up")
                continue
            found = self._supported(reading)
            if found is None:
                return Verdict(refused=self._why(part))
            lines.extend(found)
        if not lines and not _ABSENCE.search(text):
            return Verdict(refused=f"nothing cited says {text.strip()!r}")
        return Verdict(tuple(sorted(set(lines))))

    # -- yes and no ----------------------------------------------------------------------------

    def _polar(self, rest: str, *, yes: bool) -> Verdict:
        asked = read_cached(self._question)
        claims = self._claims(asked.words) if _asks_yes_or_no(asked) else []
        reading = read(rest)
        own = self._claims(reading.words)
        if not claims:
            if not own:
                return Verdict(refused="a yes or no to what was not asked")
            return self._statement(rest)
        known = {form for word in claims for form in word.found}
        elliptic = all(word.found & known for word in own) or not (
            reading.auxiliary or any(word.verb or is_past(word.text.lower()) for word in own)
        )
        if elliptic and not (_ABSENCE.search(rest) and _SPEAKS_OF_ITSELF.search(rest)):
            whole = Clause(words=[*claims, *(w for w in own if not w.found & known)])
            denied = any(clause.denies for clause in asked.clauses) == yes
            found = self._rests(asked, whole.words, negative=denied, clauses=[whole])
            if found is not None:
                if denied and not (found.negative or found.only or found.lacking):
                    return Verdict(refused=f"{_quoted(found)} does not say no")
                return Verdict((found.line.number,))
            alone = yes or any(clause.denies for clause in reading.clauses)
            if not alone or len(own) < _WORDS_ALONE:
                answer = "yes" if yes else "no"
                return Verdict(
                    refused=f"no record says {answer} to the question: {self._why(rest)}"
                )
        verdict = self._statement(rest)
        if verdict.refused:
            return verdict
        unknown = [w for w in claims if not (self._mask(w) or self._is_within_a_span(w))]
        if yes:
            named = [word for word in unknown if word.kind != "word" or _is_name(asked, word)]
            if named or len(unknown) * 2 > len(claims):
                said = ", ".join(repr(word.text) for word in named or unknown)
                return Verdict(refused=f"yes to {said}, of which nothing cited tells")
        elif not unknown:
            positive = self._rests(asked, claims, negative=False, clauses=[Clause(words=claims)])
            repeated = all(word.found & {f for w in own for f in w.found} for word in claims)
            other = positive is not None and positive.line.number not in verdict.lines
            if positive is not None and (repeated or other):
                return Verdict(refused="no to what a record says")
        return verdict

    def _is_within_a_span(self, word: Word) -> bool:
        """Whether a month lies within a span of months of a record: July, from April to October."""
        wanted = {int(form[2:]) for form in word.found if form.startswith("m:")}
        return bool(wanted) and any(
            wanted <= set(months_of(record.reading)) for record in self._records
        )

    # -- what the document does not say --------------------------------------------------------

    def _absence(self, part: str) -> str:
        """Why the document may not be said to lack something; empty if it may."""
        asked = {form for token in tokens(self._question) for form in _loose(token.key)}
        told = []
        for word in read(part).words:
            if word.kind == "quantity" or word.found & (_REFUSING | self._free):
                continue
            if any(form in asked for form in word.found) or self._mask(word):
                told.append(word)
            else:
                return f"{word.text!r} in what is said to be missing was not asked"
        if told and not _ASKS.search(part) and all(self._mask(word) for word in told):
            whole = 0
            whole = ~whole
            for word in told:
                whole &= self._mask(word)
            if whole:
                said = ", ".join(repr(word.text) for word in told)
                return f"{said} is said to be missing, and is there"
        return ""

    # -- statements ----------------------------------------------------------------------------

    def _claims(self, words: Sequence[Word]) -> list[Word]:
        return [word for word in words if not word.found & self._free or word.kind != "word"]

    def _mask(self, word: Word, *, strictly: bool = False, widely: bool = False) -> int:
        """The records that contain a word, or may be read with it."""
        place = id(word), strictly, widely
        if (known := self._masks.get(place)) is not None:
            return known
        self._keep.append(word)
        self._masks[place] = mask = self._looked_up(word, strictly=strictly, widely=widely)
        return mask

    def _looked_up(self, word: Word, *, strictly: bool, widely: bool) -> int:
        mask, shift = 0, 0
        for source in self._sources:
            here = 0
            for form in word.found:
                here |= source.own.get(form, 0)
                if word.kind == "word" and not strictly:
                    here |= source.lent.get(form, 0)
                    if widely:
                        here |= source.beside.get(form, 0)
            if not strictly:
                for form in word.denied:
                    here |= source.direct.get(form, 0)
            if word.needs:
                parts = ~0
                for need in word.needs:
                    of_part = 0
                    for form in need:
                        of_part |= source.own.get(form, 0)
                        if not strictly:
                            of_part |= source.lent.get(form, 0)
                        if widely:
                            of_part |= source.beside.get(form, 0)
                    parts &= of_part
                here |= parts & ((1 << len(source.records)) - 1)
            mask |= here << shift
            shift += len(source.records)
        return mask

    def _supported(self, reading: Reading) -> list[int] | None:
        """The lines of the records that support the sentence, stretch by stretch."""
        clauses = [clause for clause in reading.clauses if self._claims(clause.words)]
        if not clauses:
            return []
        if len(clauses) > _MOST_CLAUSES:
            self._failed = "it has too many clauses to be checked"
            return None
        # best[n]: fewest records that support the first n clauses
        best: list[tuple[list[Record], list[str]] | None] = [([], [])] + [None] * len(clauses)
        for end in range(1, len(clauses) + 1):
            for start in range(end):
                before = best[start]
                if before is None or (start and clauses[start].joined):
                    continue
                now = best[end]
                if now is not None and len(now[0]) <= len(before[0]) + 1:
                    continue
                record = self._stretch(reading, clauses, start, end)
                if record is not None:
                    best[end] = ([*before[0], record], [*before[1], clauses[start].opens])
        whole = best[-1]
        if whole is None:
            return None
        found, opens = whole
        if why := self._together(found, opens):
            self._failed = why
            return None
        return [record.line.number for record in found]

    def _together(self, found: Sequence[Record], opens: Sequence[str]) -> str:
        """Why the sentence may not join these records; empty if it may.

        Args:
            found: The records of its stretches.
            opens: The word that each of the stretches begins with.
        """
        if _CAUSES.search(self._sentence) and not any(
            _CAUSED.search(record.reading.text) for record in found
        ):
            return "no record gives that as the reason"
        if len({id(record) for record in found}) < 2:
            return ""
        for at, word in enumerate(opens):
            other = found[at - 1] if at else next(r for r in found if r is not found[0])
            if (
                other is not found[at]
                and unordered(word, other, found[at])
                and not _dated(word, found[at], other)
            ):
                return f"no record says {word!r}"
        return ""

    def _stretch(
        self, reading: Reading, clauses: Sequence[Clause], start: int, end: int
    ) -> Record | None:
        own = clauses[start:end]
        if len(set(_polarities(own))) > 1:
            return None
        words = [word for clause in own for word in self._claims(clause.words)]
        negative = any(clause.denies for clause in own)
        carried: list[Word] = []
        if start:
            first = own[0]
            earlier = clauses[:start]
            measured = any(word.kind == "measure" for word in words)
            if first.appositive and not measured and not any(clause.verbs for clause in own):
                carried = self._claims(earlier[-1].words[-1:])
            elif not any(clause.verbs or clause.auxiliary for clause in own):
                verbs = next((c.verbs for c in reversed(earlier) if c.verbs), [])
                carried = self._claims(verbs)
                if first.opens == "and":
                    carried = [verb for verb in carried if not verb.bland]
                if first.opens in ("or", "nor"):
                    negative = negative or earlier[-1].negative
            elif not first.subject:
                carried = self._subject(earlier)
                last = [word for word in earlier[-1].words[-1:] if word.kind == "word"]
                if first.opens in ("which", "who", "where") and last:
                    found = self._rests(
                        reading,
                        words,
                        negative=negative,
                        clauses=own,
                        carried=self._claims(last),
                    )
                    if found is not None:
                        return found
        return self._rests(reading, words, negative=negative, clauses=own, carried=carried)

    def _subject(self, clauses: Sequence[Clause]) -> list[Word]:
        """The subject of the clauses: the words before the first verb, without prepositions."""
        for clause in reversed(clauses):
            if not clause.subject:
                continue
            found = []
            for word in clause.words:
                if word.verb or 0 <= clause.linked_at < word.at:
                    break
                if not word.preposition and word.kind == "word":
                    found.append(word)
            return self._claims(found)
        return []

    def _rests(
        self,
        reading: Reading,
        words: Sequence[Word],
        *,
        negative: bool,
        clauses: Sequence[Clause],
        carried: Sequence[Word] = (),
    ) -> Record | None:
        """The record that contains all the words, if there is one."""
        mask = (1 << len(self._records)) - 1
        own = []
        missing: list[Word] = []
        widely = not any(word.kind == "measure" for word in words)
        for word in words:
            own.append(self._mask(word, strictly=True))
            usable = self._mask(word, widely=widely)
            if not usable:
                missing.append(word)
            elif not word.bland:
                mask &= usable
        if (
            self._is_long(reading)
            and [word for word in missing if not word.bland]
            == [word for word in missing if word.verb and word.concrete and not word.bland][:1]
        ) or (
            len(words) > 3
            and [word for word in missing if not word.bland]
            == [word for word in missing if word.verb and _says_how(word)][:1]
        ):
            missing = [word for word in missing if word.bland]
        if any(not word.bland for word in missing):
            self._missing.extend(w.text for w in missing if w.text not in self._missing)
            return None
        bland = [word for word in words if word.bland]
        for word in carried:
            mask &= self._mask(word, widely=widely)
        if not mask:
            return None
        why = ""
        for record in self._of(mask):
            bit = 1 << self._place(record)
            turns = [word for word in bland if not self._mask(word, widely=widely) & bit]
            if record.line.cells and any(
                not word.verb and self._mask(word, strictly=True) for word in turns
            ):
                why = why or "it is in another row"
                continue
            if len(words) < sum(
                _WORDS_A_LIGHT_VERB if word.verb and not word.found & _STATING else _WORDS_A_TURN
                for word in turns
            ):
                missing = turns
                continue
            said = sum(bool(parts & bit) for parts in own)
            told = len(words) - sum(
                not parts & bit and _opens_named(word, reading)
                for word, parts in zip(words, own, strict=True)
            )
            if not said or said * (4 if told > _FEW else told) < told:
                why = why or "it is not what a record tells"
                continue
            reason = self._differs(record, reading, words, negative=negative, clauses=clauses)
            if not reason:
                return record
            why = reason
        self._failed = why or self._failed
        if not why:
            self._missing.extend(w.text for w in missing if w.text not in self._missing)
        return None

    def _is_long(self, reading: Reading) -> bool:
        return len(self._claims(reading.words)) >= _MANY

    def _of(self, mask: int) -> Iterator[Record]:
        while mask:
            low = mask & -mask
            yield self._records[low.bit_length() - 1]
            mask ^= low

    def _place(self, record: Record) -> int:
        return self._places[id(record)]

    def _differs(
        self,
        record: Record,
        reading: Reading,
        words: Sequence[Word],
        *,
        negative: bool,
        clauses: Sequence[Clause],
    ) -> str:
        """How the record contradicts the words that it contains; empty if it does not."""
        bit = 1 << self._place(record)
        said = frozenset(form for word in words for form in word.found)
        denied = [
            word.denied & record.direct - said
            for word in words
            if word.denied & record.direct and not self._mask(word, strictly=True) & bit
        ]
        if not all(denied):
            return "it is not what a record tells"
        flipped = len(denied)
        denies = negative != bool(flipped % 2)
        if denies and not record.negative and _says_none(record, reading, clauses):
            denies = False
        elif denies != record.negative and not (
            negative and record.only and _WITHOUT.search(self._sentence)
        ):
            return f"{_quoted(record)} says the opposite"
        modal = other_modality(_text_of(reading, clauses), record.reading.text)
        if modal and not record.only:
            return f"{_quoted(record)} says {modal!r}"
        verbs = [word for word in record.reading.words if word.verb]
        orders = not has_subject(record.reading) and not _WE.search(record.reading.text)
        orders = orders or not verbs or ": " in record.reading.text
        if obliges_nobody(_text_of(reading, clauses), record.reading.text, orders=orders):
            return f"{_quoted(record)} obliges nobody"
        if why := _lacking(record, words, self._sentence, denies=denies):
            return why
        return (
            _quantities(record, words, self._sentence)
            or _numbers(record, reading, words)
            or _bounds(record, self._sentence, words, _text_of(reading, clauses))
            or _order(record, reading, words, clauses)
            or self._other_topic(record, reading, words)
            or _places(
                record,
                _of_the_same(reading, words),
                lambda word: bool(self._mask(word, strictly=True) & bit),
            )
            or _misplaced(record, reading, words, _text_of(reading, clauses))
            or _links(record, words)
            or _swapped(record, words)
            or _columns(record, _of_the_same(reading, words))
            or _only(record, self._sentence, reading.words)
            or _roles(record, reading, words, self._free)
            or _exchanged(record, reading)
            or _handed_over(record, words)
            or _other_agent(record, reading, words)
            or _ordered(record, reading)
            or _bound_left_out(record, words, self._sentence)
            or _possessors(record, words, self._free)
        )

    def _other_topic(self, record: Record, reading: Reading, words: Sequence[Word]) -> str:
        bit = 1 << self._place(record)

        def own(word: Word) -> bool:
            return bool(self._mask(word, strictly=True) & bit)

        def known(word: Word) -> bool:
            return bool(self._mask(word) & bit)

        if subject := other_subject(record, reading, words, free=self._free, own=own, known=known):
            return f"{_quoted(record)} is about {subject!r}"
        theirs = [
            word
            for word in record.reading.words
            if word.verb and not self._may_be_another(word, record, words)
        ]
        said = frozenset(form for word in reading.words for form in _forms(word))
        denied = frozenset(form for word in words for form in word.denied)
        said |= denied
        if theirs and not any(_forms(v) & said or implied(v.key) & said for v in theirs):
            lent = [word for word in words if word.kind == "word" and not own(word)]
            if any(not word.bland and not word.text[:1].isupper() for word in lent):
                return f"{_quoted(record)} is about something else"
        if limit := dropped_limit(record, reading):
            return f"{_quoted(record)} says so only {limit!r}"
        return ""

    def _may_be_another(self, verb: Word, record: Record, words: Sequence[Word]) -> bool:
        """Whether a verb of a record may stand for another, or is a noun: "sea rescue society"."""
        beside = {word.at: word for word in record.reading.words if word.clause == verb.clause}
        before, after = beside.get(verb.at - 1), beside.get(verb.at + 1)
        among = before is not None and after is not None and after.kind == "word"
        if before is not None and after is not None and among and not is_past(verb.text.lower()):
            return not (before.verb or after.verb or after.preposition != verb.preposition)
        told = all(self._mask(word) for word in words if word.verb)
        return verb.bland and told and not has_subject(record.reading)  # "Served until noon"

    def _nearest(self, part: str) -> str:
        words = self._claims(read(part).words)
        masks = [(word, self._mask(word)) for word in words]
        if not self._records or not words:
            return ""
        bit = max(
            (1 << at for at in range(len(self._records))),
            key=lambda bit: sum(bool(mask & bit) for _, mask in masks),
        )
        left = [word.text for word, mask in masks if not mask & bit]
        return f": the nearest is {_quoted(self._records[bit.bit_length() - 1])}, without " + (
            ", ".join(map(repr, left))
        )

    def _why(self, part: str) -> str:
        if self._missing:
            return f"{', '.join(map(repr, self._missing[:4]))} in {part.strip()!r}"
        if self._failed:
            return f"{part.strip()!r}: {self._failed}"
        return f"no record says all of {part.strip()!r}" + self._nearest(part)


def _lead_in(sentence: str) -> str:
    """The sentence without words that only lead to what it states: "It depends on the day:"."""
    sentence = _AFRAID_NOT.sub("No, ", sentence)
    sentence = _AFRAID.sub("", sentence)
    return _DEPENDS.sub("", sentence)


def _says_how(verb: Word) -> bool:
    """Whether a verb says rather how something came about than what: "put together"."""
    return not (verb.loaded or verb.denied or verb.text[:1].isupper())


def _dated(opens: str, of: Record, other: Record) -> bool:
    """Whether the years of two records tell that one is after or before the other."""
    mine, theirs = _years_of(of), _years_of(other)
    if not mine or not theirs:
        return False
    if opens == "after":
        return max(mine) <= min(theirs)
    return opens == "before" and min(mine) >= max(theirs)


def _years_of(record: Record) -> list[int]:
    return [
        int(word.key)
        for word in record.reading.words
        if word.kind == "measure" and len(word.key) == len("1934") and word.key.isdigit()
    ]


def _opens_named(word: Word, reading: Reading) -> bool:
    """Whether a word is of the name that a sentence opens with, as a heading has it."""
    return (
        word.kind == "word"
        and not word.preposition
        and all(token.capital for token in reading.tokens[: word.at + 1])
    )


def _polarities(clauses: Sequence[Clause]) -> list[bool]:
    """Whether each clause denies; conditions and verbless clauses follow their neighbour."""
    found: list[bool | None] = []
    for clause in clauses:
        finite = any(not verb.text.lower().endswith("ing") for verb in clause.verbs)
        alone = finite or clause.auxiliary or clause.negative
        leans = clause.conditional or (not clause.negative and clause.opens in _LEANING)
        found.append(clause.denies if alone and not leans else None)
    known = next((answer for answer in found if answer is not None), False)
    out: list[bool] = []
    for denies in found:
        known = known if denies is None else denies
        out.append(known)
    return out


def _turns(text: str) -> list[str]:
    """Split a sentence where it turns from what is missing to what there is."""
    if not _ABSENCE.search(text):
        return [text]
    return [part for part in re.split(r"[;:\u2014]\s|,\s+(?:but|though|although|however)\b", text)
            if any(map(str.isalnum, part))]  # fmt: skip


def _asks_yes_or_no(asked: Reading) -> bool:
    return any(token.text.lower() in AUXILIARIES for token in asked.tokens[:3]) and not _ASKS.match(
        " ".join(token.text for token in asked.tokens[:1])
    )


def _loose(key: str) -> tuple[str, str]:
    return key, stem(key)


def _is_name(reading: Reading, word: Word) -> bool:
    return any(
        token.text == word.text and token.capital and not token.initial for token in reading.tokens
    )


def _quoted(record: Record) -> str:
    return repr(record.reading.text)


def _misplaced(record: Record, reading: Reading, words: Sequence[Word], text: str) -> str:
    found = misplaced(record.reading, reading, words, text)
    return f"{_quoted(record)} has {found}" if found else ""


def _order(
    record: Record, reading: Reading, words: Sequence[Word], clauses: Sequence[Clause]
) -> str:
    if placed := wrong_end(record, words):
        return f"{_quoted(record)} does not say {placed!r}"
    if reversed_order(record, reading):
        return f"{_quoted(record)} has it the other way round"
    later = any(clause.opens in ("when", "after", "once") for clause in clauses)
    if later and _AT_FIRST.search(record.reading.text) and not _AT_FIRST.search(reading.text):
        return f"{_quoted(record)} says 'first'"
    for clause in clauses:
        of_event = (
            clause.opens in ("before", "after")
            and clause.words
            and not any(word.kind == "measure" for word in clause.words)
        )
        if of_event and len(clauses) == 1 and not clause.verbs and not clause.auxiliary:
            continue  # "After Harvard": of two records, whose dates tell
        pronoun = re.search(rf"\b{clause.opens} (?:that|this|it)\b", reading.text, re.IGNORECASE)
        ordered = not unordered(clause.opens, record) or same_order(record, reading)
        if of_event and not pronoun and not ordered:
            return f"{_quoted(record)} does not say {clause.opens!r}"
    return ""


def _text_of(reading: Reading, clauses: Sequence[Clause]) -> str:
    """The part of a sentence that the clauses stand for, with the words between them."""
    places = [word.at for clause in clauses for word in clause.words]
    if not places or len(clauses) == len(reading.clauses):
        return reading.text
    last = max(places) + 1
    before = [word.at for word in reading.words if word.at < min(places)]
    start = reading.tokens[max(before) + 1].start if before else 0
    end = reading.tokens[last].start if last < len(reading.tokens) else len(reading.text)
    return reading.text[start:end]


def _lacking(record: Record, words: Sequence[Word], sentence: str, *, denies: bool) -> str:
    if denies:
        return ""
    has = any(_forms(word) & record.lacking for word in words)
    if has and not _DENYING.search(sentence):
        return f"{_quoted(record)} says there is none"
    lacking = [word for word in words if word.without]
    lacks = any(_forms(word) & record.lacking for word in lacking)
    if lacking and not lacks and not record.negative:
        return f"{_quoted(record)} does not say there is none"
    return ""


def _says_none(record: Record, reading: Reading, clauses: Sequence[Clause]) -> bool:
    """Whether what a sentence denies is what the record says is absent: "has no gluten"."""
    denied = [
        word
        for clause in clauses
        for word in clause.words
        if clause.negative and word.at > _first_denial(reading, clause) and not word.bland
    ]
    return bool(denied) and all(_forms(word) & record.lacking for word in denied)


def _first_denial(reading: Reading, clause: Clause) -> int:
    """Where a clause begins to deny, as an index of a token."""
    first = min((word.at for word in clause.words), default=0)
    last = max((word.at for word in clause.words), default=0)
    before = [word.at for word in reading.words if word.at < first]
    start = max(before) + 1 if before else 0
    return next(
        (
            at
            for at in range(start, last + 1)
            if _DENYING.fullmatch(reading.tokens[at].text)
            or reading.tokens[at].text.endswith("n't")
        ),
        last,
    )


def _quantities(record: Record, words: Sequence[Word], sentence: str) -> str:
    theirs = record.reading.words
    for at, word in enumerate(words):
        if word.kind != "quantity":
            continue
        name = min(word.found, default="")
        same = [spot for spot, other in enumerate(theirs)
                if other.kind == "quantity" and other.found & word.found]  # fmt: skip
        if is_all(word) and record.exception and not _EXCEPTING.search(sentence):
            return f"{_quoted(record)} has an exception"
        if is_all(word) and same and (left := _narrower(record, same, words)):
            return f"{_quoted(record)} says so only of {left!r}"
        if is_all(word) and same and (left := _restricted(record, same, words)):
            return f"{_quoted(record)} says so only of {left!r}"
        if name in ("q:first", "q:only", "q:most", "q:second") and same:
            if name == "q:first" and record.hedged and not _NARROWING.search(sentence):
                return f"{_quoted(record)} says less"
            near = _near(words, at, 2 if name == "q:only" else 1, back=name == "q:only")
            near = near or _near(words, at, 0, back=True)
            adverbial = name == "q:only" and any(
                of[spot + 1 : spot + 2] and of[spot + 1].verb
                for of, spots in ((words, (at,)), (theirs, same))
                for spot in spots
            )
            if (
                near
                and not adverbial
                and not any(
                    _forms(word) & _forms(other) or _alike(word, other)
                    for word in near
                    for spot in same
                    for other in _near(theirs, spot, 2, back=name in ("q:only", "q:first"))
                )
            ):
                return f"{_quoted(record)} says {word.text!r} of something else"
    return ""


def _forms(word: Word) -> frozenset[str]:
    return word.found.union(*word.needs)


def _alike(word: Word, other: Word) -> bool:
    return bool(_forms(word) & implied(other.key))


def _near(words: Sequence[Word], at: int, count: int, *, back: bool) -> list[Word]:
    near = list(words[at + 1 : at + 1 + count])
    before = [word for word in words[max(0, at - 1) : at] if word.at == words[at].at - 1]
    return near + before if back else near


def _restricted(record: Record, places: Sequence[int], words: Sequence[Word]) -> str:
    """What a record says "every" of, as far as the sentence omits it."""
    said = frozenset(form for word in words for form in word.found)
    for place in places:
        for word in record.reading.words[place + 1 :]:
            if word.verb or word.kind != "word":
                break
            if word.preposition in ("in", "of", "at", "from", "on") and not (
                word.found & said or _implied_any(word, said)
            ):
                after = record.reading.words[place + 1 : place + 2]
                if after and after[0] is not word and not after[0].preposition:
                    return word.text
    return ""


def _narrower(record: Record, places: Sequence[int], words: Sequence[Word]) -> str:
    """The word that narrows "every" in a record, if the sentence lacks it: "every adult guest"."""
    said = frozenset(form for word in words for form in _forms(word))
    for place in places:
        following = record.reading.words[place + 1 : place + 3]
        if len(following) == 2 and following[0].kind == following[1].kind == "word":
            first, second = following
            beside = second.at == first.at + 1 and not (first.verb or second.verb)
            if beside and _forms(second) & said and not _forms(first) & said:
                return first.text
    return ""


def _implied_any(word: Word, said: frozenset[str]) -> bool:
    return bool(implied(word.key) & said)


def _numbers(record: Record, reading: Reading, words: Sequence[Word]) -> str:
    theirs: dict[str, list[Word]] = {}
    for other in record.reading.words:
        for form in (*other.found, *_afternoon(other, record.reading.text)):
            theirs.setdefault(form, []).append(other)
    for word in words:
        same = [other for form in word.found for other in theirs.get(form, ())]
        until = _TO | _BY if word.kind == "measure" else _TO
        ends = (_FROM, until) if word.preposition in _FROM else (until, _FROM)
        if word.preposition in ends[0] and same and all(o.preposition in ends[1] for o in same):
            return f"{_quoted(record)} has {word.text!r} at the other end"
    said = {form for word in words for form in word.found}
    for number, noun in pairs(reading):
        if number == "#1" or number not in said:
            continue
        counted = [thing for n, thing in record.pairs if n == number]
        if counted and not any(noun & thing for thing in counted):
            elsewhere = any(n != number and thing & noun for n, thing in record.pairs)
            told = noun & record.direct or BOUND in noun or len(number) == _A_YEAR
            unknown = not told
            if elsewhere or unknown or any(BOUND in thing for thing in counted):
                return f"{_quoted(record)} counts something else"
    return _other_phrase(record, words)


def _other_phrase(record: Record, words: Sequence[Word]) -> str:
    """Whether a number stands for another of the same unit: "within" one and "of" another."""
    theirs = _placed_numbers(record.reading.words)
    if len(theirs) < 2:
        return ""
    for word, preposition, unit in _placed_numbers(words):
        same = [p for w, p, u in theirs if w.found & word.found and u & unit]
        others = [p for w, p, u in theirs if not w.found & word.found and u & unit]
        if preposition and same and preposition not in same and preposition in others:
            return f"{_quoted(record)} says {preposition!r} of another number"
    return ""


def _placed_numbers(words: Sequence[Word]) -> list[tuple[Word, str, frozenset[str]]]:
    """Numbers that count something, each with its preposition and what it counts."""
    return [
        (word, word.preposition, following.found)
        for word, following in itertools.pairwise(words)
        if word.kind == "measure" and following.kind == "word" and following.at == word.at + 1
    ]


def _afternoon(word: Word, text: str) -> tuple[str, ...]:
    """The other number of an hour in the afternoon: two for 14:00."""
    if word.kind == "measure" and word.key.isdigit() and f"{word.key}:" in text:
        return (f"#{(int(word.key) - 1) % 12 + 1}",)
    return ()


def _swapped(record: Record, words: Sequence[Word]) -> str:
    """Whether two words are swapped: "for Monday by Friday", "by Monday for Friday"."""
    placed = [
        (word, other.preposition)
        for word in words
        if word.kind != "quantity" and not is_past(word.text.lower())
        for other in record.reading.words
        if word.found & other.found
    ]
    for word, was in placed:
        if word.kind == "word" and (
            (word.preposition == "from" and was == "into")
            or (word.preposition == "into" and was == "from")
        ):
            return f"{_quoted(record)} has {word.text!r} at the other end"
    for (one, was), (two, became) in itertools.combinations(placed, 2):
        apart = one.preposition != two.preposition and one.key != two.key
        apart = apart and bool(one.preposition and two.preposition)
        if apart and (one.preposition, two.preposition) == (became, was):
            return f"{_quoted(record)} has {one.text!r} and {two.text!r} the other way round"
    return ""


def _of_the_same(reading: Reading, words: Sequence[Word]) -> list[Word]:
    """All words of the clauses that contain the given words."""
    clauses = {word.clause for word in words}
    return [word for word in reading.words if word.clause in clauses]


def _columns(record: Record, words: Sequence[Word]) -> str:
    """Whether a number of a row is in the column that the sentence names."""
    cells = record.line.cells[1:]
    if not cells:
        return ""
    heads = [frozenset(stem(token.key) for token in tokens(head)) for head, _ in cells]
    held = [
        frozenset(f"#{number}" for number in numbers(cell)) | times_called(cell)
        for _, cell in cells
    ]
    placed = sorted(words, key=lambda word: word.at)
    there = {token.key for token in record.reading.tokens}
    for head, _ in cells:
        keys = frozenset(token.key for token in tokens(spelled(head)))
        if keys and not keys & there and any(keys & {word.key} for word in placed):
            return f"{_quoted(record)} says nothing of {head!r}"
    named = [
        (word, columns)
        for word in placed
        if word.kind != "measure"
        and not word.verb
        and (
            columns := frozenset(
                at for at, head in enumerate(heads) if head & (word.found | {stem(word.key)})
            )
        )
    ]
    for word in placed:
        if word.kind != "measure":
            continue
        beside = [(w, columns) for w, columns in named if w.clause == word.clause] or named
        before = [columns for w, columns in beside if w.at < word.at]
        after = [columns for w, columns in beside if w.at > word.at and w.clause == word.clause]
        meant = before[-1] if before else after[0] if after else None
        columns = frozenset(at for at, of in enumerate(held) if of & word.found)
        if meant is not None and columns and not columns & meant:
            return f"{_quoted(record)} has {word.text!r} in another column"
    return ""


def _only(record: Record, sentence: str, words: Sequence[Word]) -> str:
    """What a record restricts by "only", as far as the sentence omits it."""
    if _ONLY.search(sentence):
        return ""
    said = frozenset(form for word in words for form in _forms(word))
    theirs = record.reading.words
    for at, word in enumerate(theirs):
        if word.kind == "quantity" and "q:only" in word.found:
            beside = [other for other in theirs[max(0, at - 2) : at] if other.kind == "word"]
            beside = beside or [other for other in theirs[at + 1 : at + 3] if other.kind == "word"]
            left = [o for o in beside if not (_forms(o) & said or _implied_any(o, said))]
            if left and (len(left) == len(beside) or not _AND_ANOTHER.search(record.reading.text)):
                return f"{_quoted(record)} says so only of {left[0].text!r}"
    return ""


def _bounds(record: Record, sentence: str, words: Sequence[Word], part: str) -> str:
    """Whether a bound, a span or a condition is reversed or omitted."""
    text = record.reading.text
    sentence = spelled(sentence)
    said = {form for word in words if word.kind == "measure" for form in word.found}
    theirs = {form for word in record.reading.words if word.kind == "measure"
              for form in word.found}  # fmt: skip
    if said & theirs:
        for bound, other in ((_AT_LEAST, _AT_MOST), (_AT_MOST, _AT_LEAST)):
            claimed = bound.search(sentence) and not other.search(sentence)
            if claimed and other.search(text) and not bound.search(text):
                return f"{_quoted(record)} bounds it on the other side"
    if order := _ORDER.search(part):
        alike = _EARLIER if order[1].lower() == "before" else _LATER
        if not alike.search(text):
            return f"{_quoted(record)} does not say {order[0]!r}"
    between = {(match[1].lower(), match[2].lower()) for match in _BETWEEN.finditer(text)}
    for match in _BETWEEN.finditer(sentence):
        if (match[2].lower(), match[1].lower()) in between:
            return f"{_quoted(record)} has it the other way round"
    if _EVERY_OTHER.search(text) and _EVERY.search(sentence) and not _EVERY_OTHER.search(sentence):
        return f"{_quoted(record)} does not say every one"
    if _during(
        record, frozenset(form for word in words for form in _forms(word))
    ) and not _MONTHS_OR_SEASON.search(sentence):
        return f"{_quoted(record)} says so only for a part of the year"
    spoken = sentence.lower()
    for share in _PART_OF.finditer(text):
        if share[2].lower() in spoken and share[1].lower() not in spoken:
            return f"{_quoted(record)} says {share[0]!r}"
    absolute = _ABSOLUTE.search(sentence)
    restricting = _RESTRICTING.search(text) or _CIRCUMSTANCE.match(text)
    if not absolute or not restricting:
        return ""
    if _ABSOLUTE.search(text) or _RESTRICTING.search(sentence):
        return ""
    return f"{_quoted(record)} says so only {restricting[0]!r}"


def _bound_left_out(record: Record, words: Sequence[Word], sentence: str) -> str:
    """Whether the sentence tells the limit of something as the thing itself."""
    if _AT_MOST.search(sentence) or _LIMITING.search(sentence):
        return ""
    there = [word for word in record.reading.words if word.kind == "measure"]
    said = {form for word in words if word.kind == "measure" for form in word.found}
    for limit in _UP_TO_A_MOST.finditer(record.reading.text):
        inside = [w for w in there if limit.start() < record.reading.tokens[w.at].start
                  <= limit.end()]  # fmt: skip
        outside = [w for w in there if w not in inside]
        twice = limit[0].lower().startswith("up to") and not limit[0][6:7].isdigit()
        if (
            any(w.found & said for w in inside)
            and (outside or twice)
            and not any(w.found & said for w in outside)
        ):
            return f"{_quoted(record)} says {limit[0]!r}"
    return ""


def _during(record: Record, said: frozenset[str]) -> bool:
    """Whether the record says what the sentence does only from one month to another."""
    if not _DURING.search(record.reading.text):
        return False
    months = {
        word.clause
        for word in record.reading.words
        if any(form.startswith("m:") for form in word.found)
    }
    return any(
        word.clause in months and word.kind == "word" and _forms(word) & said
        for word in record.reading.words
    )


def _places(record: Record, words: Sequence[Word], own: Callable[[Word], bool]) -> str:
    """Whether the record names a place other than one that is only read into it."""
    for word in words:
        if word.kind != "word" or word.preposition not in _PLACING or own(word) or word.verb:
            continue
        if any(own(other) for other in words if other.preposition == word.preposition):
            continue
        there = [
            other
            for other in record.reading.words
            if other.kind == "word" and other.preposition == word.preposition and not other.verb
        ]
        if there and not any(
            _forms(word) & _forms(other) or _alike(word, other) for other in there
        ):
            return f"{_quoted(record)} has {there[0].text!r}, not {word.text!r}"
    return ""


def _links(record: Record, words: Sequence[Word]) -> str:
    """Whether pairs are swapped: "red to port, green to starboard"."""
    theirs = list(_linked(record.reading.words))
    for head, word in _linked(words):
        heads = [h for h, other in theirs if other.preposition == word.preposition
                 and _forms(other) & _forms(word)]  # fmt: skip
        ends = [other for h, other in theirs if other.preposition == word.preposition
                and _forms(h) & _forms(head)]  # fmt: skip
        together = any(_forms(h) & _forms(head) for h in heads) or any(
            _forms(other) & _forms(word) for other in ends
        )
        if heads and ends and not together:
            return f"{_quoted(record)} has {head.text!r} with {ends[0].text!r}"
    return ""


def _linked(words: Sequence[Word]) -> Iterator[tuple[Word, Word]]:
    """Pairs of a word and the word before that its preposition attaches to."""
    for before, word in itertools.pairwise(words):
        plain = before.kind == word.kind == "word" and before.clause == word.clause
        if plain and word.preposition and not before.verb and not before.preposition:
            yield before, word


def _roles(record: Record, reading: Reading, words: Sequence[Word], free: frozenset[str]) -> str:
    """Whether the agent of a verb in the sentence is its object in the record."""
    theirs = record.reading
    for verb in words:
        if not verb.verb or not _surely(verb, reading):
            continue
        for other in theirs.words:
            if not (other.verb and verb.found & other.found and _surely(other, theirs)):
                continue
            mine, his = (
                _parts(words, verb, reading, free),
                _parts(theirs.words, other, theirs, free),
            )
            if (
                other.at == 0
                and is_past(other.text.lower())
                and mine.agents - his.agents
                and not mine.passive
            ):
                return f"{_quoted(record)} does not say that {min(mine.agents)!r} did it"
            if other.at == 0 and not is_past(other.text.lower()) and mine.agents & his.others:
                return f"{_quoted(record)} has {min(mine.agents & his.others)!r} in another role"
            if swapped := mine.agents & his.patients or mine.patients & his.agents:
                return f"{_quoted(record)} has {min(swapped)!r} in another role"
            if mine.agents & his.others and mine.others & his.agents:
                return f"{_quoted(record)} has it the other way round"
            if (
                his.agents
                and not mine.agents & his.agents
                and (mine.person or (his.passive and mine.addressed))
            ):
                return f"{_quoted(record)} says who did it"
            if (
                mine.about
                and his.about
                and mine.passive != his.passive
                and (mine.patients or his.patients)
            ):
                return f"{_quoted(record)} says who does it, and to whom"
    return ""


def _handed_over(record: Record, words: Sequence[Word]) -> str:
    """Whether a thing comes from somebody who got it: "took it over from"."""
    theirs = record.reading.words
    if not any(word.preposition == "from" for word in theirs):
        return ""
    first_verb = min((word.at for word in theirs if word.verb), default=0)
    for word in words:
        if word.preposition != "from" or not word.text[:1].isupper() or word.kind != "word":
            continue
        same = [other for other in theirs if other.found & word.found]
        if same and all(other.at < first_verb and not other.preposition for other in same):
            return f"{_quoted(record)} has {word.text!r} in another role"
    return ""


def _ordered(record: Record, reading: Reading) -> str:
    """Whether somebody does what the record tells the caller to do to them: "Tell a volunteer"."""
    order = record.reading.tokens[:1]
    if not order or order[0].text.lower() not in _ORDERED or not record.reading.words:
        return ""
    told = next((word for word in record.reading.words if word.at), None)
    first = reading.words[0] if reading.words else None
    does = [token.text.lower() for token in reading.tokens if token.text.lower() in _ORDERED]
    if told is None or first is None or first.preposition or not does:
        return ""
    said = [token.text.lower() for token in reading.tokens[: first.at]]
    if set(said) & (_ORDERED | _SUBJECTS) or not first.found & told.found:
        return ""
    return f"{_quoted(record)} has {first.text!r} in another role"


def _other_agent(record: Record, reading: Reading, words: Sequence[Word]) -> str:
    """Whether somebody else does what a record calls its agent by: "its founder, Harold Finch"."""
    theirs = record.reading.words
    for verb in words:
        if not verb.verb or verb.at in reading.passive:
            continue
        named = [w for w in words if w.at < verb.at and w.clause == verb.clause and _named(w)]
        if not named:
            continue
        for at, word in enumerate(theirs):
            agent = word.key.endswith(("er", "or")) and not word.verb and _alike(verb, word)
            called = list(itertools.takewhile(_named, theirs[at + 1 : at + 4])) if agent else []
            if called and not any(w.found & c.found for w in named for c in called):
                return f"{_quoted(record)} says that {called[-1].text!r} did it"
    return ""


def _named(word: Word) -> bool:
    return word.kind == "word" and word.text[:1].isupper()


def _exchanged(record: Record, reading: Reading) -> str:
    """Whether the sentence's subject and another word have changed places around a shared word.

    Unlike the roles of verbs, this needs no word to be known for a verb: "ferries have right of
    way over small craft" and "the landlord needs your consent".
    """
    if record.line.cells or (_GAVE.search(reading.text) and _GOT.search(record.reading.text)):
        return ""
    for at, token in enumerate(reading.tokens):
        if at == 0 or token.capital:
            continue
        for spot, other in enumerate(record.reading.tokens):
            shared = spot and stem(token.key) == stem(other.key)
            if shared and (swapped := _changed_places(reading, at, record.reading, spot)):
                return f"{_quoted(record)} has {swapped!r} in another role"
    return ""


def _changed_places(mine: Reading, at: int, theirs: Reading, spot: int) -> str:
    before, after = _around(mine, at)
    was_before, was_after = _around(theirs, spot)
    passive, was_passive = at in mine.passive, spot in theirs.passive
    if passive == was_passive:
        subject = (before & was_after) - was_before - after
        return min(subject, default="") if (after & was_before) - before - was_after else ""
    if was_passive:
        made = stem(theirs.tokens[spot].key) in _MADE or theirs.tokens[spot].key == "made"
        return min(before & _reached(theirs, spot, within=not made) - was_before, default="")
    return ""


def _around(reading: Reading, at: int) -> tuple[frozenset[str], frozenset[str]]:
    """Stems of the words before a token and after it, within its clause.

    Those that follow a preposition are left out before it, and those that follow "by" after it.
    """
    clause = next((w.clause for w in reading.words if w.at >= at), None)
    own = [word for word in reading.words if word.clause == clause and word.kind == "word"]
    return (
        frozenset(stem(word.key) for word in own if word.at < at and not word.preposition),
        frozenset(stem(word.key) for word in own if word.at > at and word.preposition != "by"),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """The agents of a verb, its objects, and others named with it, as stems.

    Parameters:
        person: Whether a pronoun or the document's subject is the agent.
        about: Whether the document's subject precedes the verb.
        passive: Whether the verb is in the passive voice.
        addressed: Whether "you" or "we" is the agent.
    """

    agents: frozenset[str]
    patients: frozenset[str]
    others: frozenset[str]
    person: bool
    about: bool
    passive: bool
    addressed: bool


def _reached(reading: Reading, verb: int, *, within: bool) -> frozenset[str]:
    """What follows a passive verb without "by": to whom a thing is given.

    Args:
        reading: The record's words.
        verb: The position of the verb.
        within: Whether what follows "at" counts; a firm makes directors of those made so at it.
    """
    found: set[str] = set()
    for word in reading.words:
        if word.at <= verb or word.kind != "word":
            continue
        if word.verb or word.preposition == "by":
            break
        if word.preposition == "at" and not within:
            continue
        found.add(stem(word.key))
    return frozenset(found)


def _surely(verb: Word, reading: Reading) -> bool:
    """Whether a word that may be a verb certainly is one here."""
    before = reading.tokens[verb.at - 1].text.lower() if verb.at else ""
    own = [word for word in reading.words if word.verb and word.clause == verb.clause]
    if any(0 < word.at == verb.at - 1 for word in own):
        return False  # need written consent
    if is_past(verb.text.lower()) or verb.at in reading.passive:
        return True
    if before in AUXILIARIES or before in PRONOUNS or before in ("to", "who", "we", "you", "then"):
        return True
    return own[0] is verb and before not in _PLACING and before not in _LINKING


def _parts(words: Sequence[Word], verb: Word, reading: Reading, free: frozenset[str]) -> _Parts:
    passive = verb.at in reading.passive
    agents: set[str] = set()
    patients: set[str] = set()
    others: set[str] = set()
    subjects = False
    for word in words:
        if word is verb or word.verb or word.kind != "word" or word.clause != verb.clause:
            continue
        if word.key == "free":
            continue
        name = stem(word.key)
        first, last = sorted((word.at, verb.at))
        if any(w.verb and first < w.at < last for w in words):
            continue
        if word.preposition:
            by = passive and word.preposition == "by" and word.at > verb.at
            (agents if by else others).add(name)
        elif word.at < verb.at:
            subjects = True
            (patients if passive else agents).add(name)
        elif not passive:
            patients.add(name)
    before = [token.text.lower() for token in reading.tokens[: verb.at]]
    relative = bool(before) and before[-1] in _SUBJECTS
    if relative and not passive:  # the manual that she wrote
        agents = set()
    pronoun = not passive and bool(_SHE & set(before[-8:])) and (relative or not subjects)
    own = not passive and bool(agents & free) and not agents - free
    subject = {stem(normalize(word)) for word in before}
    about = bool(subject & free) and not (agents | patients) & subject - free
    return _Parts(
        frozenset(agents - free),
        frozenset(patients - free),
        frozenset(others - free),
        pronoun or own or (passive and reading.agent),
        about,
        passive,
        not passive and not subjects and bool(_ADDRESSED & set(before[-4:])),
    )


def _possessors(record: Record, words: Sequence[Word], free: frozenset[str]) -> str:
    """Whether the sentence gives something another owner than the record."""
    theirs = record.reading.words
    for at, word in enumerate(words):
        if not word.possessive or word.found & free or not word.text[:1].isupper():
            continue
        if at + 1 >= len(words):
            continue
        thing = words[at + 1]
        there = [spot for spot, other in enumerate(theirs) if other.found & word.found]
        if not there or not any(other.found & thing.found for other in theirs):
            continue
        if not any(
            theirs[spot].possessive
            or theirs[spot].preposition in _LINKING
            or any(o.found & thing.found for o in theirs[spot : spot + 4])
            for spot in there
        ):
            return f"{_quoted(record)} does not say that it is {word.text}"
    return ""
