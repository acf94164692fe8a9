"""A caller whose name was misheard is asked which they said, and their question is answered."""

import pytest

from conversation.frames import Exchange
from knowledge.loading.document import Document
from processors.brain.misheard import (
    SPELL_IT,
    Misheard,
    denied,
    in_full,
    in_full_before,
    misheard_name,
    question_back,
    questions_back,
)

ASKED = Exchange("Who was Achan?", "Did you say Aiken?")
SPELLED = Exchange("No.", SPELL_IT)


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Who was Achan,", "Aiken"),
        ("Akin.", "Aiken"),
        ("What about IKEN?", "Aiken"),
        ("Did she know Eckhart's firm?", "Eckert"),
        ("Was she at Vasa?", "Vassar"),
    ],
)
def test_a_name_that_sounds_like_one_of_the_documents_is_asked_about(
    document: Document, question: str, name: str
) -> None:
    found = misheard_name(question, document)
    assert found is not None
    assert found.name == name
    asked = question_back(question, (), document)
    assert asked == f"Did you say {name}?"
    assert asked in questions_back(document)


@pytest.mark.parametrize(
    "question",
    [
        *("Who was Aiken?", "Who was Smith?", "Did she know Alan Turing?", "Did she like Paris?"),
        *("Hello there", "Did she meet Newton?", "was she akin to others", "Grace Hoppen", ""),
    ],
)
def test_no_other_word_is(document: Document, question: str) -> None:
    assert misheard_name(question, document) is None
    assert question_back(question, (), document) == ""


@pytest.mark.parametrize(
    ("reply", "meant"),
    [
        ("Yes.", "Who was Aiken?"),
        ("Yeah, that's right", "Who was Aiken?"),
        ("Yes, Aiken.", "Who was Aiken?"),
        ("Aiken", "Who was Aiken?"),
        ("No, Eckert.", "Who was Eckert?"),
        ("I said Eckert", "Who was Eckert?"),
        ("Yes. When did she retire from the Navy?", "When did she retire from the Navy?"),
        ("What did she study?", "What did she study?"),
        ("Thank you.", "Thank you."),
        ("no", "no"),
    ],
)
def test_what_is_said_to_that_answers_it(document: Document, reply: str, meant: str) -> None:
    assert in_full(reply, (ASKED,), document) == meant


def test_a_caller_who_says_no_may_spell_it(document: Document) -> None:
    assert denied("No.", (ASKED,))
    assert not denied("No, Eckert.", (ASKED,))
    assert not denied("No.", ())
    assert in_full("Eckert.", (ASKED, SPELLED), document) == "Who was Eckert?"
    assert question_back("Eckhart", (ASKED,), document) == "", "nobody is asked twice in succession"


def test_later_questions_know_what_was_meant(document: Document) -> None:
    told = Exchange("Yes.", "Aiken led the laboratory.", ("career",))
    asked, meant = in_full_before((ASKED, told), document)
    assert asked == ASKED
    assert meant == Exchange("Who was Aiken?", told.answer, told.sections)
    assert in_full_before((told,), document) == (told,)


def test_what_was_heard_and_meant_is_told(document: Document) -> None:
    assert misheard_name("Who was Achan?", document) == Misheard("Achan", "Aiken")
