"""What is promised to a caller: no more than somebody can keep."""

from dataclasses import replace

import pytest

from conversation.turns import FollowUp
from knowledge.loading.document import Document, load
from knowledge.loading.section import SensitiveTopic
from processors.brain.fixed_sentences import NOT_TALKED_ABOUT, NOT_UNDERSTOOD, not_found, split
from processors.brain.follow_up import LEAVE_ADDRESS, claimless_sentences, phrases_for
from processors.brain.guardrails import Guardrails, Phrases, RefusalError, promises
from processors.brain.prompt import REASONS
from processors.brain.small_talk import KINDS, reply_about

CV = load()
OFFICE = replace(CV, persona=replace(CV.persona, contact="the college's office, on 555 0100."))
PRICES = replace(
    CV,
    sensitive=(
        SensitiveTopic("price", ("price",), "Prices are for our shop. We'll get back to you."),
        SensitiveTopic("diet", ("diet",), "I've passed that on, and somebody will call you."),
    ),
)
QUESTION = "What did she like to eat?"


def said(
    follow_up: FollowUp, text: str, reason: str = "unsupported", document: Document = CV
) -> list[str]:
    """What is said when a brain escalates with these words."""
    guardrails = Guardrails(document, QUESTION, phrases_for(follow_up, document))
    spoken = [part for sentence in split(text) for part in guardrails.message(sentence, reason)]
    assert all(check.passed for check in guardrails.checks), "they are the brain's to say"
    return spoken or list(guardrails.message("", reason))


@pytest.mark.parametrize("reason", [*REASONS, "fault"])
def test_a_person_is_promised_only_to_whom_one_can_answer(reason: str) -> None:
    kept = Phrases().escalation(reason)
    assert phrases_for("person", CV).escalation(reason) == kept
    assert promises(kept) == (reason != "unclear")
    others: tuple[tuple[FollowUp, str], ...] = (("address", LEAVE_ADDRESS), ("nobody", ""))
    for follow_up, turn_to in others:
        phrase = phrases_for(follow_up, CV).escalation(reason)
        assert (turn_to in phrase) == (reason != "unclear" or not turn_to)
        assert not promises(phrase.replace(LEAVE_ADDRESS, ""))
        told = phrases_for(follow_up, OFFICE).escalation(reason)
        assert ("turn to the college's office, on 555 0100. " in told) == (reason != "unclear")


def test_a_brain_cannot_promise_it_either() -> None:
    for text in (not_found(CV.title), NOT_TALKED_ABOUT):
        assert said("person", text) == [text]
        assert said("nobody", text) == [phrases_for("nobody", CV).unsupported]
    assert said("nobody", NOT_UNDERSTOOD, "unclear") == list(split(NOT_UNDERSTOOD))
    guardrails = Guardrails(CV, QUESTION, phrases_for("nobody", CV))
    with pytest.raises(RefusalError):
        guardrails.small_talk(not_found(CV.title))
    assert not any(promises(reply_about(kind, title="x", name="y")) for kind in KINDS)


def test_an_authors_refusal_is_cut_to_what_can_be_kept() -> None:
    def refusal(question: str, follow_up: FollowUp) -> str:
        with pytest.raises(RefusalError) as refused:
            Guardrails(PRICES, question, phrases_for(follow_up, PRICES)).check_question()
        return refused.value.message

    price, diet = "What is the price?", "What is her diet?"
    assert refusal(price, "person") == "Prices are for our shop. We'll get back to you."
    assert refusal(price, "address") == "Prices are for our shop."
    assert refusal(diet, "nobody") == "", "the usual sentence is said instead"
    assert said("nobody", PRICES.sensitive[0].refusal, "sensitive", PRICES) == [
        "Prices are for our shop."
    ]


def test_evaluators_take_no_such_sentence_for_a_claim() -> None:
    known = claimless_sentences(OFFICE)
    whoever: tuple[FollowUp, ...] = ("person", "address", "nobody")
    for follow_up in whoever:
        assert set(split(phrases_for(follow_up, OFFICE).unsupported)) <= known
