"""Searches the records that answer a question, and estimates how likely the answer is right.

Candidates are found by words and meaning (:class:`knowledge.search.retrieval.Index` over the
statements), then rated by the cross-encoder; days, dates and times are compared in code.
:mod:`knowledge.search.gate` turns the evidence into a probability.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from knowledge.ages import age_rules, as_aged
from knowledge.claims import MONTHS, extract_claims, months, numbers, word_forms, years
from knowledge.contacts import EMAIL, TELEPHONE
from knowledge.loading.document import Document
from knowledge.moments import DAYS, Moments, as_written, fits, in_season, moments, seasons
from knowledge.records import Record, Statement, records
from knowledge.search.cross_encoder import CrossEncoder, cross_encoder
from knowledge.search.gate import Features
from knowledge.search.passage import Passage
from knowledge.search.query import GENERIC, Query, as_ruled, mentioned
from knowledge.search.retrieval import Hit, Index
from knowledge.search.shortfall import falls_short
from knowledge.search.token_match import Match
from knowledge.search.vector_cache import VectorCache
from knowledge.telling import is_nothing
from knowledge.words import STOPWORDS, stem, tokens

# Tuned by hand on the documents of evals/documents/develop; weights are relative to a cosine.
_CANDIDATES = 6  # statements that the cross-encoder rates
_IN_CONTEXT = 4  # those that it rates again together with the titles above
_READ = 0.06  # weight of its logit
_WHEN = 0.35  # bonus for the day, date or time asked for, penalty for another
_CELL = 0.2  # bonus for a row whose label and one of whose columns the question names
_OF_TOPIC = 0.12  # bonus for the sections that the previous turn was answered from
_LACKS = 0.5  # penalty for a statement that cannot answer, as Features.lacks
_WHOLE = 6  # words: shorter statements are rated only together with the titles above
_FRESH = 0.15  # bonus for the words that a follow-up adds: "And for taxi drivers?"


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that may answer the question, with the evidence for it.

    Parameters:
        record: The record.
        statement: Its statement that answers best.
        score: Findings are ranked by it.
        features: The input of the gate.
    """

    record: Record
    statement: Statement
    score: float
    features: Features


