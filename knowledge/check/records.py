"""Splits a document into records, the clauses that a sentence of an answer is checked against.

A *record* is one clause of one line. Numbers, dates, verbs and quantities count only in its own
words; the headings above it, and the clause before if it depends on that, only name its topic.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from knowledge.abbreviations import DEMONYM_ENDINGS, SAME_CLAIM, acronyms
from knowledge.check.headings import heading_verbs, not_meant
from knowledge.check.meaning import bases, implied, is_past, phrases
from knowledge.check.reading import Reading, Word, is_superlative, read
from knowledge.check.spelling import spelled, times_called
from knowledge.claims import numbers
from knowledge.loading.section import Line, Section
from knowledge.moments import DAYS
from knowledge.words import PRONOUNS, sentences, spaced, stem, token_keys, tokens

_WORDS_OF_A_CLAUSE = 2  # at the beginning of a sentence; a shorter piece belongs to the next
_LEAST_EXPLAINING = 3  # words of a clause behind a colon
_NEXT_TO = 3  # most tokens from a number to the word that it counts
BOUND = "-"
_GOING_ON = frozenset(spaced("if then after otherwise once when"))
_THEM = frozenset(spaced("it them its their"))
_LEANS = PRONOUNS | frozenset(
    spaced("then there after if otherwise once so only our also thereafter this that these which "
           "who whom where because until though but and or not never without except")
)  # fmt: skip
_ORDERS = frozenset(
    spaced("bring take leave put wear wash send ask tell ring call use keep drop fill apply return "
           "report sign park book add wait follow contact write pay meet check press remove")
)  # fmt: skip
_PERSONS = frozenset(spaced("she he we you i her his"))
_VERBS_AFTER_AND = (
    r"(?:is|was|were|are|be|has|had|have|did|does|do|will|may|must|can|not|never|then|later|"
    r"became|made|wrote|took|got|gave|led|left|went|ran|held|won|kept|built|taught|began|"
    r"costs?|takes?|gets?|goes|lasts?|\w{3,}ed)"
)
_CUTS = re.compile(
    r"""
    ;\s+(?![\w ]{1,30}:)                     # not between the cells of a row
    |,\s+(?=to\ \w+|(?:and|but|or|so|then|though|although|which|who|where|while|because|not|
        after\ which|(?:an?|the)\ \w+\ that|no)\b)
    |\s+(?=(?:but|though|although|while|rather\ than|instead\ of|except|unless)\b)
    |\s+(?=and\ """
    + _VERBS_AFTER_AND
    + r"""\b)
    |(?<!\d)\s+[-\u2013\u2014]\s+
    """,
    re.VERBOSE,
)
_SEASONS = {
    "spring": frozenset((3, 4, 5)),
    "summer": frozenset((6, 7, 8)),
    "autumn fall": frozenset((9, 10, 11)),
    "winter": frozenset((12, 1, 2)),
}
_SPANS_OF_TIME = frozenset(spaced("year years times"))
_LONGEST_SEASON = 7  # months: "from April to October" is a summer's season, a year is none
_MONEY = frozenset(
    spaced("pound pounds euro euros dollar dollars kroner kronor krone cents francs")
)
_SMALL_SUM = re.compile(r"\b0\.(\d\d) (?:euro|pound|dollar)")
_SMALL_MONEY = frozenset(map(stem, spaced("cent cents pence penny p")))
_PAID = frozenset(stem(word) for word in spaced("cost price pay fee charge"))
_SAYING_NO = re.compile(r"\b(?:no|not|none|never|nothing|closed|without)\b|^\W*$", re.IGNORECASE)
_LABEL = re.compile(r"(?P<label>[^.;,!?:]{3,60}?)(?:(?P<mark>:) |\s[-\u2013\u2014]\s)(?=\S)")
_WORDS_OF_A_LABEL, _WORDS_OF_A_TITLE = 4, 7
_TIME_LABEL = re.compile(r"(\d{1,2}:\d\d)(?:,| [-\u2013\u2014]|:)? (?=\D)")
_ADDRESSING = frozenset(
    spaced("you your them it us him her they she he we afterwards afterward then otherwise")
)
# a participle that only describes: "Bikes not collected after 30 days cost £1 a day"
_LETTERS = re.compile(r"\b([A-Z]) (?:to|-|\u2013) ([A-Z])\b")
_FLUENT = re.compile(r"\b(?:C1|C2|mother tongue|native)\b")
_CLOCK = re.compile(r"\b\d{1,2}:\d\d\b")
_OPEN_FROM = re.compile(r"\b\d{1,2}:\d\d\b(?: to |[- ]+)\d{1,2}:\d\d\b")
_VEHICLE = re.compile(r"\b(?:bus|train|tram|ferry|boat|minibus|shuttle|coach|flight)\b", re.I)
_PRIZE = re.compile(r"\b(?:prize|award)\b", re.IGNORECASE)
_WITH_SOMEBODY = re.compile(
    r"\b(?:with|by|[Ss]peakers?:|[Tt]eachers?:|[Ll]eaders?:|[Hh]osts?:) "
    r"(?:(?:Dr|Prof|Mr|Ms|Mrs)\.? )?[A-Z\u00c0-\u00de][\w'-]+|\([A-Z]\w+ [A-Z]\w+\)"
)
_STARTING = frozenset(map(stem, spaced("start begin happen")))
_LEAVING = frozenset(map(stem, spaced("leave depart go run leav")))
_GIVING = frozenset(map(stem, spaced("give hold lead teach run present speak talk host")))
_WINNING = frozenset(map(stem, spaced("win get receive")))
_NOT_DONE = re.compile(r"^(?!(?:is|are|was|were|be|do|does|did)\b)\w+ not \w+ed\b", re.I)
_DESCRIBED = re.compile(
    r"^(?:[\w-]+, )?(?:\w{3,}ed|made|taught|held|given|sold|cut|built|written|run) "
    r"(?:with|by|in|from|at|on|for)\b",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"^\W*\d+(?:\.\d+)*[.)]?\s+")
_EMPTY_CELL = re.compile(r": [-\u2013\u2014]$")
_TELEPHONE = re.compile(r"\+?\d[\d ()/-]{6,}\d|\bextension \d+")
_CALLED = frozenset(stem(word) for word in spaced("call ring phone telephone dial reach number"))
_MAILBOX = re.compile(r"\S@\S+\.\w")
_WRITTEN = frozenset(stem(word) for word in spaced("write mail email contact reach send address"))
_PLACES = frozenset(spaced("in at on within near under behind"))
_RELATIVE = frozenset(spaced("which who whom where that"))
_APPOSITIVE = re.compile(r"(?:an?|the) \w+ that\b")
_EXCEPTING = frozenset(spaced("except unless apart"))
_PURPOSE = re.compile(r"\s+(to (?!the|an?|her|his|be|their)\w+ (?:at|in|with|for|as|on|the)\b)")
_CONDITION = re.compile(r"(?:if|when|unless|once)\b", re.IGNORECASE)
_EACH = re.compile(
    r"\b(?:per \w+|a (?:day|week|month|year|head|person|shift)|annual|monthly|weekly|daily|yearly|"
    r"hourly|"
    r"(?:on|Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days)\b"
)
_SPAN = re.compile(
    r"\b([12]\d{3}) ?(?:to|until|-|\u2013|\u2014) ?([12]\d{3}|today|now|present|date)\b",
    re.IGNORECASE,
)
_WORKED = frozenset(stem(word) for word in spaced("work employ serve spend"))
_LOWER_BOUND = re.compile(
    r"\b(?:from|over|above|minimum|or (?:more|later|older|newer|above|over)|at least|"
    r"more than|longer than|older than|starting at|and (?:later|over|above|up))\b",
    re.IGNORECASE,
)
_UPPER_BOUND = re.compile(
    r"\b(?:up to|under|below|within|maximum|or (?:less|fewer|earlier|younger|under)|at most|"
    r"less than|no longer than|limit(?:ed)?)\b",
    re.IGNORECASE,
)
_LEAST = frozenset(("minimum", stem("minimum")))
_MOST = frozenset(("maximum", stem("maximum")))
_DENYING = re.compile(r"(?:rather than|instead of)\b", re.IGNORECASE)
_HEDGED = re.compile(r"\b(?:one of the|among the|often called|so-called|sometimes called)\b")
_ENUMERATED = re.compile(r"^\(\w{1,2}\)\s+")
_ANSWERED = re.compile(r"^(yes|no)\b[\s,.;:!-]*", re.IGNORECASE)
_YES_OR_NO = re.compile(r"^(?:yes|no)\s*[,.;:!]\s*", re.IGNORECASE)
_NOTED = re.compile(r"[^(),]+ \([^()]+\)\.?")
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)")
_DIVIDING = re.compile(r";\s+|\s+[-\u2013\u2014]\s+(?!\d)")
# As in "two weeks' notice, for managers three months" and "a bonus of 20 %, on Sundays of 50 %".
_FOR_ANOTHER = re.compile(
    r"(?:for|on|in) [a-z][^\d,]*? (?:of )?[\u00a3\u20ac$]?(?:\d[\d.]*|one|two|three|four|five|six|"
    r"seven|eight|nine|ten|twelve)(?: \w+){0,2}\W*$",
    re.IGNORECASE,
)
_SIGNS = frozenset("\u20ac\u00a3$")
_QUESTION = re.compile(r"\?\s*$")
_DAYS_OF_A_WEEK, _DAYS_OF_A_FORTNIGHT = "7", "14"


@dataclass(slots=True)
class Record:
    """One clause of the document.

    Parameters:
        line: Its line.
        reading: The parsed clause.
        negative: Whether it denies.
        hedged: Whether it weakens a superlative: "one of the first".
        only: Whether it has a necessary condition: "only", "unless".
        exception: Whether an exception to it follows.
        direct: Stems of its own words.
        lacking: Stems of what it says is absent: words after "without".
        pairs: Numbers, each with the stems of what it counts.
        order: Index in its section.
    """

    line: Line
    reading: Reading
    negative: bool
    hedged: bool
    only: bool
    exception: bool
    direct: frozenset[str]
    lacking: frozenset[str]
    pairs: tuple[tuple[str, frozenset[str]], ...]
    order: int


@dataclass(slots=True)
class Records:
    """The searchable records of a section. A set of records is an integer, one bit each.

    Parameters:
        records: The records, in order.
        own: For a name, the records whose own words have it.
        lent: For a name, the records whose context has it.
        beside: For a name, the records with another clause in their sentence that has it, and that
            denies if and only if they do.
        direct: For a stem, the records that contain that very word.
        quoted: Line numbers by the words of every run of whole sentences of a line.
        first_person: Whether the section is in the first person.
    """

    records: list[Record] = field(default_factory=list)
    own: Mapping[str, int] = field(default_factory=dict)
    lent: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[str, int] = field(default_factory=dict)
    direct: Mapping[str, int] = field(default_factory=dict)
    quoted: Mapping[str, int] = field(default_factory=dict)
    first_person: bool = False


@dataclass(frozen=True, slots=True)
class _Lent:
    """The context that one clause gives the next.

    Parameters:
        all: All its names.
        things: Its names without its verbs.
        subject: The names before its verb.
    """

    all: frozenset[str] = frozenset()
    things: frozenset[str] = frozenset()
    subject: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def records_of(section: Section, title: str) -> Records:
    """Split a section into records. Cached: parsing a section takes milliseconds.

    Parameters:
        section: The section.
        title: The document's title, the topic of every record.
    """
    found = _Collected()
    first_person = False
    quoted: dict[str, int] = {}
    above = f"{title} {section.id.replace('/', ' . ').replace('-', ' ')} {section.title}"
    headings = _named(above) | acronyms(above)
    entries = heading_verbs(section.id)
    before_line = _Lent()
    under: frozenset[str] = frozenset()  # The names of the paragraph above the items.
    over: dict[int, _Lent] = {}  # The context of nested items, by the depth of the item above.
    asked = section.title if _QUESTION.search(section.title) else ""
    for line in section.lines:
        if line.kind == "heading":
            quoted.setdefault(_key(line.text), line.number)
            found.add_heading(line, lent=headings)
            continue
        starts = [_ENUMERATED.sub("", sentence) for sentence in _sentences(line.text)]
        told = [*_answers(asked, starts), *(_cells(line) or _fragments(line, _unanswered(starts)))]
        stands_in = line.kind == "item" and bool(starts) and bool(_keys(starts[0]) & _THEM)
        lending = before_line if starts and (stands_in or _leans(starts[0])) else _Lent()
        of_row = _named(line.cells[0][0]) if line.cells else frozenset[str]()
        if line.kind != "item":
            under = _entry(line, starts)
        labelled = _label(line)
        if line.kind == "item" and line.depth:
            lending = _over(over, line.depth, lending)
        first: _Lent | None = None
        for sentence in told:
            pieces = [sentence] if line.cells else _timed(sentence)
            whole: list[Record] = []
            for spot, piece in enumerate(pieces):
                reading = read(piece)
                record = _record(line, piece, reading, pieces[spot + 1 :], len(found.records))
                if whole and whole[-1].negative and not record.negative:
                    lending = replace(lending, all=lending.things)  # not its denied verb
                context = headings | of_row | under
                context |= _borrowed(reading, piece, lending, new=spot == 0)
                if not line.cells and not _has_verb(read(_IN_BRACKETS.sub("", piece))):
                    context |= entries(piece, line.text)
                    context -= not_meant(line.text)
                own = _called(piece, reading) | ({"q:only:cell"} if line.cells else set())
                own |= labelled
                found.add(record, own=own, lent=context)
                whole.append(record)
                lending = _lends(piece, reading, lending)
                first = first or lending
            for name, bits in _beside(whole):
                found.beside[name] |= bits
        before_line = lending
        if line.kind == "item" and first is not None:
            over[line.depth] = first
        for start in range(len(starts)):
            for end in range(start + 1, len(starts) + 1):
                quoted.setdefault(_key(" ".join(starts[start:end])), line.number)
        quoted.setdefault(_key(line.text), line.number)
        first_person |= bool({"i", "my", "me"} & _opens(line.text, 40))
    return Records(
        found.records,
        dict(found.own),
        dict(found.lent),
        dict(found.beside),
        dict(found.direct),
        quoted,
        first_person,
    )


class _Collected:
    """The records of a section so far, by their names; see :class:`Records`."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.own: defaultdict[str, int] = defaultdict(int)
        self.lent: defaultdict[str, int] = defaultdict(int)
        self.beside: defaultdict[str, int] = defaultdict(int)
        self.direct: defaultdict[str, int] = defaultdict(int)

    def add_heading(self, line: Line, *, lent: Iterable[str]) -> None:
        """Add a heading that says something with a number, such as "Room 2"."""
        if numbers(_ORDINAL.sub("", line.text)) and not _QUESTION.search(line.text):
            record = _record(line, line.text, read(line.text), (), len(self.records))
            own = _called(line.text, record.reading) | _years(line.text)
            self.add(record, own=own, lent=lent)

    def add(self, record: Record, *, own: Iterable[str], lent: Iterable[str]) -> None:
        bit = 1 << record.order
        for of, names in ((self.own, own), (self.lent, lent), (self.direct, record.direct)):
            for name in names:
                of[name] |= bit
        self.records.append(record)


