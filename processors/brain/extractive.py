"""The embedded brain: no language model, only the document's own sentences.

It finds the sentence that answers, says it as it stands, and hands over to a human when none does.
It cannot paraphrase, reason or count; in return it cannot invent, and costs milliseconds.
"""

import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from conversation.frames import Confidence, Exchange
from knowledge.ages import stated_age
from knowledge.check.sensitive import topic_of
from knowledge.check.support import unsupported_claims
from knowledge.loading.document import Document, SensitiveTopic
from knowledge.moments import moments
from knowledge.search.answer import Said, compose, each_in_turn, put_together, without_moments
from knowledge.search.clarification import CLARIFICATIONS, ON_WHICH_DAY, of_other_days
from knowledge.search.follow_up import (
    Before,
    heard_passages,
    holds_what,
    rank_adjacent,
    rank_follow_up,
)
from knowledge.search.gate import Features, probability
from knowledge.search.passage import Passage
from knowledge.search.query import (
    Query,
    asked_part,
    in_other_words,
    is_fragment,
    resumed,
)
from knowledge.search.reader import Finding, Reader
from knowledge.search.retrieval import Hit, Index, asked_share
from knowledge.search.semantic_topic_filter import SemanticTopicFilter
from knowledge.search.vector_cache import VectorCache
from processors.brain.contract import (
    ArgumentsDelta,
    BrainError,
    BrainEvent,
    Question,
    Tool,
    ToolStart,
)
from processors.brain.fixed_sentences import NOT_TALKED_ABOUT, NOT_UNDERSTOOD, not_found
from processors.brain.small_talk import courtesy, reply
from processors.pool import Pool

# All of these are on the scale of scores of knowledge.search.retrieval, and were chosen by hand.
# Minimum score of an answer, without and with authors' questions on the document's lines: with
# them, all passages score higher, also for questions that the document does not answer.
_ANSWERS, _ANSWERS_ASKED = 0.5, 0.81
_SURE, _FAIRLY_SURE = 0.23, 0.1  # above that
_LISTED = -0.17  # relative to it, for further items of a list that was asked for
_PERIOD = 0.2  # what it is lower by for a question that only names a period
_CLOSE = 0.06  # a second passage this close to the first is said too
_IN_LIST = 0.45  # further items of a list that was asked for
_MARGIN = 0.1  # a lead over the next section smaller than this costs confidence
_MOST_WORDS = 40  # spoken in about fifteen seconds
_FIRST_PIECE, _PIECE = 1, 6  # words a delta
_WAITING_AT_MOST = 64  # questions of all calls of a process
_LAST = 19  # the lowest priority of a thread
_WORKERS = min(4, os.cpu_count() or 1)  # questions decided at once

_ANNOTATED = 0.5
"""Share of lines with an author's questions from which those questions alone are searched."""
# Probabilities that an answer is right, by the fit of knowledge.search.gate.GATE: the minimum to
# answer at all, and those of medium and high confidence.
_LIKELY, _MEDIUM, _HIGH = 0.6, 0.8, 0.95
_MADE = 0.8  # of an answer that code put together from several records
_FOLLOWS = 0.15  # bonus of reading a question as a follow-up if it makes no sense alone
_FRAGMENT = 0.3  # the same, if it is no question of its own: "And in the harbour?"
_LEANS = re.compile(
    r"^\W*(?:and|but|so|what about|how about|then)\b"
    r"|\b(?:that|it|there|those|these|them|this|one)\b",
    re.IGNORECASE,
)

