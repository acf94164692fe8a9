"""Guardrails: every check of a brain's decision before the caller hears it, made in code.

They do no I/O. The steps of a decision are checked in the order in which they arrive; a step either
passes or raises :class:`RefusalError`. Nothing is spoken before it has passed.
"""

import re
from dataclasses import dataclass, fields
from typing import NoReturn, Self, cast

from conversation.frames import Check, Confidence, LookedUp
from knowledge.check.recital import recites
from knowledge.check.sensitive import topic_of
from knowledge.check.speech import (
    MAX_ANSWER_CHARS,
    MAX_SENTENCES,
    foreign,
    unspeakable,
)
from knowledge.check.support import entails, supporting_lines
from knowledge.check.totals import adds_up
from knowledge.check.wording import Wording, wording
from knowledge.loading.document import Document
from knowledge.loading.section import Section
from processors.brain.contract import Tool
from processors.brain.fixed_sentences import fixed_sentences, split
from processors.brain.misheard import questions_back
from processors.brain.prompt import CONFIDENCES, REASONS
from processors.brain.small_talk import courtesy, reply

_PROMISE = re.compile(
    r"\b(follow(s|ing)? up|(get|gets|come|be) back to you|(be|get|gets) in touch|to a person|"
    r"(pass|passed|passing|hand|handed|forward|forwarded) \b.{0,40}\b(on|over)|"
    r"(call|phone|ring|contact|write|e-?mail) (to )?you|hear from (us|me|him|her|them))\b",
    re.IGNORECASE,
)
_ELSE = "You can ask me something else."
_JOINTS = " ,;:-\u2013\u2014"


def promises(sentence: str) -> bool:
    """Whether a fixed sentence promises that somebody will answer later."""
    return _PROMISE.search(sentence) is not None


@dataclass(frozen=True, slots=True)
class Phrases:
    """Spoken in place of a brain's words when those are refused.

    Parameters:
        hedges: Open an answer of low confidence; turns use them in rotation.
        rest_uncertain: Ends an answer whose rest was refused or never arrived.
        unsupported: The document does not answer the question.
        sensitive: The topic is sensitive; a topic may have a sentence of its own instead.
        off_topic: The question has nothing to do with the document.
        unclear: The question cannot be understood.
        fault: The brain failed.
        looking: Nothing has come of the brain yet.
        follow_up: Whether a person can answer later, so that these may promise it.
    """

    hedges: tuple[str, ...] = (
        "I'm not completely sure, but this is what I found.",
        "I can't be certain of this.",
    )
    rest_uncertain: str = "I'm not certain of the rest."
    unsupported: str = (
        "I don't have an answer to that, so I'll pass it to a person who will follow up. "
        "You can ask me something else."
    )
    sensitive: str = (
        "That's something I don't talk about, so I'll pass it to a person who will follow up. "
        "You can ask me something else."
    )
    off_topic: str = (
        "That's outside what I can talk about, so I'll pass it to a person who will follow up. "
        "You can ask me something else."
    )
    unclear: str = "I'm sorry, I didn't understand that. Could you ask it another way?"
    fault: str = (
        "I'm sorry, I can't answer that just now, so I'll pass it to a person who will follow up. "
        "You can ask me something else."
    )

    looking: str = "I'm still looking."
    follow_up: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool):
                continue
            said = value if isinstance(value, tuple) else (value,)
            if not said or not all(phrase.strip() for phrase in said):
                raise ValueError(f"Phrases.{field.name} is {value!r}; it must contain words")

    @classmethod
    def without_follow_up(cls, turn_to: str = "") -> Self:
        """The phrases for a caller to whom nobody can write: they promise nothing.

        Args:
            turn_to: A sentence that says where the caller can turn; empty if there is nowhere.
        """

        def said(what: str) -> str:
            return " ".join(filter(None, (what, turn_to, _ELSE)))

        return cls(
            unsupported=said("I don't have an answer to that."),
            sensitive=said("That's something I don't talk about."),
            off_topic=said("That's outside what I can talk about."),
            fault=said("I'm sorry, I can't answer that just now."),
            follow_up=False,
        )

    def may_say(self, sentence: str) -> bool:
        """Whether a fixed sentence promises no more than somebody can keep."""
        return self.follow_up or not promises(sentence)

    def of_author(self, refusal: str) -> str:
        """A topic's own refusal, without the sentences that may not be said."""
        if self.follow_up:
            return refusal
        return " ".join(sentence for sentence in split(refusal) if self.may_say(sentence))

    def hedge(self, turn: int) -> str:
        """The hedge for a turn, by its number."""
        return self.hedges[turn % len(self.hedges)]

    def escalation(self, reason: str) -> str:
        """The sentence for a reason; for one without its own, that of ``"unsupported"``."""
        spoken = (*REASONS, "fault")
        return cast(str, getattr(self, reason if reason in spoken else "unsupported"))


