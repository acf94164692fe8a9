"""Composes the answer from what the search found: a few whole sentences with their sections.

Most answers are the best record in its own words. Some combine several records: counts, lists, the
first or the cheapest, what came before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from knowledge.amounts import amounts
from knowledge.claims import MONTHS, numbers
from knowledge.contacts import reaches
from knowledge.records import Record
from knowledge.search.query import GENERIC, Query
from knowledge.search.reader import Finding, Reader
from knowledge.search.totals import total
from knowledge.telling import fluent, is_clause, is_none, labelled, listed, sentence
from knowledge.words import STOPWORDS, content_stems, sentences, spaced, stem, tokens

_MOST_WORDS = 40  # about fifteen seconds of speech
_MOST_SENTENCES = 3
# A finding whose score is this close to the best is added if there is room. On the 606 questions of
# evals/documents/develop, 0.06 and 0.2 give the same figures within one question.
_CLOSE = 0.12
_MOST_LISTED = 8

_KIND_OF = re.compile(
    r"\b(?:what|which|how many)(?: (?:different|other|of|the|your|all))*"
    r"(?: (?:kinds?|sorts?|types?|number) of)? ([\w-]+(?: [\w-]+)?)"
)
_PLURAL = re.compile(r"\bhow many (?:[\w-]*[^su\W]s|people|children|men|women)\b")
_NUMBER_WORDS = spaced(
    "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_NOW = re.compile(
    r"\b(?:now|currently|current|at the moment|these days|today|nowadays|present)\b"
    r"|\bwhat(?:'s| is) (?:his|her|their|your) (?:job|job title|position|role|profession|title)\b"
    r"|\bwho does \w+ work for\b|\bwhere does (?:\w+ ){1,2}work\b"
    r"|\b(?:which|what) (?:company|firm|employer) does \w+ work (?:for|at)\b"
)
_ONGOING = re.compile(r"\b(?:present|now|today|current|since|works? at|ongoing)\b", re.IGNORECASE)
_WEIGHT = re.compile(r"(\d[\d.,]*)\s?(kg|g|grams?|kilos?|kilograms?|t|tons?)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d{1,2})[:.](\d{2})\b")
_YEAR = re.compile(r"\b((?:1\d|20)\d\d)\b")
_WORK = re.compile(r"work|experience|employment|professional|career|beruf")
# A current job in a sentence: "Since January 2021 I lead the acoustics group".
_LEADS = re.compile(
    r"\bsince\b.*\b(?:I|he|she)(?:['\u2019]m| am| is| have been| has been)? "
    r"(?:leads?|works?|working|runs?|manages?|heads?|teach(?:es)?|an?|the|responsible)\b",
    re.IGNORECASE,
)
_ANY = re.compile(r"(\d[\d,]*(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Parameters:
        text: The sentences to speak.
        sections: Ids of the sections that support it, the best first.
    """

    text: str
    sections: tuple[str, ...]


def compose(query: Query, findings: Sequence[Finding], *, several: bool) -> Said:
    """The best finding in its own words, and what belongs to it, within the longest answer."""
    best = findings[0]
    chosen = _within(best)
    words = sum(len(text.split()) for text in chosen)
    used = [best.record]
    margin = 2 * _CLOSE if several else _CLOSE
    for finding in findings[1:4]:
        if finding.score < best.score - margin or len(chosen) >= _MOST_SENTENCES:
            break
        alike = finding.record.section == best.record.section or several
        text = finding.statement.text
        if not alike or text in chosen or _sentences([*chosen, text]) > _MOST_SENTENCES:
            continue
        if words + len(text.split()) > _MOST_WORDS:
            continue
        chosen.append(text)
        words += len(text.split())
        used.append(finding.record)
    return Said(" ".join(chosen), _sections(used))