def _fragments(line: Line, starts: Sequence[str]) -> list[str]:
    """The sentences of a line; in an item, those without a verb go with the one before.

    "Two rolls, jam and a coffee. 6.50 euros." tells of one thing.
    """
    if line.kind != "item":
        return list(starts)
    told: list[str] = []
    verbless = False
    for sentence in starts:
        before, verbless = verbless, not _has_verb(read(sentence))
        if told and before and verbless and not _keys(sentence) & _ADDRESSING:
            told[-1] = f"{told[-1].rstrip('.')}, {sentence}"
        else:
            told.append(sentence)
    return told


def _label(line: Line) -> frozenset[str]:
    """The names of an item's label, which all its sentences are about: "Drones: two parts"."""
    found = _LABEL.match(line.text) if line.kind == "item" else None
    if found is None or numbers(found["label"]):
        return frozenset()
    most = _WORDS_OF_A_LABEL if found["mark"] == ":" else _WORDS_OF_A_TITLE
    return _named(found["label"]) if len(found["label"].split()) <= most else frozenset()


def _entry(line: Line, starts: Sequence[str]) -> frozenset[str]:
    """The names of a paragraph that the items below belong to: "Translator, Lamotte, Brussels"."""
    if line.cells or len(starts) != 1 or _has_verb(read(starts[0])):
        return frozenset()
    return frozenset(name for name in _named(starts[0]) if name[:2] not in ("q:", "m:", "c:"))