class Reader:
    """Searches a document's records. Thread-safe, since it does not change after construction.

    Parameters:
        document: The document.
        vectors: Cache of the vectors of its texts.

    Attributes:
        records: The records, in order.
        told: The statements that the index searches, in order, each with its record.
    """

    def __init__(self, document: Document, vectors: VectorCache | None = None) -> None:
        self.document = document
        self.records = records(document)
        self._model: CrossEncoder = cross_encoder()
        self.told = [
            (record, statement) for record in self.records for statement in record.statements
        ]
        self._age_rules = [rule for record in self.records for rule in age_rules(record.text)]
        self._seasons = {
            written: months
            for record in self.records
            for written, months in seasons(record.written).items()
        }
        self._times = frozenset(time for record in self.records for time in record.moments.times)
        found_in = [_passage(*statement, at) for at, statement in enumerate(self.told)]
        self.index = Index(document, found_in, vectors)

    def opening(self) -> Finding:
        """The first statement of the document."""
        return self._plain(0, 1.0)

    def findings(self, hits: Sequence[Hit]) -> tuple[Finding, ...]:
        """Turn passages of the index into findings, in their order, one per record."""
        found: dict[int, Finding] = {}
        for hit in hits:
            record = self.told[hit.passage.at][0]
            found.setdefault(record.at, self._plain(hit.passage.at, hit.score))
        return tuple(found.values())

    def _placed(self, at: int) -> str:
        """A statement after the titles above it, which name its topic."""
        record, statement = self.told[at]
        opening = record.of_somebody if self.document.about_person else ""
        context = record.context if record.section.level > 1 else self._titled(record)
        return f"{opening} {context}: {self.index.in_third_person(statement.text)}".strip()

    def _of_somebody(self, question: str) -> str:
        """A question about the subject as :meth:`_placed` has it, by the same pronoun."""
        if not self.document.about_person:
            return question
        (told,) = self.index.with_pronouns([question])
        return told

    def _titled(self, record: Record) -> str:
        """The context of a record before the first heading below the title."""
        return ", ".join(part for part in (self.document.title, record.context) if part)

    def _plain(self, at: int, score: float) -> Finding:
        record, statement = self.told[at]
        sure = Features(
            meaning=0.7,
            shared=1.0,
            read=8.0,
            fit=0.1,
            when=0.0,
            alien=0.0,
            lead=0.3,
            lead_in_meaning=0.2,
            lead_in_words=0.2,
            lead_in_read=5.0,
            match=Match(0.8, 0.8, 0.7),
            lead_in_match=0.1,
        )
        return Finding(record, statement, score, sure)

    def _asks_what_is_missing(self, query: Query) -> bool:
        """Whether a question is about what the document has no word for.

        By a name in a question to answer by yes or no ("Does it run on Haiku?"), or by what is
        asked for: "What's the toll?", "Who is the minister?", "Is there a restaurant?".
        """
        named = query.polar and not moments(query.text).any
        if named and self.index.unknown_names(query.text):
            return True
        if there := _IS_THERE.match(query.text):
            return self.index.is_alien(tokens(there[1])[-1].text)
        asked = _ASKED_FOR.match(query.text)
        if asked is None:
            return False
        words = [token.key for token in tokens(asked[1])]
        head = words[-1] if words else ""
        return bool(head) and not (self.index.knows(head) or stem(head) in GENERIC)

    def _lacks(self, record: Record, statement: Statement, query: Query) -> bool:
        if _empty(record, query.text):
            return True
        if falls_short(query, record, self.index.alike):
            return True
        if _WHO_HOLDS.match(query.text):
            return not self.index.named_stems(f"{statement.text} {record.about}")
        told = record.text
        counted = _HOW_MANY_THERE_ARE.search(query.text)
        if counted and not _counts_them(record, counted[1]):
            return True
        return any(asks.search(query.text) and not holds(told) for asks, holds in _QUANTITIES)

    def search(
        self,
        query: Query,
        *,
        topic: str = "",
        sections: Sequence[str] = (),
        when: Moments | None = None,
    ) -> tuple[Finding, ...]:
        """Search the records; at most one finding per record, the best first.

        Parameters:
            query: The question.
            topic: The previous question, if this one depends on it.
            sections: Ids of the sections that the previous turn was answered from.
            when: The days, dates and times asked for; by default those of the question.
        """
        text = as_aged(f"{topic} {query.text}".strip(), self._age_rules)
        asked = when if when is not None else moments(query.text)
        index = self.index
        read = as_ruled(in_season(as_written(text, self._times), self._seasons))
        meaning, shared, fit = index.similarity(read), index.shared(text), index.fit(query)
        timely = np.array(
            [fits(asked, record.moments) for record, _ in self.told], dtype=np.float32
        )
        named = index.named_stems(text)
        share = np.array(
            [len(named & record.says) / len(named) if named else 1.0 for record, _ in self.told],
            dtype=np.float32,
        )
        near = np.array(
            [_below(record.section.id, sections) for record, _ in self.told], dtype=np.float32
        )
        words = frozenset(stem(token.key) for token in tokens(text))
        cell = np.array([_names_cell(record, words) for record, _ in self.told], dtype=np.float32)
        base = meaning + 0.3 * shared + fit + _WHEN * timely - 0.25 * (1 - share)
        base += _OF_TOPIC * near + _CELL * cell
        if fresh := index.content(query.text) if sections else frozenset():
            base += _FRESH * np.array(
                [len(fresh & record.says) / len(fresh) for record, _ in self.told], dtype=np.float32
            )
        best = np.argsort(-base, kind="stable")[:_CANDIDATES]
        said = [index.in_third_person(self.told[at][1].text) for at in best]
        placed = [self._placed(int(at)) for at in best]
        alone = np.array(
            [-12.0 if len(text.split()) < _WHOLE else 12.0 for text in said], dtype=np.float32
        )
        logits = np.maximum(
            np.minimum(self._model.scores(read, said), alone),
            np.concatenate(
                [
                    self._model.scores(self._of_somebody(read), placed[:_IN_CONTEXT]),
                    np.full(max(0, len(said) - _IN_CONTEXT), -12.0, dtype=np.float32),
                ]
            ),
        )
        alien = index.alien(text)
        missing = self._asks_what_is_missing(query)
        lacks = [self._lacks(*self.told[int(at)], query) for at in best]
        scores = base[best] + _READ * logits - _LACKS * np.array(lacks, dtype=np.float32)
        found: dict[int, Finding] = {}
        order = sorted(range(len(best)), key=lambda spot: -scores[spot])
        for spot in order:
            at = int(best[spot])
            record, statement = self.told[at]
            if record.at in found:
                continue
            found[record.at] = Finding(
                record,
                statement,
                float(scores[spot]),
                Features(
                    meaning=float(meaning[at]),
                    shared=float(shared[at]),
                    read=float(logits[spot]),
                    fit=float(fit[at]),
                    when=float(timely[at]),
                    alien=alien,
                    lacks=missing or lacks[spot],
                    polar=query.polar,
                ),
            )
        return self._weighed(query, text, list(found.values()), follows=bool(topic or sections))

    def _weighed(
        self, query: Query, text: str, ranked: list[Finding], *, follows: bool
    ) -> tuple[Finding, ...]:
        """Add to the features of the best finding what only shows beside the others."""
        if not ranked:
            return ()
        first, *others = ranked
        rival = others[0].score if others else first.score - 0.5
        compared = [found.record for found in ranked[:_MATCHED]]
        matched = self.index.matches(
            text,
            [
                self.index.in_third_person(f"{record.context}: {record.text}".lstrip(": "))
                for record in compared
            ],
        )
        best, *rest = [match.all for match in matched]
        features = replace(
            first.features,
            lead=first.score - rival,
            match=matched[0],
            lead_in_match=best - max(rest) if rest else _LEAD_ALONE,
            follows=follows,
            kin=sum(first.record.group == other.record.group for other in others[: _MATCHED - 1])
            / (_MATCHED - 1),
            when_asked=bool(_WHEN_ASKED.search(query.text)),
            many_asked=bool(_MANY_ASKED.search(query.text)),
            there_asked=bool(_THERE_ASKED.search(query.text)),
        )
        return replace(first, features=_led(features, others)), *others