def each_in_turn(records: Sequence[Record]) -> Said | None:
    """The statements of several records; ``None`` if they exceed the longest answer."""
    texts = [record.statements[0].text for record in records]
    if len(texts) > _MOST_SENTENCES or sum(len(text.split()) for text in texts) > _MOST_WORDS:
        return None
    return Said(" ".join(texts), _sections(records))


def put_together(reader: Reader, query: Query, findings: Sequence[Finding]) -> Said | None:
    """An answer that no single record has: a count, a list, the first or the cheapest."""
    flat = " ".join(token.text.lower() for token in tokens(query.text))
    for answered in (_now, _job_before, _based):
        if (found := answered(reader, flat)) is not None:
            return found
    if (added := total(reader, query.text)) is not None:
        return Said(" ".join(added[0]), _sections(added[1]))
    if "how many" in flat and "number" in query.wants:
        return _count(reader, query, flat, findings)
    if (found := _extreme(reader, flat, findings)) is not None:
        return found
    if (found := _without(reader, flat)) is not None:
        return found
    if (found := _contact(reader, query.text)) is not None:
        return found
    if (found := _address(reader, query.text)) is not None:
        return found
    if not re.match(r"(?:and |so |okay )*(?:what|which)\b", flat):
        return None
    return _list(reader, flat) or _under_heading(reader, query, findings)


def _within(finding: Finding) -> list[str]:
    """The statements of a record to speak: all, or those around the one that answers."""
    record = finding.record
    texts = [statement.text for statement in record.statements]
    at = record.statements.index(finding.statement)
    short = sum(len(text.split()) for text in texts) <= _MOST_WORDS
    if short and _sentences(texts) <= _MOST_SENTENCES:
        return texts
    first = last = at
    words = len(texts[at].split())

    def fits(more: str) -> bool:
        within = [*texts[first : last + 1], more]
        return (
            (not at or is_clause(more) or _LEANING.match(more) is not None)
            and words + len(more.split()) <= _MOST_WORDS
            and _sentences(within) <= _MOST_SENTENCES
        )

    while True:
        if last + 1 < len(texts) and fits(texts[last + 1]):
            last += 1
            words += len(texts[last].split())
        elif first and fits(texts[first - 1]):
            first -= 1
            words += len(texts[first].split())
        else:
            return texts[first : last + 1]


# A sentence without a verb, such as "Two high chairs.", has nothing to do with the one before.
_LEANING = re.compile(r"(?:it|they|this|these|that|then|but|and|or|otherwise|for|with|in)\b", re.I)


def _sentences(texts: Sequence[str]) -> int:
    return sum(len(sentences(text)) for text in texts)


def _sections(used: Sequence[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.section.id for record in used))


def _nouns(flat: str) -> tuple[str, ...]:
    """Stems of the kind of thing asked for: ``which languages``, ``how many talks``."""
    match = _KIND_OF.search(flat)
    if not match:
        return ()
    words = [word for word in match[1].split() if word not in STOPWORDS]
    return tuple(stem(word) for word in words[:2])


def _groups(reader: Reader) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in reader.records:
        if record.kind in ("item", "row"):
            found.setdefault(record.group, []).append(record)
    return {group: of for group, of in found.items() if len(of) > 1}


def _titled(reader: Reader, nouns: Sequence[str]) -> list[Record]:
    """The items or rows under a heading that matches one of the nouns, if there is one."""
    for noun in nouns:
        for of in _groups(reader).values():
            above = [of[0].section.title, *(part for part in of[0].path[-1:])]
            for title in above:
                words = [stem(token.key) for token in tokens(title)]
                if words and noun in (words[-1], words[0]) and len(words) <= 3:
                    return of
    return []


def _spells(reader: Reader, nouns: Sequence[str]) -> list[Record]:
    """The first records of the sections under a heading, such as the jobs under *Work*."""
    asks = {"job", "employ", "posit", "compani", "work"} & set(nouns)
    first: dict[str, Record] = {}
    for record in reader.records:
        top = record.section.id.split("/")
        named = stem(top[0].split("-")[-1]) in nouns or (asks and _WORK.match(top[0]))
        if len(top) > 1 and named:
            first.setdefault(record.section.id, record)
    return list(first.values())