_BARE = re.compile(
    r"\W*(?:(?:and|so|okay|but)\W+)*(?:since when|until when|from when|when|what time|at what time|"
    r"which year|what year|how long|how much|where|in which city|with whom)"
    r"(?: (?:is|was|were|are) (?:that|it|this))?\W*",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"\b(say|tell me) (that|it|this)( part| bit)?( once| one)?( more time| again)\b|\brepeat\b|"
    r"^\W*(sorry |i beg your )?(pardon|come again|again please|what was that|sorry|what)\W*$|"
    r"\bdidn't (hear|catch|get) (that|it|you)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A decision, before it is streamed.

    Parameters:
        tool: Which tool is called.
        arguments: Its arguments, in the order in which they are streamed.
    """

    tool: Tool
    arguments: dict[str, str | list[str]]


class ExtractiveBrain:
    """Answers in the document's own sentences. Shared by all calls of a process.

    Parameters:
        index: The document's search index.
        reader: Finds and reads records; without one, answers are sentences of the index.
        vectors: The cache of the vectors of the document's texts.
    """

    def __init__(
        self, index: Index, reader: Reader | None = None, vectors: VectorCache | None = None
    ) -> None:
        self._index = index
        self._reader = reader
        self._document = index.document
        self._topic_filter = SemanticTopicFilter(index, vectors or VectorCache())
        self._enough = _ANSWERS + (_ANSWERS_ASKED - _ANSWERS) * index.asked_share
        self.pool = Pool(_WORKERS, "extractive")
        self._closed = threading.Event()

    @classmethod
    def load(
        cls, document: Document, cache: Path | None = None, *, stores: bool = True
    ) -> "ExtractiveBrain":
        """Index the document and load the model. Blocks for seconds.

        Args:
            document: The document.
            cache: Folder that stores its vectors for the next start; ``None`` to store nothing.
            stores: Whether that folder is written, too, and not only read.

        Raises:
            WeightsError: The embedding model is missing or damaged.
        """
        vectors = VectorCache(cache, document.sha256, stores=stores)
        if asked_share(document) >= _ANNOTATED:
            brain = cls(Index(document, vectors=vectors), vectors=vectors)
        else:
            reader = Reader(document, vectors)
            brain = cls(reader.index, reader, vectors)
        vectors.save()
        return brain

    def embed_in_background(self) -> None:
        """Embed the rest of a long document in a thread, behind all else that the machine does.

        It ends with :meth:`close`, or with the process.
        """
        main = threading.main_thread()

        def stopped() -> bool:
            return self._closed.is_set() or not main.is_alive()

        def embed() -> None:
            with suppress(OSError, AttributeError):  # not every system has it for threads
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LAST)
            self._index.embed_rest(stopped)

        threading.Thread(target=embed, name="vectors", daemon=False).start()

    @property
    def name(self) -> str:
        """``"extractive"``."""
        return "extractive"

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question.

        Raises:
            BrainError: Too many questions are waiting.
        """
        if self.pool.pending >= _WAITING_AT_MOST:
            raise BrainError(f"{_WAITING_AT_MOST} questions are waiting for the embedded brain")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.pool, self.reply, question)
        yield ToolStart(found.tool)
        for piece in _pieces(found.arguments):
            yield ArgumentsDelta(piece)

    def close(self) -> None:
        """Release the worker threads."""
        self._closed.set()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def reply(self, question: Question) -> Reply:
        """Decide a turn in this thread. Blocks for milliseconds, longer with a reader."""
        kind, rest = courtesy(question.text, persona=self._document.persona.name)
        if kind is not None and not rest:
            return _respond((), "high", reply(kind, self._document))
        text = rest or question.text
        before = _before(question.history)
        query = self._index.parse_query(asked_part(text))
        leans = query.elliptic and before is not None
        topic = topic_of(text, self._document) or self._topic_filter.topic_of(text)
        if topic is None and query.elliptic and question.history:
            topic = self._still_sensitive(query, question.history[-1])
        if topic is not None:
            return self._refuse(topic.refusal)
        if self._reader is not None:
            return self._read(self._reader, query, question, before)
        if before is not None and _AGAIN.search(text):
            return _in_words_of(heard_passages(self._index, before), "high")
        if self._index.is_subject(text) and not (leans and query.clauses):
            return _in_words_of(self._index.passages[:1], "high")
        asks = query.polar or query.clauses > 0
        if not self._index.content(text) and not leans and not (asks and len(_words(text)) > 2):
            return _escalate("unclear", NOT_UNDERSTOOD)
        if leans and before is not None:
            told = [exchange.answer for exchange in question.history]
            hits = rank_follow_up(self._index, query, before, told)
        else:
            hits = rank_adjacent(self._index, query) or self._index.search(query)
        return self._answer(query, hits)

    def found(self, text: str, history: Sequence[Exchange] = ()) -> tuple[str, ...]:
        """Return the texts of the three best records, for benchmarks and checks."""
        query = self._index.parse_query(text)
        if self._reader is None:
            return tuple(hit.passage.text for hit in self._index.search(query)[:3])
        findings = self._findings(self._reader, query, _before(history))
        return tuple(finding.record.text for finding in findings[:3])

    def best(self, text: str, history: Sequence[Exchange] = ()) -> tuple[Features, Said] | None:
        """Return the evidence for the best record and what it says, however unlikely it answers.

        It is ``None`` if no record is found, or if the document's authors have listed questions.
        """
        if self._reader is None:
            return None
        query = self._index.parse_query(asked_part(text))
        findings = self._findings(self._reader, query, _before(history))
        if not findings:
            return None
        said = compose(query, findings, several=_several(query))
        sections = self._supporting(said, f"{text} {self._document.title}")
        return findings[0].features, replace(said, sections=sections)

    def _read(
        self, reader: Reader, query: Query, question: Question, before: Before | None
    ) -> Reply:
        """Decide with the reader, which scores records together with the question."""
        text = query.text
        if before is not None and before.sections and _AGAIN.search(text):
            return _in_words_of(heard_passages(self._index, before), "high")
        leans = query.elliptic and before is not None
        if self._index.is_subject(text) and not (leans and query.clauses):
            opening = compose(query, [reader.opening()], several=False)
            return _respond(opening.sections, "high", opening.text)
        asks = query.polar or query.clauses > 0 or stated_age(text) is not None
        if not self._index.content(text) and not leans and not (asks and len(_words(text)) > 2):
            return _escalate("unclear", NOT_UNDERSTOOD)
        if before is not None and (again := self._held_already(query, before)):
            return _in_words_of(again, "medium")
        findings = self._findings(reader, query, before)
        made = put_together(reader, query, findings)
        likely = _sure(findings)
        if made is not None:
            likely = max(likely, _MADE)
        elif not findings or likely < _LIKELY:
            return _escalate("unsupported", not_found(self._document.title))
        if made is None and (days := of_other_days(reader, query, findings)):
            made = each_in_turn(days)
            if made is None:
                return _respond((), "medium", ON_WHICH_DAY)
        said = made or compose(query, findings, several=_several(query))
        sections = self._supporting(said, f"{question.text} {self._document.title}")
        return _respond(sections, _level(likely), said.text)

    def _held_already(self, query: Query, before: Before) -> tuple[Passage, ...]:
        """What was heard last, if it holds what a bare question word asks: "Since when?"."""
        if not _BARE.fullmatch(query.text):
            return ()
        heard = heard_passages(self._index, before)
        return tuple(passage for passage in heard if holds_what(query.text, passage.text))[:1]

    def _findings(self, reader: Reader, query: Query, before: Before | None) -> tuple[Finding, ...]:
        if (after := rank_adjacent(self._index, query)) and not query.wants & {"next", "previous"}:
            return reader.findings(after)
        fragment = is_fragment(query.text)
        if before is None or not (query.elliptic or fragment):
            return self._alone(reader, query)
        when = moments(query.text)
        named = when.days or when.dates or when.times
        topic = without_moments(before.question) if named else before.question
        whole = "" if named else resumed(before.question, query.text)
        leaning = reader.search(
            replace(query, text=whole) if whole else query,
            topic="" if whole else topic,
            sections=before.sections,
            when=when if named else moments(before.question),
        )
        explicit = not self._index.content(query.text) or _LEANS.search(query.text)
        better = _sure(leaning) + (_FRAGMENT if fragment else _FOLLOWS if explicit else 0.0)
        if leaning and better >= 1:
            return leaning  # nothing is surer, so the question need not be read alone
        own = self._alone(reader, query)
        if not leaning or not own:
            return leaning or own
        return leaning if better >= _sure(own) else own

    def _alone(self, reader: Reader, query: Query) -> tuple[Finding, ...]:
        """What answers a question by itself, as it was asked or in other words."""
        own = reader.search(query)
        if (other := in_other_words(query.text)) and _sure(own) < _LIKELY:
            reworded = reader.search(replace(query, text=other), when=moments(query.text))
            own = reworded if _sure(reworded) > _sure(own) else own
        return own

    def _supporting(self, said: Said, free: str) -> tuple[str, ...]:
        """Return the sections to cite: an answer's, and those above whose titles it names."""
        sections = list(said.sections)
        for id in said.sections:
            parts = id.split("/")
            for end in range(len(parts) - 1, 0, -1):
                cited = [self._document.section(section) for section in sections]
                if not unsupported_claims(said.text, cited, free):
                    return tuple(sections)
                above = "/".join(parts[:end])
                if above in self._index.ids and above not in sections:
                    sections.append(above)
        return tuple(sections)

    def _answer(self, query: Query, hits: Sequence[Hit]) -> Reply:
        enough = self._enough
        if query.interval and not self._index.content(query.text):
            enough -= _PERIOD  # "what happened in 1967?" has nothing to share but the year
        if not hits or hits[0].score < enough:
            return _escalate("unsupported", not_found(self._document.title))
        return _in_words_of(_chosen(query, hits, enough), _confidence(hits, enough))

    def _refuse(self, refusal: str) -> Reply:
        return _escalate("sensitive", refusal or NOT_TALKED_ABOUT)

    def _still_sensitive(self, query: Query, last: Exchange) -> SensitiveTopic | None:
        """Return the sensitive topic of a refused question that an elliptic one continues."""
        if last.decision != "escalate" or self._index.content(query.text):
            return None
        return topic_of(last.question, self._document)