_MATCHED = 4  # findings that are compared word by word
_WHEN_ASKED = re.compile(r"\bwhen\b|\bwhat time\b", re.IGNORECASE)
_MANY_ASKED = re.compile(r"\bhow many\b", re.IGNORECASE)
_THERE_ASKED = re.compile(r"\b(?:is|are) there\b|\bdo you\b", re.IGNORECASE)
_LEAD_ALONE = 0.3  # of the only record that was found; ten times that of the logit


def _led(features: Features, others: Sequence[Finding]) -> Features:
    """Add how far the best record leads each of the signals by itself.

    Where words, meaning and the cross-encoder prefer different records, none of them may answer.
    """

    def lead(own: float, rivals: Sequence[float], alone: float) -> float:
        return own - max(rivals) if rivals else alone

    rivals = [other.features for other in others]
    return replace(
        features,
        lead_in_meaning=lead(features.meaning, [r.meaning for r in rivals], _LEAD_ALONE),
        lead_in_words=lead(features.shared, [r.shared for r in rivals], _LEAD_ALONE),
        lead_in_read=lead(features.read, [r.read for r in rivals], 10 * _LEAD_ALONE),
    )


def _empty(record: Record, asked: str) -> bool:
    """Whether a row has an empty cell in a column that the question names."""
    words = {stem(token.key) for token in tokens(asked)}
    named = [
        cell
        for head, cell in record.cells[1:]
        if (heads := {stem(token.key) for token in tokens(head)}) and heads <= words
    ]
    return bool(named) and all(is_nothing(cell) for cell in named)


