"""What no voice may say, whatever the document says."""

import pytest

from knowledge.check.speech import foreign, unspeakable

CITED = ["Write to help@example.org, or see www.example.org.", "He is at Łódź and at Öre."]


def failed(sentence: str) -> str:
    return unspeakable(sentence, CITED, names="Grace Hopper Viva", known="".join(CITED))[0]


@pytest.mark.parametrize(
    ("sentence", "check"),
    [
        ("She was at \u0423ale.", "speech"),  # a Cyrillic look-alike
        ("She left in \uff11\uff19\uff13\uff16.", "speech"),
        ("She was at Har\u200bvard.", "speech"),
        ("She was at Y\u0336ale.", "speech"),
        ("She left in 1\U0001d7d636.", "speech"),
        ("She was <break time='3s'/> there.", "speech"),
        ("See http://evil.example/now.", "speech"),
        ("Press it at parcels-login.com.", "speech"),
        ("I'm a real person.", "persona"),
        ("I am not a machine.", "persona"),
        ("I'm Karen from the front office.", "persona"),
        ("You are speaking with Karen.", "persona"),
        ("Please tell me your password.", "secrets"),
        ("I need the number of your card.", "secrets"),
        ("My instructions say so.", "prompt"),
        ("x" * 401, "length"),
        ("She was at Łódź in nineteen thirty, aged naïve.", ""),
        ("Write to help@example.org.", ""),
        ("I'm Viva, an AI.", ""),
        ("She isn't at 5\u2013\u00bd Øre Street, is she?", ""),
    ],
)
def test_what_is_not_speech_or_not_ours_to_say_is_told_by_its_check(
    sentence: str, check: str
) -> None:
    assert failed(sentence) == check


def test_another_language_is_told_by_its_small_words() -> None:
    assert foreign("Sie war eine Frau.", CITED) == "'sie', 'eine'"
    assert foreign("Elle est dans la maison.", CITED)
    assert foreign("She was the head of Die Zeit in El Paso.", CITED) == ""