def uncited_sentences(document: Document, phrases: Phrases) -> frozenset[str]:
    """Every sentence that may be spoken without a citation.

    Args:
        document: The document.
        phrases: Spoken in place of the brain's words when those are refused.
    """
    said = (getattr(phrases, field.name) for field in fields(phrases))
    return fixed_sentences(
        document.title,
        document.persona.name,
        (
            *(phrase for phrase in said if isinstance(phrase, str)),
            *(topic.refusal for topic in document.sensitive if topic.refusal),
            *questions_back(document),
        ),
    )


class RefusalError(Exception):
    """The guardrails refused a decision, or the rest of it.

    Parameters:
        reason: Why, as in :class:`conversation.frames.DecisionFrame`.
        message: The sentence to speak in place of the reason's usual one; empty for that.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message


class MalformedError(Exception):
    """The brain's output is not a valid decision; a retry may help."""


class Guardrails:
    """The checks of one turn.

    Parameters:
        document: The document to answer from.
        question: What the caller said.
        phrases: Spoken in place of the brain's words when those are refused.
    """

    def __init__(self, document: Document, question: str, phrases: Phrases | None = None) -> None:
        self._document = document
        self._looked_up: dict[str, Section] = {}
        self._question = question
        self._phrases = phrases or Phrases()
        self._checks: dict[str, Check] = {}
        self._passed: list[str] = []

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks so far, in the order in which each was first made."""
        return tuple(self._checks.values())

    def record(self, name: str, detail: str = "") -> None:
        """Note a check; a detail means that it failed, and a failed check stays failed."""
        before = self._checks.get(name)
        if before is None or before.passed:
            self._checks[name] = Check(name=name, passed=not detail, detail=detail)

    def repaired(self, what: str) -> None:
        """Note that the call was not in the form that was asked for, and is now."""
        self._checks["form"] = Check(name="form", passed=True, detail=what)

    def another_attempt(self, detail: str) -> None:
        """Drop the checks of a failed attempt; note that it failed, and why."""
        kept = ("question", "sensitive", "attempt")
        self._checks = {name: check for name, check in self._checks.items() if name in kept}
        self.record("attempt", detail)

    def check_question(self) -> None:
        """Refuse a question that is empty or sensitive, before a brain sees it."""
        if not any(map(str.isalnum, self._question)):
            self.record("question", "nothing was said")
            raise RefusalError("unclear")
        self.record("question")
        self._check_sensitive(self._question, "the question")

    def check_tool(self, name: str) -> Tool:
        """Check the name of a tool."""
        if name not in ("respond", "escalate"):
            raise self._malformed("decision", f"unknown tool {name!r}")
        self.record("decision")
        return cast(Tool, name)

    def check_sections(self, ids: tuple[str, ...]) -> tuple[Section, ...]:
        """The sections with these ids, without repeats; one unknown id refuses them all."""
        known = {*self._document.section_ids, *self._looked_up}
        unknown = [id for id in ids if id not in known]
        if unknown:
            self.record("sections", f"no such section: {', '.join(map(repr, unknown))}")
            raise RefusalError("unsupported")
        self.record("sections")
        return tuple(
            self._looked_up.get(id) or self._document.section(id) for id in dict.fromkeys(ids)
        )

    def may_cite(self, section: Section) -> None:
        """Let the answer cite a tool's result as a section."""
        if section.lines:
            self._looked_up[section.id] = section

    def looked_up(self, cited: tuple[Section, ...]) -> tuple[LookedUp, ...]:
        """The cited sections that are results of tools."""
        return tuple(
            LookedUp(section.id, section.title, section.text)
            for section in cited
            if section.id in self._looked_up
        )

    def check_confidence(self, confidence: str) -> Confidence:
        """Check a confidence."""
        if confidence not in CONFIDENCES:
            allowed = ", ".join(CONFIDENCES)
            raise self._malformed("confidence", f"{confidence!r} is none of {allowed}")
        self.record("confidence")
        return cast(Confidence, confidence)

    def check_reason(self, reason: str) -> str:
        """The reason; ``"unclear"`` in place of an unknown one."""
        if reason not in REASONS:
            self.record("reason", f"{reason!r} is none of {', '.join(REASONS)}")
            return "unclear"
        self.record("reason")
        return reason

    def check_answer(self, sentence: str, cited: tuple[Section, ...]) -> tuple[int, ...]:
        """Check one sentence of an answer against the sections that it cites.

        Returns:
            The lines of the document that support it; 0 stands for the result of a tool.

        Raises:
            RefusalError: The sentence may not be spoken.
        """
        self._check_speakable(sentence, cited)
        self._check_sensitive(sentence, "the answer")
        if not cited:
            self.record("sections", f"none cited for {sentence!r}")
            raise RefusalError("unsupported")
        if recites(sentence, cited, self._document, self._question) or adds_up(
            sentence, self._passed, self._question
        ):
            self.record("support")
            self._passed.append(sentence)
            return supporting_lines(sentence, cited)
        verdict = entails(sentence, cited, self._document, self._question)
        if verdict.refused:
            self.record("support", verdict.refused)
            raise RefusalError("unsupported")
        self.record("support")
        self._passed.append(sentence)
        return supporting_lines(sentence, cited) or verdict.lines

    def check_beginning(self, clause: str, cited: tuple[Section, ...]) -> tuple[int, ...] | None:
        """Check the first clauses of a sentence as if they were all of it.

        Nothing is noted of it: the whole sentence is checked in its turn.

        Returns:
            The lines that support it, as in :meth:`check_answer`; ``None`` if it may not be spoken.
        """
        checks, passed = dict(self._checks), list(self._passed)
        try:
            return self.check_answer(f"{clause.rstrip(_JOINTS)}.", cited)
        except RefusalError:
            return None
        finally:
            self._checks, self._passed = checks, passed

    def document_words(self, sentence: str, cited: tuple[Section, ...]) -> tuple[Wording, ...]:
        """The document's own words in place of a sentence refused only for lack of support.

        Returns:
            The statements to speak instead; none if the cited sections do not answer the question.
        """
        failed = {check.name for check in self._checks.values() if not check.passed}
        if failed - {"attempt"} != {"support"} or self._passed:
            return ()
        own = tuple(section for section in cited if section.id not in self._looked_up)
        found = wording(sentence, own, self._document, self._question)
        if any(topic_of(statement.text, self._document) is not None for statement in found):
            return ()
        if found:
            self.record("wording")
            self._passed.extend(statement.text for statement in found)
        return found

    def small_talk(self, sentence: str) -> tuple[str, ...]:
        """Check one sentence that cites nothing; only fixed sentences pass.

        Returns:
            The sentences to speak: the sentence itself if it is fixed, otherwise the fixed reply to
            the caller's courtesy; none if that was spoken already.

        Raises:
            RefusalError: The sentence is not fixed, and the question is not a mere courtesy.
        """
        if sentence in self._fixed and self._phrases.may_say(sentence):
            self._check_sensitive(sentence, "the answer")
            self._passed.append(sentence)
            return (sentence,)
        kind, rest = courtesy(self._question, persona=self._document.persona.name)
        if kind is None or rest:
            if not sentence:
                return ()
            self.record("sections", f"none cited for {sentence!r}")
            raise RefusalError("unsupported")
        if sentence:
            self.record("fixed", f"not a fixed sentence: {sentence!r}")
        if self._passed:
            return ()
        said = split(reply(kind, self._document))
        self._passed.extend(said)
        return said

    def message(self, sentence: str, reason: str) -> tuple[str, ...]:
        """Check one sentence of an escalation; only fixed sentences pass.

        Returns:
            The sentences to speak: the sentence itself if it is fixed and promises what can be
            kept, otherwise the phrase for the reason; none if that was spoken already.
        """
        if sentence in self._fixed and self._phrases.may_say(sentence):
            self._passed.append(sentence)
            return (sentence,)
        if sentence and sentence not in self._fixed:
            self.record("fixed", f"not a fixed sentence: {sentence!r}")
        if self._passed:
            return ()
        said = (self._phrases.escalation(reason),)
        self._passed.extend(said)
        return said

    @property
    def _fixed(self) -> frozenset[str]:
        return uncited_sentences(self._document, self._phrases)

    def _check_speakable(self, sentence: str, cited: tuple[Section, ...]) -> None:
        """Refuse a sentence that is unfit to be spoken, whatever it claims."""
        if len(self._passed) >= MAX_SENTENCES:
            self._refuse("length", f"more than {MAX_SENTENCES} sentences")
        length = sum(map(len, self._passed)) + len(sentence)
        if length > MAX_ANSWER_CHARS:
            self._refuse("length", f"{length} characters")
        document = self._document
        texts = [line.text for section in cited for line in section.lines]
        name, detail = unspeakable(
            sentence,
            texts,
            names=f"{document.title} {document.persona.name}",
            known=document.signs,
        )
        if name:
            self._refuse(name, detail)
        if document.language.startswith("en") and (words := foreign(sentence, texts)):
            self._refuse("language", f"{words} in {sentence!r}")

    def _refuse(self, name: str, detail: str) -> NoReturn:
        self.record(name, detail)
        raise RefusalError("unsupported")

    def _check_sensitive(self, text: str, where: str) -> None:
        topic = topic_of(text, self._document)
        if topic is not None:
            self.record("sensitive", f"{where} is about {topic.name}")
            raise RefusalError("sensitive", self._phrases.of_author(topic.refusal))
        self.record("sensitive")

    def _malformed(self, name: str, detail: str) -> MalformedError:
        self.record(name, detail)
        return MalformedError(detail)