_LITTLE = frozenset(map(stem, STOPWORDS))
_WHO_HOLDS = re.compile(
    r"^\W*(?:(?:and|so)\W+)?who(?:'s|\u2019s| is| are)\s+(?:the|your)\b(?!.*\bfor\W*$)",
    re.IGNORECASE,
)
_ASKED_FOR = re.compile(
    r"^\W*(?:(?:and|so)\W+)?(?:how much|what|who)(?:['\u2019]s| is| are) (?:the|your) "
    r"((?!(?:price|cost|fee|charge|licen[cs]e)s?\b)[a-z]+(?: [a-z]+)?)"
    r"(?= (?:for|of|on|in|at|to)\b|\W*$)",
    re.IGNORECASE,
)
_IS_THERE = re.compile(
    r"^\W*(?:(?:and|so)\W+)?(?:(?:is|are) there|do you (?:have|sell|offer|serve|accept|take)) "
    r"(?:an?|any)\s+([a-z-]+(?: [a-z-]+)?)(?= (?:for|of|on|in|at|to|with|near|from|by)\b|\W*$)",
    re.IGNORECASE,
)
_HOW_LONG = re.compile(r"\bhow long\b(?! (?:is|was|are|were) )", re.IGNORECASE)
_LENGTH = re.compile(
    r"\b(?:seconds?|minutes?|hours?|days?|nights?|weeks?|weekend|months?|years?|decades?|seasons?|"
    r"terms?|lifetime|until|till|since|always|characters?|words?|pages?|"
    r"(?:1\d|20)\d\d|\d{1,2}[:.]\d\d)\b|\d\s?(?:mm|cm|m|km|h|min|s)\b",
    re.IGNORECASE,
)