def _timed(sentence: str) -> list[str]:
    """The clauses of a sentence, each with the time that it begins with: "15:00 - Coffee"."""
    text = spelled(sentence)
    found = _TIME_LABEL.match(text)
    if found is None:
        return _clauses(sentence)
    return [f"{found[1]}, {piece}" for piece in _clauses(text[found.end() :])]


def _cells(line: Line) -> list[str]:
    """A row, with each cell that says no in a sentence of its own; empty for other lines."""
    if not line.cells:
        return []
    (_, label), *cells = line.cells
    denying = [at for at, (_, cell) in enumerate(cells) if _SAYING_NO.search(cell)]
    parts = [_cell(head, cell) for head, cell in cells]
    kept = [part for at, part in enumerate(parts) if at not in denying and cells[at][1]]
    if not denying:
        return ["; ".join([label, *kept])]
    return [
        *(["; ".join([label, *kept])] if kept else []),
        *(f"{label}; {parts[at]}" for at in denying),
    ]


def _cell(head: str, cell: str) -> str:
    """A cell with its head, in one piece: what punctuation divides in it belongs to one row."""
    if not _SAYING_NO.search(cell):
        cell = _DIVIDING.sub(", ", cell)
    if head in _SIGNS:
        return f"Price: {head}{cell}" if cell[:1].isdigit() else f"Price: {cell}"
    return f"{head}: {cell}"