def _count(reader: Reader, query: Query, flat: str, findings: Sequence[Finding]) -> Said | None:
    nouns = _nouns(flat)
    if nouns and _PLURAL.search(flat):
        nouns = nouns[:1]  # of "how many cows graze" the second word is not the kind
    named = reader.index.named_stems(query.text)
    of = _titled(reader, nouns) or _spells(reader, nouns)
    if named:
        rows = [
            record
            for record in reader.records
            if record.kind in ("item", "row")
            and named <= record.says
            and (any(noun in record.says for noun in nouns) or _is_session(record, nouns))
        ]
        of = (
            rows
            if len(rows) > 1
            else [record for record in of if named <= record.says]
            if of and len([r for r in of if named <= r.says]) > 1
            else []
        )
    if len(of) < 2:
        return None
    best = findings[0] if findings else None
    told = best is not None and best.record.kind != "list" and best.features.read > 0
    if best is not None and told and numbers(best.statement.text):
        return None
    number = _NUMBER_WORDS[len(of)] if len(of) < len(_NUMBER_WORDS) else str(len(of))
    return Said(sentence(f"There are {number}, namely {_named(of, 26)}"), _sections(of))


_SESSIONS = frozenset(map(stem, spaced("talk talks session sessions lecture lectures")))


def _is_session(record: Record, nouns: Sequence[str]) -> bool:
    """Whether a row is of a programme, whose rows are talks without saying so."""
    heads = {head.lower() for head, _ in record.cells}
    return bool(_SESSIONS & set(nouns)) and "speaker" in heads


def _list(reader: Reader, flat: str) -> Said | None:
    match = _KIND_OF.search(flat)
    nouns = _nouns(flat)
    if not match or not nouns:
        return None
    plural = match[1].split()[0].endswith("s") or "kind" in flat or "sort" in flat or "type" in flat
    rest = [
        word
        for token in tokens(flat[match.end() :])
        if (word := stem(token.key)) not in GENERIC
        and token.key not in STOPWORDS
        and word not in nouns
    ]
    of = _titled(reader, nouns[:1]) if plural and len(rest) <= 1 else []
    if len(of) < 2 or any(labelled(record.lines[0].text) and not record.cells for record in of):
        return None
    title = of[0].section.title
    return Said(sentence(f"Under {fluent(title)} there are {_named(of, 30)}"), _sections(of))


def _under_heading(reader: Reader, query: Query, findings: Sequence[Finding]) -> Said | None:
    """The list under a heading that is the question itself: "What should I bring?"."""
    if not findings or findings[0].record.kind != "item" or "cost" in query.text.lower():
        return None
    record = findings[0].record
    heading = record.path[-1] if record.path else record.section.title
    title = set(content_stems(heading))
    asked = set(content_stems(query.text))
    of = _groups(reader).get(record.group, [])
    if not title or not title <= asked or len(of) < 2 or heading == reader.document.title:
        return None
    if any((asked - title - GENERIC) & record.says for record in of):
        return None  # the question is about one of them
    if (said := each_in_turn(of)) is not None:
        return said
    return Said(sentence(f"Under {fluent(heading)} there are {_named(of, 30)}"), _sections(of))


def _named(of: Sequence[Record], words: int) -> str:
    """List the topics of records, as many as fit into the longest answer."""
    names = [fluent(record.about or record.section.title).rstrip(".,;:") for record in of]
    split = [name.split() for name in names]
    shared = list(takewhile(lambda same: len(set(same)) == 1, zip(*split, strict=False)))
    kept: list[str] = []
    for full in names:
        name = " ".join(full.split()[len(shared) :]) or full
        if sum(len(earlier.split()) for earlier in kept) + len(name.split()) > words:
            break
        kept.append(name)
    said = listed(kept[:_MOST_LISTED])
    return said if len(kept) == len(of) <= _MOST_LISTED else f"{said}, and others"