_HOW_MANY_THERE_ARE = re.compile(
    r"\bhow many (?:\w+ )??(\w+) (?:are there|do (?:you|they|we) have|does (?:\w+ ){1,3}have|"
    r"in all|in total)\b",
    re.IGNORECASE,
)
_BESIDE = 3  # words from a number to what it counts: "80 free parking places"
_CONDITION = re.compile(r"\b(?:when|if|unless|once|whenever)\b[^,.;:]*", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\b(?:no|none|once|twice|single|both|dozens?|half|each|every|any|all|un?limited|several|many|"
    r"few|only|pair|couple|an?)\b",
    re.IGNORECASE,
)


def _counts(text: str) -> bool:
    return bool(numbers(text) or _AMOUNT.search(text))


def _counts_them(record: Record, what: str) -> bool:
    """Whether a record says how many there are of something: a number stands beside its name.

    A number in a condition counts nothing: "a quorum when 25 members are present".
    """
    noun = stem(what.lower())
    if any(stem(token.key) == noun for head, _ in record.cells for token in tokens(head)):
        return True
    words = tokens(_CONDITION.sub("", record.text))
    counted = [at for at, token in enumerate(words) if numbers(token.text)]
    named = [at for at, token in enumerate(words) if stem(token.key) == noun]
    return any(
        0 < at - spot <= _BESIDE
        and not {token.key for token in words[spot:at]} & {"of", "each", "every", "per", "a", "an"}
        for at in named
        for spot in counted
    ) or any(
        words[at + 1].key in ("is", "are") and at + 2 in counted
        for at in named
        if at + 2 < len(words)
    )


_QUANTITIES: tuple[tuple[re.Pattern[str], Callable[[str], object]], ...] = (
    (_HOW_LONG, _LENGTH.search),
    (
        re.compile(r"\b(?:tele)?phone number|\bmobile number|\bnumber to (?:call|ring)\b", re.I),
        TELEPHONE.search,
    ),
    (re.compile(r"\be-?mail address\b", re.IGNORECASE), EMAIL.search),
    (
        re.compile(
            r"\bhow much (?:money|is|are|does|do|was|were|would|will)\b"
            r"|\bwhat (?:do|does|did|would|will) .*\b(?:costs?|charge|pay|earn)\b",
            re.IGNORECASE,
        ),
        re.compile(
            r"[€£$¥%]|\b\d+[.,]\d\d\b|\b(?:euros?|pounds?|dollars?|francs?|kroner|cents?|eur|usd|gbp|"
            r"chf|crowns?|per cent|free|included?|includes|(?:costs?|pays?|for) nothing|gratis|"
            r"donation|price|costs?|fees?|rent|charged?|pay|paid|half|double|third|quarter|fines?|tokens?)\b",
            re.IGNORECASE,
        ).search,
    ),
    (
        re.compile(r"\bhow fast\b|\bwhat speed\b|\btop speed\b", re.IGNORECASE),
        re.compile(
            r"\d\s?(?:k?m/[hs]|kmh|mph|kn|[kmg]b(?:it)?/?s?|ms|s|min|h|hz)\b|\b(?:knots?|speed|"
            r"fast|quick(?:ly)?|slow(?:ly)?|walking|seconds?|minutes?|hours?|days?|weeks?)\b",
            re.IGNORECASE,
        ).search,
    ),
    (
        re.compile(r"\bhow (?:many|far|tall|high|deep|wide|heavy|old)\b(?! as)", re.IGNORECASE),
        _counts,
    ),
    (
        re.compile(r"\bhow (?:tall|high|deep|wide) (?:is|are|was)\b", re.IGNORECASE),
        re.compile(
            r"\d\s?(?:m|cm|mm|km|ft|metres?|meters?|feet|foot|centimet\w+|kilomet\w+|miles?|inch(?:es)?|"
            r"stor(?:eys?|ies)|floors?)\b(?!/)",
            re.IGNORECASE,
        ).search,
    ),
    (
        re.compile(
            r"\bwhere (?:can|do|could|should) (?:i|we|you|one) (?:buy|hire|rent|get)\b", re.I
        ),
        re.compile(
            r"\b(?:sold|sells?|buy|bought|shops?|stores?|hired?|hires|rent(?:al|als|ed|s)?|available|"
            r"counter|office|desk|kiosk|station|online|website|collect(?:ed)?|pick(?:ed)? up|"
            r"(?:from|at) (?:the|our|any|every|all|an?))\b",
            re.IGNORECASE,
        ).search,
    ),
    (
        re.compile(
            r"^\W*(?:(?:and|so)\W+)?when(?:['\u2019]s| is| are| was| were| do| does| did| will)\b",
            re.I,
        ),
        re.compile(
            r"\d[:.]\d\d\b|\d\s?[ap]\.?m\b|\b(?:1\d|20)\d\d\b|\bat \d|"
            rf"\b(?:(?:{'|'.join(DAYS)})s?|{'|'.join(MONTHS)}|noon|midnight|sunset|sunrise|dawn|dusk|"
            r"mornings?|evenings?|afternoons?|nights?|daily|weekly|monthly|yearly|annually|hours?|"
            r"days?|weeks?|weekends?|months?|years?|quarters?|seasons?|spring|summer|autumn|winter|"
            r"easter|christmas|when|whenever|if|unless|before|after|until|till|by|once|soon|now|"
            r"today|tomorrow|always|never|while|during|since|as|in \w+ weather|open|closed)\b",
            re.IGNORECASE,
        ).search,
    ),
)
"""Patterns of questions, each with what tells whether a text can answer them."""


def _names_cell(record: Record, words: frozenset[str]) -> bool:
    """Whether a question names the topic of a row and one of its columns."""
    if not record.cells:
        return False
    about = {stem(token.key) for token in tokens(record.about)} - _LITTLE
    return bool(about & words) and any(
        bool(heads := {stem(token.key) for token in tokens(head)}) and heads <= words
        for head, _ in record.cells[1:]
    )


def _below(id: str, sections: Sequence[str]) -> bool:
    return any(id == section or id.startswith(f"{section}/") for section in sections)


def _passage(record: Record, statement: Statement, at: int) -> Passage:
    line = statement.line
    questions = line.questions
    title = record.section.title
    if title.endswith("?") and line.number <= record.section.lines[0].number + 3:
        questions = (*questions, title)
    if record.path and (label := record.path[-1].lower()) in ("when", "where", "who", "what"):
        questions = (*questions, f"{label} is it?")
    text = statement.text
    return Passage(
        at=at,
        text=text,
        line=replace(line, questions=questions),
        section=record.section,
        years=years(text) or record.years,
        months=months(text),
        names=frozenset(claim.value for claim in extract_claims(text) if claim.kind == "name"),
        numbers=mentioned(text),
        path=" ".join(record.path),
        says=record.says | word_forms(text),
    )