def _beside(whole: Sequence[Record]) -> Iterator[tuple[str, int]]:
    """Names in the clauses of one sentence, each with another clause that may be read with it."""
    for record in whole:
        for other in whole:
            last = max(record, other, key=lambda candidate: candidate.order)
            counted = last.reading.words[:1] and last.reading.words[0].kind == "measure"
            subject = counted or any(c.subject for c in last.reading.clauses)
            free = any(token.key == "free" for token in last.reading.tokens)
            apart = subject and (free or _has_verb(last.reading))
            apart = apart or _is_order(last.reading)
            apart = apart or (_counts(record.reading) and _counts(other.reading))
            apart = apart or record.line.text.count("(") > 1  # English (fluent), German (good)
            if other is not record and other.negative == record.negative and not apart:
                for name in _named(spelled(other.reading.text)):
                    if not name.startswith(("#", "q:", "m:", "c:")):
                        yield name, 1 << record.order


def _leans(text: str) -> bool:
    opens = _opens(text)
    there_is = bool(_opens(text, 2) & frozenset(("is", "are", "was", "were"))) and "there" in opens
    return bool(opens & (_LEANS - _PERSONS)) and not there_is


def _over(over: Mapping[int, _Lent], depth: int, otherwise: _Lent) -> _Lent:
    """The context from the nearest item above the given depth."""
    above = [level for level in over if level < depth]
    return over[max(above)] if above else otherwise