def _now(reader: Reader, flat: str) -> Said | None:
    """A person's current job."""
    if not reader.document.about_person or not _NOW.search(flat):
        return None
    if not re.search(
        r"\b(?:work|works|working|job|position|role|profession|employer|employed|doing|title|do)\b",
        flat,
    ):
        return None
    if re.search(r"\b(?:since when|how long|when did)\b", flat):
        return None
    for record in reader.records:
        opening = record.statements[0].text
        at_work = _WORK.match(record.section.id) or _LEADS.search(opening)
        if (
            (record.years or "present" in opening)
            and _ONGOING.search(opening)
            and record.kind in ("text", "item")
            and at_work
        ):
            return Said(opening, (record.section.id,))
    return None


_BEFORE = re.compile(
    r"\bbefore (?:(?:she|he|they|\w+) (?:was|were|went|joined|worked|started|came|moved|became)"
    r"(?: (?:at|for|to|with|in|as|into))? )?(.+)$"
)
_WORKED = re.compile(
    r"\b(?:work|worked|job|employer|employed|do|doing|company|position|role|where)\b"
)


def _job_before(reader: Reader, flat: str) -> Said | None:
    """The job that a person had before one that the question names."""
    match = _BEFORE.search(flat) if reader.document.about_person else None
    if match is None or not _WORKED.search(flat[: match.start()]):
        return None
    named = frozenset(content_stems(match[1])) - GENERIC
    jobs: list[tuple[int, int, Record]] = []
    for record in reader.records:
        of_work = record.kind in ("text", "item") and _WORK.match(record.section.id)
        if of_work and _YEAR.search(record.statements[0].text):
            jobs.append((*_spell(record), record))
    anchors = [job for job in jobs if named and named <= job[2].says]
    if not anchors:
        anchors = [job for job in jobs if named & job[2].says]
    if len(anchors) != 1:
        return None
    begun = anchors[0][0]
    earlier = [job for job in jobs if job is not anchors[0] and job[1] <= begun]
    if not earlier:
        return None
    _, _, record = max(earlier, key=lambda job: (job[1], job[0]))
    return Said(record.statements[0].text, (record.section.id,))


def _spell(record: Record) -> tuple[int, int]:
    """The first and the last year of a job."""
    opening = record.statements[0].text
    found = [int(year) for year in _YEAR.findall(opening)]
    return min(found), 9999 if _ONGOING.search(opening) else max(found)


_BASED = re.compile(
    r"\bwhere(?:abouts)?(?: is| are|'s)? (?:she|he|they|[a-z]+) (?:based|located)\b"
    r"|\b(?:which|what) (?:city|town) (?:is|are) (?:she|he|they|[a-z]+) (?:based )?in\b"
)
_CITY = re.compile(
    r"\b(?:[A-Z][\w'\u2019.-]+ ){0,2}[A-Z][\w'\u2019.-]+, (?:the )?[A-Z][\w. -]{1,24}$"
)
_OPENING_LINES = 4


def _based(reader: Reader, flat: str) -> Said | None:
    """The town at the head of a CV: "Ghent, Belgium | leona@..."."""
    if not reader.document.about_person or not _BASED.search(flat):
        return None
    section = reader.document.sections[0]
    for line in section.lines[: _OPENING_LINES + 1]:
        for part in re.split(r"\s*[|\u00b7\u2022\u2014]\s*|(?<=[.)])\s+", line.text):
            city = _CITY.search(part.rstrip(". "))
            if line.kind != "heading" and city:
                return Said(f"The CV gives {city[0]}.", (section.id,))
    return None