def _before(history: Sequence[Exchange]) -> Before | None:
    """Return the last answer that cited the document, if the last turn was an answer.

    After a clarification it is the question that was not clear: callers who are asked "On which
    day?" only say the day.
    """
    if not history or history[-1].decision != "respond":
        return None
    if history[-1].answer in CLARIFICATIONS:
        return Before(history[-1].question, "", ())
    for exchange in reversed(history):
        if exchange.decision == "respond" and exchange.sections:
            return Before(exchange.question, exchange.answer, exchange.sections)
    return None


def _several(query: Query) -> bool:
    """Whether a question asks for several things."""
    return "list" in query.wants or query.clauses > 1 or "more" in query.wants


def _in_words_of(passages: Sequence[Passage], confidence: Confidence) -> Reply:
    sections = list(dict.fromkeys(passage.section.id for passage in passages))
    return _respond(sections, confidence, " ".join(_spoken(passage) for passage in passages))


def _chosen(query: Query, hits: Sequence[Hit], enough: float) -> list[Passage]:
    """Choose the best passage, and others that the answer needs, up to the maximum length."""
    best = hits[0]
    chosen = [best.passage]
    several = _several(query)
    words = len(_words(best.passage.text))
    for hit in hits[1:]:
        margin = _IN_LIST if several and hit.passage.section == best.passage.section else _CLOSE
        if hit.score < max(best.score - margin, enough + (_LISTED if several else 0.0)):
            continue
        if not several and hit.passage.section != best.passage.section:
            continue
        words += len(_words(hit.passage.text))
        if words > _MOST_WORDS or len(chosen) == (3 if several else 2):
            break
        chosen.append(hit.passage)
    return sorted(chosen, key=lambda passage: passage.at) if several else chosen