def _answers(asked: str, said: Sequence[str]) -> list[str]:
    """Turn a heading that asks and a line that answers yes or no into a statement."""
    answered = _ANSWERED.match(said[0]) if asked and said else None
    if answered is None:
        return []
    plain = _QUESTION.sub("", asked)
    if answered[1].lower() == "no":
        return [f"not {plain}"]
    return [f"{plain} {said[0][answered.end() :]}".strip()]


def _unanswered(said: Sequence[str]) -> list[str]:
    """The sentences of a line without the yes or no that it opens with, which denies none of it."""
    if not said:
        return []
    rest = _YES_OR_NO.sub("", said[0])
    return [rest, *said[1:]] if any(map(str.isalnum, rest)) else list(said[1:])


def quote_key(text: str) -> str:
    """The key of a quotation: its words in lower case, without punctuation."""
    return _key(text)


def _key(text: str) -> str:
    return " ".join(token.text.lower() for token in tokens(text))


def _sentences(text: str) -> list[str]:
    return list(sentences(text))


def _clauses(sentence: str) -> list[str]:
    pieces: list[str] = []
    at = 0
    for match in _CUTS.finditer(sentence):
        piece = sentence[at : match.start()]
        if len(piece.split()) < _WORDS_OF_A_CLAUSE and not pieces:
            continue
        pieces.append(piece)
        at = match.end()
    pieces.append(sentence[at:])
    pieces = [part for piece in pieces for part in _conditions(piece)]
    pieces = [part for piece in pieces for part in _explained(piece)]
    pieces = _merged([part for piece in pieces for part in _refusals(piece)])
    pieces = [part for piece in pieces for part in _parallel(piece)]
    return [piece.strip() for piece in pieces if any(map(str.isalnum, piece))]


def _conditions(piece: str) -> list[str]:
    """Split a condition from what holds under it."""
    if _CONDITION.match(piece):
        before, comma, after = piece.partition(", ")
        return [before, after] if comma else [piece]
    return [piece]


def _explained(piece: str) -> list[str]:
    """Split what is denied from what its colon introduces: "No prams here: leave them outside"."""
    before, colon, after = piece.partition(": ")
    few = len(after.split()) < _LEAST_EXPLAINING
    if not colon or few or bool(_SAYING_NO.search(before)) == bool(_SAYING_NO.search(after)):
        return [piece]
    return [before, after] if _has_verb(read(before)) and _has_verb(read(after)) else [piece]


def _refusals(piece: str) -> list[str]:
    """Split a refusal from its purpose: "turned it down, to stay at Harvard"."""
    if any(clause.negative for clause in read(piece).clauses) and (match := _PURPOSE.search(piece)):
        return [piece[: match.start()], piece[match.end() - len(match[1]) :]]
    return [piece]


def _merged(pieces: Sequence[str]) -> list[str]:
    """Join clauses that merely continue the one before, if at most one of them has a date."""
    out: list[str] = []
    for piece in pieces:
        if out:
            here, there = read(out[-1]), read(piece)
            dated = all(map(_counts, (here, there))) and any(map(_dates, (here, there)))
            dated = dated or all(_MONEY & _keys(spelled(part)) for part in (out[-1], piece))
            denied = [any(c.denies for c in part.clauses) for part in (here, there)]
            first = there.clauses[0] if there.clauses else None
            goes_on = first is not None and (
                not _has_verb(there)
                or not first.subject
                or bool(_opens(piece) & _RELATIVE)
                or _APPOSITIVE.match(piece) is not None
            )
            bound = bool(_DENYING.match(piece)) or _CONDITION.match(out[-1]) is not None
            bound = bound or bool(_opens(piece) & _EXCEPTING)
            bound = bound or (_is_order(there) and _has_verb(here))
            if goes_on and not dated and denied[0] == denied[1] and not bound:
                out[-1] = f"{out[-1]}, {piece}"
                continue
        out.append(piece)
    return out


def _is_order(reading: Reading) -> bool:
    """Whether a clause tells somebody to do something: "bring a rain jacket"."""
    first = reading.tokens[0].text.lower() if reading.tokens else ""
    return first in _ORDERS


def _dates(reading: Reading) -> bool:
    """Whether a number of a clause counts nothing, so that another clause may not have it."""
    counted = {number for number, _ in pairs(reading)}
    return any(
        word.kind == "measure" and not word.found & counted for word in reading.words
    ) or any(token.key == "free" for token in reading.tokens)


def _counts(reading: Reading) -> bool:
    return any(word.kind == "measure" for word in reading.words) or any(
        token.key in ("one", "free") for token in reading.tokens
    )