_EXTREMES: tuple[tuple[str, str, str], ...] = (
    (
        "money",
        "most",
        r"most expensive|dearest|priciest|costs? (?:the )?most|highest (?:price|fee|fine)",
    ),
    ("money", "least", r"cheapest|least expensive|lowest price|costs? (?:the )?least"),
    ("weight", "most", r"heaviest|weighs? (?:the )?most"),
    ("weight", "least", r"lightest|weighs? (?:the )?least"),
    (
        "clock",
        "least",
        r"(?:first|earliest) (?:thing|event|talk|session|item|one)|earliest|begins? first",
    ),
    (
        "clock",
        "most",
        r"last (?:thing|event|talk|session|item|one)|latest (?:event|talk|session)|comes? last",
    ),
    ("year", "least", r"oldest|first job|earliest job|(?:very )?first (?:position|employer|post)"),
    ("year", "most", r"newest|most recent|latest|last job"),
    ("any", "most", r"biggest|largest|highest|longest|greatest"),
    ("any", "least", r"smallest|lowest|shortest"),
)


def _extreme(reader: Reader, flat: str, findings: Sequence[Finding]) -> Said | None:
    """The first, last or cheapest of the records of a group."""
    kind, most, named = "", False, ""
    for name, which, pattern in _EXTREMES:
        if match := re.search(rf"\b(?:{pattern})\b", flat):
            kind, most, named = name, which == "most", flat[match.end() :]
            break
    if not kind or not findings:
        return None
    groups = _groups(reader)
    nouns = {stem(token.key) for token in tokens(flat)}
    of: list[Record] = []
    if kind == "year" and reader.document.about_person and "job" in flat:
        of = [
            record
            for record in reader.records
            if record.years and record.kind == "text" and _WORK.match(record.section.id)
        ]
    if not of:
        wanted = next(
            (
                f
                for f in findings[:4]
                if f.features.when >= 0
                and sum(
                    _value(record, kind, nouns) is not None
                    for record in groups.get(f.record.group, ())
                )
                > 1
            ),
            None,
        )
        of = groups[wanted.record.group] if wanted else []
    if kind == "any" and not _says_of(of, named):
        return None
    valued = [
        (value, record) for record in of if (value := _value(record, kind, nouns)) is not None
    ]
    if len(valued) < 2:
        return None
    _, record = (max if most else min)(valued, key=lambda pair: pair[0])
    return Said(record.statements[0].text, (record.section.id,))


def _says_of(of: Sequence[Record], named: str) -> bool:
    """Whether records are about what a superlative is of: the "tree" of "the highest tree"."""
    words = [stem(token.key) for token in tokens(named)[:2] if token.key not in STOPWORDS]
    wanted = [word for word in words if word not in GENERIC]
    return not wanted or any(word in record.says for record in of for word in wanted)


_WITHOUT = re.compile(r"\b(?:without|with no|has no|have no|free of|no)\s+(?:an? |any |the )?(.+)$")


def _without(reader: Reader, flat: str) -> Said | None:
    """The rows that have nothing in a column: "Is there a plan without a minimum term?"."""
    if (match := _WITHOUT.search(flat)) is None:
        return None
    words = {stem(token.key) for token in tokens(match[1])}
    rows: list[Record] = []
    for of in _groups(reader).values():
        for record in of:
            for head, cell in record.cells[1:]:
                heads = {stem(token.key) for token in tokens(head)}
                if heads and heads <= words and is_none(cell):
                    rows.append(record)
    return each_in_turn(rows) if rows else None


_REACH = re.compile(
    r"\b(?:reach|contact|get hold of|call|phone|ring|write to|e-?mail) "
    r"(?:to )?(?:you|them|somebody|someone|anybody|anyone)\b|\bget in touch\b"
    r"|\b(?:what|which) number (?:do|can|should|must) (?:i|we) (?:ring|call|phone|dial)\b"
    r"|\b(?:your|the) (?:(?:tele)?phone number|e-?mail address|contact details)\W*$",
    re.IGNORECASE,
)
_WHEN_OR_WHY = re.compile(r"\b(?:when|why|what time|how (?:late|early|long|soon))\b", re.IGNORECASE)