def _confidence(hits: Sequence[Hit], enough: float) -> Confidence:
    best = hits[0]
    rival = next((hit for hit in hits if hit.passage.section != best.passage.section), None)
    lead = best.score - rival.score if rival else best.score
    if best.score >= enough + _SURE and lead >= _MARGIN:
        return "high"
    return "medium" if best.score >= enough + _FAIRLY_SURE or lead >= _MARGIN else "low"


def _sure(findings: Sequence[Finding]) -> float:
    return probability(findings[0].features) if findings else 0.0


def _level(likely: float) -> Confidence:
    if likely >= _HIGH:
        return "high"
    return "medium" if likely >= _MEDIUM else "low"


def _spoken(passage: Passage) -> str:
    text = passage.text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text.rstrip(':;,')}."


def _words(text: str) -> list[str]:
    return text.split()


def _respond(sections: Sequence[str], confidence: Confidence, answer: str) -> Reply:
    return Reply(
        "respond", {"sections": list(sections), "confidence": confidence, "answer": answer}
    )


def _escalate(reason: str, message: str) -> Reply:
    return Reply("escalate", {"reason": reason, "message": message})


def _pieces(arguments: dict[str, str | list[str]]) -> Iterator[str]:
    """Yield the arguments as JSON in pieces like a model's: a field, then a few words at a time."""
    *first, (last, text) = arguments.items()
    opening = "{"
    for key, value in first:
        yield f"{opening}{json.dumps(key)}: {json.dumps(value)}"
        opening = ", "
    yield f'{opening}{json.dumps(last)}: "'
    words = re.findall(r"\S+\s*", str(text))
    for at in range(0, len(words), _PIECE):
        yield json.dumps("".join(words[at : at + _PIECE]))[1:-1]
    yield '"}'