def _parallel(piece: str) -> list[str]:
    """Split parallel facts: "books for four weeks, films for one"."""
    parts = piece.split(", ")
    out = parts[:1]
    for part in parts[1:]:
        here, there = read(out[-1]), read(part)
        if out[-1].endswith(")") and part.endswith((")", ").")):
            out.append(part)  # English (native), German (a little)
        elif (
            _counts(here)
            and _counts(there)
            and (there.words[0].kind != "measure" or (len(there.words) > 1 and there.words[1].verb))
            and (not there.words[0].preposition or _FOR_ANOTHER.match(part))
            and any(word.kind == "word" and word.key not in _MONEY for word in there.words)
            and ". " not in part
            and not re.match(r"(?:an?) ", part)
            and not (re.match(r"the ", part) and _has_verb(there) and not there.clauses[0].subject)
        ):
            out.append(part)
        else:
            out[-1] = f"{out[-1]}, {part}"
    return out


def _record(
    line: Line, piece: str, reading: Reading, following: Sequence[str], order: int
) -> Record:
    keys = [token.key for token in reading.tokens]
    direct = {stem(base) for key in keys for base in (key,)}
    direct.update(form for word in reading.words for form in word.found)
    negative = any(clause.denies for clause in reading.clauses) or bool(_DENYING.match(piece))
    if _NOT_DONE.search(piece) and sum(c.negative for c in reading.clauses) == 1:
        negative = False
    negative = negative or bool(line.cells and _EMPTY_CELL.search(piece))
    after = following[0].lower() if following else ""
    return Record(
        line=line,
        reading=reading,
        negative=negative,
        hedged=bool(_HEDGED.search(piece.lower())),
        only="only" in keys or "unless" in keys,
        exception=after.startswith(("except", "unless", "but not"))
        or any(clause.exception for clause in reading.clauses),
        direct=frozenset(direct),
        lacking=frozenset(
            form for word in reading.words if word.without for form in word.found.union(*word.needs)
        ),
        pairs=tuple(pairs(reading)),
        order=order,
    )


def pairs(reading: Reading) -> Iterator[tuple[str, frozenset[str]]]:
    """Numbers that count something, each with the stems of that; "a" means one."""
    words = reading.words
    for word in words:
        before = reading.tokens[word.at - 1].text.lower() if word.at else ""
        if before in ("a", "an", "one") and word.kind == "word" and not word.verb:
            yield "#1", word.found
    for word, following in itertools.pairwise(words):
        after = reading.tokens[word.at + 1].key if word.at + 1 < len(reading.tokens) else ""
        if (
            word.kind == "measure"
            and after not in _SPANS_OF_TIME  # fifteen years of field work
            and following.kind == "word"
            and word.clause == following.clause
            and not (following.verb and not following.text.lower().endswith("ing"))
            and following.at - word.at <= _NEXT_TO
        ):
            thing = following.found
            if not following.verb and (head := _head_of(words, following)) is not None:
                thing |= head.found  # two hotel nights: nights, too
            for found in word.found:
                yield found, thing
        if word.kind == "measure" and "-" in word.text:  # a two-hour course
            for found in word.found:
                yield found, frozenset((BOUND, *word.text.lower().split("-")))


def _weeks(measured: set[str], keys: set[str]) -> set[str]:
    """A week as days and a fortnight as weeks, and the reverse."""
    found: set[str] = set()
    if _DAYS_OF_A_WEEK in measured and keys & {"day", "days"}:
        found |= {"week", "weekli"}
    if keys & {"week"}:
        found |= {f"#{_DAYS_OF_A_WEEK}", "day"}
    if keys & {"fortnight"}:
        found |= {"#2", f"#{_DAYS_OF_A_FORTNIGHT}", "week", "day"}
    if ("2" in measured and keys & {"week", "weeks"}) or _DAYS_OF_A_FORTNIGHT in measured:
        found |= {"fortnight"}
    return found


def _head_of(words: Sequence[Word], word: Word) -> Word | None:
    """The word that a noun stands right before, if both name one thing."""
    return next(
        (
            other
            for other in words
            if other.at == word.at + 1
            and other.kind == "word"
            and other.clause == word.clause
            and other.preposition == word.preposition
            and not other.verb
        ),
        None,
    )


