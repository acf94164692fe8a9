"""What a record leaves open is not told as an obligation, nor what it obliges as a choice."""

import pytest

from knowledge.check.modality import modalities, other_modality


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You must sign it, and may take a copy.", {"must", "may"}),
        ("You do not have to sign it.", {"need not"}),
        ("No booking is needed.", {"need not"}),
        ("You can't sign it.", {"must not"}),
        ("As far as I can see, it was signed.", set()),
    ],
)
def test_what_a_text_obliges_and_permits_is_told_apart(text: str, expected: set[str]) -> None:
    assert modalities(text) == expected


@pytest.mark.parametrize(
    ("sentence", "record", "contradicted"),
    [
        ("You must book.", "Booking is not necessary.", "need not"),
        ("You need not book.", "Guests must book.", "must"),
        ("Batteries must not be charged.", "Batteries need not be charged.", "need not"),
        ("You have to pay in cash.", "You can pay in cash.", "may"),
        ("You have to book.", "Booking is required.", ""),
        ("You may book.", "Guests must book.", ""),
        ("You must book.", "Guests book online.", ""),
    ],
)
def test_a_sentence_may_not_change_an_obligation(
    sentence: str, record: str, contradicted: str
) -> None:
    assert other_modality(sentence, record) == contradicted