def _contact(reader: Reader, asked: str) -> Said | None:
    """How to reach whom the document is of, if it says so in one place only."""
    if not _REACH.search(asked) or _WHEN_OR_WHY.search(asked):
        return None
    told = [(record, statement) for record, statement in reader.told if reaches(statement.text)]
    if len({record.section.id for record, _ in told}) != 1 or len(told) > _MOST_SENTENCES:
        return None
    return Said(" ".join(statement.text for _, statement in told), _sections([r for r, _ in told]))


_WHEREABOUTS = re.compile(
    r"\bwhat(?:'s|\u2019s| is) (?:your|the) address\b"
    r"|\bwhere(?:abouts)? are you(?: located| based)?\W*$"
    r"|\bwhere (?:can|do) (?:i|we) find you\b",
    re.IGNORECASE,
)
_ROAD = r"(?:Street|Road|Lane|Avenue|Square|Quay|Way|Row|Hill|Place|Terrace|Gate)"
_STREET = re.compile(
    rf"\b\d+[a-z]?,? (?:[A-Z][\w'\u2019-]+ ){{1,3}}(?:{_ROAD}|St\b|Rd\b)"
    rf"|\b(?:[A-Z][\w'\u2019-]+ ){{1,3}}{_ROAD} \d+\b"
    r"|\b[A-Z]\w+(?:stra(?:ss|\u00df)e|gasse|weg|platz|allee) \d+"
    r"|\b\d+,? (?:rue|avenue|place|quai) |\b(?:Calle|Via|Rua|Plaza|Piazza) [A-Z]\w+.{0,20}\d"
)


def _address(reader: Reader, asked: str) -> Said | None:
    """Where the place of a document is, if one statement has a street with its number."""
    if reader.document.about_person or not _WHEREABOUTS.search(asked):
        return None
    told = [
        (record, statement) for record, statement in reader.told if _STREET.search(statement.text)
    ]
    if len(told) != 1:
        return None
    return Said(told[0][1].text, (told[0][0].section.id,))


def _value(record: Record, kind: str, nouns: set[str]) -> float | None:
    cells = [cell for _, cell in record.cells[1:]] if record.cells else []
    asked = [cell for head, cell in record.cells[1:] if {stem(t.key) for t in tokens(head)} & nouns]
    texts = [*asked, *cells, *(cell for _, cell in record.cells[:1])] or [record.written]
    for text in texts:
        if kind == "money" and (sums := amounts(text)):
            return float(sums[0].value)
        if kind == "weight" and (match := _WEIGHT.search(text)):
            scale = {"k": 1000.0, "t": 1e6}.get(match[2][0].lower(), 1.0)
            return _number(match[1]) * scale
        if kind == "clock" and (match := _CLOCK.search(text)):
            return int(match[1]) * 60 + int(match[2])
        if kind == "year" and (found := _YEAR.findall(text)):
            return float(min(map(int, found)))
        if kind == "any" and (match := _ANY.search(text)):
            return _number(match[1])
    return None


def _number(text: str) -> float:
    text = text.rstrip(".,")
    if re.search(r",\d{1,2}$", text) and "." not in text:
        text = text.replace(",", ".")
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0


def without_moments(text: str) -> str:
    """Remove the day, date or time from a question, for one that asks about another."""
    days = "mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun"
    text = re.sub(rf"\b(?:on )?(?:{days})(?:days?)?\b", "", text, flags=re.IGNORECASE)
    months = "|".join(MONTHS)
    text = re.sub(
        rf"\b(?:on )?(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{months})\b",
        "",
        text,
        flags=re.I,
    )
    return " ".join(text.split())