def _called(piece: str, reading: Reading) -> set[str]:
    """All names of a clause's own words."""
    found = {*_named(spelled(piece)), *acronyms(piece)}
    for word in reading.words:
        if word.kind != "word":
            found |= word.found
        if word.kind == "quantity" and any(form.startswith("q:most:") for form in word.found):
            found.update(f"q:most:{form}" for form in implied(word.key))
        if word.kind == "measure":
            found |= _wider(word)
    found.update(f"#{number}" for number in numbers(spelled(piece)))
    measured = {word.key for word in reading.words if word.kind == "measure"}
    keys = {token.key for token in reading.tokens}
    found |= _weeks(measured, keys)
    if _EACH.search(piece):
        found |= {"q:each", "q:all:time"}
    if "q:all" in found:
        found |= {"q:all:thing", "q:all:one", "q:all:time"}
    elif found & {"q:all:thing", "q:all:one"}:
        found |= {"q:all"}
    found |= times_called(spelled(piece))
    found |= _paid(piece, keys)
    if days := sum(day in keys for day in DAYS):
        found |= {f"#{days}"} | ({"q:twice"} if days == 2 else set())
    if _TELEPHONE.search(piece):
        found |= _CALLED
    if _MAILBOX.search(piece):
        found |= _WRITTEN
    found |= _seasons(reading) | _happening(piece, reading)
    if months_of(reading) in ([11], [12]):
        found |= {"end", "late"}
    if months_of(reading) in ([1], [2]):
        found |= {stem("beginning"), stem("begin"), stem("early"), "start"}
    if "once" in keys:
        found |= {"q:first"}
    if _LOWER_BOUND.search(piece):
        found |= _LEAST
    if _UPPER_BOUND.search(piece):
        found |= _MOST
    lowered = piece.lower()
    for phrase, minutes in (("half past", "30"), ("quarter past", "15"), ("quarter to", "45")):
        if phrase in lowered:
            found.add(f"#{minutes}")
    found |= _spanned(piece, reading, keys)
    if _FLUENT.search(piece):
        found |= {stem("fluent")}
    if "twice" in keys:
        found |= {"#2"}
    if keys & {"one", "once"}:
        found |= {"singl", "#1"}
    for token in reading.tokens:
        if is_superlative(low := token.text.lower()):
            found.update(stem(base) for base in bases(low)[1:])  # the largest reef is large
    return found


def _spanned(piece: str, reading: Reading, keys: set[str]) -> set[str]:
    """What lies in the spans of a clause: the years of "from 1931 to 1941", the B of "A to C"."""
    years_named = [int(word.key) for word in reading.words if word.kind == "measure"
                   and len(word.key) == 4 and word.key.isdigit()]  # fmt: skip
    found: set[str] = set()
    if len(years_named) == 2 and {"from", "between"} & keys:
        found.add(f"#{years_named[1] - years_named[0]}")
    for span in _LETTERS.finditer(piece):
        first, last = (ord(letter.lower()) for letter in span.groups())
        found.update(f"#={chr(at)}" for at in range(first, last + 1))
    return found


def _paid(piece: str, keys: set[str]) -> set[str]:
    """What a clause tells of money: that it is paid, and cents as well as a part of a euro."""
    found = {*_PAID, "q:only:cell"} if keys & _MONEY else set()
    for small in _SMALL_SUM.finditer(spelled(piece)):
        found |= {f"#{int(small[1])}", *_SMALL_MONEY}
    return found


def _happening(piece: str, reading: Reading) -> set[str]:
    """What happens at a time, or with somebody, of which a clause without a verb tells."""
    found: set[str] = set()
    if _PRIZE.search(piece) and not _has_verb(reading) and not not_meant(piece):
        found |= _WINNING
    if any(verb.at for verb in reading.words if verb.verb) and _has_verb(reading):
        return found
    text = spelled(piece)
    if _CLOCK.search(text):
        found |= _STARTING
        if _VEHICLE.search(text):
            found |= _LEAVING
        if {day for day in DAYS if day in _keys(text)} and _OPEN_FROM.search(text):
            found |= {"open"}
    if _WITH_SOMEBODY.search(piece):
        found |= _GIVING
    return found


def months_of(reading: Reading) -> list[int]:
    """The months of a clause, 1 to 12, those within a span included."""
    named = [int(form[2:]) for word in reading.words for form in word.found if form[:2] == "m:"]
    if len(named) == 2 and {"to", "until", "till"} & {token.key for token in reading.tokens}:
        first, last = named
        return [(first + after - 1) % 12 + 1 for after in range((last - first) % 12 + 1)]
    return named


def _seasons(reading: Reading) -> set[str]:
    """The seasons of the months of a clause, and Christmas."""
    named = months_of(reading)
    if not named or len(named) > _LONGEST_SEASON:
        return set()
    found = {
        stem(name)
        for names, months in _SEASONS.items()
        for name in names.split()
        if months <= set(named) or (len(named) == 1 and named[0] in months)
    }
    days = {word.key for word in reading.words if word.kind == "measure"}
    return found | ({stem("christmas")} if 12 in named and days & {"24", "25", "26"} else set())


def _years(heading: str) -> set[str]:
    """How long a span of years in a heading is, and what began and ended there."""
    span = _SPAN.search(heading)
    if span is None:
        return set()
    found = {*_WORKED, *implied("join"), *implied("begin"), *implied("start")}
    if span[2].isdigit():
        found |= {f"#{int(span[2]) - int(span[1])}", "year", *implied("leave")}
    return found


def _wider(word: Word) -> set[str]:
    """The decade and century of a year."""
    value = word.key.rstrip("s")
    if not (len(value) == 4 and value.isdigit()):
        return set()
    return {
        f"#{value[:3]}0s",
        f"#{value[2]}0s",
        f"c:{int(value[:2]) + 1}",
    }


_LONG_ENOUGH = 5  # letters of a name that may be a country's, as of its people
# Words for which WordNet has far too many substitutes.
_SAYING_NOTHING = frozenset(spaced("go goes went gone going get gets got come comes came put set"))


_COMING = frozenset(spaced("come comes came coming"))
_ARRIVING = frozenset(("arriv",))


@lru_cache(maxsize=16384)
def _named(text: str) -> frozenset[str]:
    """All names of the words of a text: keys, stems, and what they may become."""
    found: set[str] = set()
    keys: list[str] = []
    for token in tokens(text):
        keys.append(token.key)
        for part in token_keys(token):
            found.add(part)
            found.add(stem(part))
            if part not in _SAYING_NOTHING and not is_superlative(token.text.lower()):
                found |= implied(part)
            elif part in _COMING:
                found |= _ARRIVING
        if len(token.key) >= _LONG_ENOUGH and token.capital:
            found.update(token.key + ending for ending in DEMONYM_ENDINGS)
            found.update(stem(token.key + ending) for ending in DEMONYM_ENDINGS)
            for ending in DEMONYM_ENDINGS:
                if token.key.endswith(ending) and len(token.key) - len(ending) >= _LONG_ENOUGH - 1:
                    found.add(token.key.removesuffix(ending))
    lowered = f" {' '.join(keys)} "
    for group in SAME_CLAIM:
        if any(f" {form} " in lowered for form in group):
            found.update(stem(word) for form in group for word in form.split())
            found.update(word for form in group for word in form.split())
    for at, length, meaning in phrases(keys):
        found |= implied(meaning)
        found |= implied("_".join(keys[at : at + length]))
    return frozenset(found)


def _opens(text: str, count: int = 1) -> set[str]:
    return {token.key for token in tokens(text)[:count]}


def _keys(text: str) -> set[str]:
    return {token.key for token in tokens(text)}


def _borrowed(reading: Reading, piece: str, lending: _Lent, *, new: bool) -> frozenset[str]:
    """The part of the previous clause's context that applies to a clause.

    A fragment gets all of it; "which", "she" and "the parcel" get its topic; a verb without a
    subject gets its subject; a clause with a subject of its own gets nothing.
    """
    opens = _opens(piece)
    if not new and _NOTED.fullmatch(piece):
        return frozenset()  # English (fluent), German (good)
    described = new and _DESCRIBED.search(piece) is not None and not reading.auxiliary
    if not _has_verb(reading) or (not new and _is_participle(reading)) or described:
        return lending.all
    first = reading.words[0] if reading.words else None
    if (
        first is not None
        and opens & {"and", "or"}
        and first.at == 1
        and first.kind == "word"
        and not (first.verb or new)
    ):
        return lending.subject  # and bread if it begins with N to Z
    if _THEM & _keys(piece):
        return lending.things
    if new and opens & _PERSONS:
        return lending.subject
    if opens & _RELATIVE or (not new and _APPOSITIVE.match(piece)):
        return lending.all
    last = reading.words[-1] if reading.words else None
    if not new and last is not None and last.kind == "measure" and not last.preposition:
        return lending.things  # the night shift has two
    if new and opens & _GOING_ON:
        return lending.subject
    if _opens(piece, 2) & {"is", "are", "was", "were"} and "there" in opens:
        return frozenset()  # "There is a hall" introduces a new topic.
    if opens & (_LEANS - _PERSONS if new else _LEANS) or (new and "the" in opens):
        subject = next((c.subject for c in reading.clauses), False)
        conjunction = bool(opens & {"and", "or", "but"})
        if conjunction and not subject:
            return lending.subject
        return frozenset() if conjunction and not _pronoun_second(piece) else lending.things
    return frozenset() if new or _is_order(reading) else lending.subject


def _is_participle(reading: Reading) -> bool:
    """Whether a clause begins with a participle: "…, 2018, translated into seven languages"."""
    first = reading.tokens[0].text.lower() if reading.tokens else ""
    return is_past(first) and not any(clause.subject for clause in reading.clauses[:1])


def _pronoun_second(piece: str) -> bool:
    return bool({token.key for token in tokens(piece)[1:3]} & (PRONOUNS | _PERSONS))


def _has_verb(reading: Reading) -> bool:
    return reading.auxiliary or any(word.verb for word in reading.words)


def _lends(piece: str, reading: Reading, before: _Lent) -> _Lent:
    things: set[str] = set()
    subject: set[str] = set()
    verb = False
    for word in reading.words:
        if word.verb:
            verb = True
        elif word.kind == "word":
            named = _named(word.text)
            if word.preposition not in _PLACES:
                things |= named
            if not verb and not word.preposition:
                subject |= named
    all_ = frozenset(name for name in _named(piece) if not name.startswith(("#", "q:", "m:", "c:")))
    if not _has_verb(reading):
        all_ |= before.all
        things |= before.things
        subject |= before.subject
    if not subject:
        things |= before.subject
    return _Lent(all_, frozenset(things), frozenset(subject or before.subject))


__all__ = ["Record", "Records", "months_of", "pairs", "quote_key", "records_of"]
