"""Classifies utterances by their words: backchannels, bids for the floor, repetitions."""

import re

BACKCHANNELS = frozenset(
    word
    for line in (
        "ah aha alright cool good great hm hmm hmmm huh m mhm mhmm mm mmm mmhm mmhmm nice oh",
        "ok okay right sure uh uhhuh uhuh um umm wow ya yeah yep yes yup",
        "exactly haha indeed interesting lovely rate really write",  # how recognisers spell "right"
    )
    for word in line.split()
)
"""Words with which a listener says "go on", not "stop"."""

FLOOR_TAKERS = frozenset(
    word
    for line in (
        "actually another answer are ask but can could describe did do does enough excuse explain",
        "forget give hang has have hold how ignore is let listen never no not pardon please quiet",
        "repeat say show skip sorry stop talk tell wait was were what when where which who whose",
        "why would",
    )
    for word in line.split()
)
"""First words of a caller who wants to speak."""

_PHRASES = re.compile(r"\b(?:i see|got it|of course|makes sense|go on|i know)\b", re.IGNORECASE)
_WORD = re.compile(r"[a-zà-öø-ÿ]+(?:'[a-z]+)?|\d+", re.IGNORECASE)
_MOST_BACKCHANNEL_WORDS = 3
_CERTAIN_WORDS = 3
_HESITATIONS = frozenset(["er", "erm", "uh", "uhm", "um", "umm"])
_OPEN = _HESITATIONS | frozenset(
    ["a", "an", "and", "because", "but", "my", "or", "our", "the", "their", "your"]
)
_QUESTION_WORDS = frozenset(["how", "what", "when", "where", "which", "who", "whose", "why"])
_SUBJECTS = frozenset(["he", "i", "she", "they", "we"])
_OWNERS = frozenset(["her", "his", "its"])
_BEING = frozenset(["am", "are", "is", "was", "were"])


def is_backchannel(text: str) -> bool:
    """Whether a transcript is only a backchannel ("mm-hm", "yeah, right") or has no words."""
    words = _lower(_PHRASES.sub("okay", text))
    return len(words) <= _MOST_BACKCHANNEL_WORDS and all(word in BACKCHANNELS for word in words)


def takes_floor(text: str) -> bool:
    """Whether an interim transcript shows that somebody wants to speak.

    Recognisers often mishear half a word: a guess that is neither this nor a backchannel shows
    nothing yet.
    """
    if is_backchannel(text):
        return False
    words = _lower(text)
    while words and words[0] in _HESITATIONS:
        del words[0]
    if not words:
        return False
    return len(words) >= _CERTAIN_WORDS or any(_begins(words[0], taker) for taker in FLOOR_TAKERS)


def only_listens(text: str, guess: str) -> bool:
    """Whether speech was a backchannel: by its transcript, or by the last guess before it.

    A transcript of so little sound is as often wrong as a guess, unless it takes the floor.
    """
    return is_backchannel(text) or (guess != "" and is_backchannel(guess) and not takes_floor(text))


def trails_off(text: str) -> bool:
    """Whether a transcript cannot be all that its speaker wants to say.

    It ends with an article, a conjunction or a hesitation; or as "where did she", "what was her".
    """
    text = text.strip()
    words = _lower(text)
    if not words:
        return False
    if text.endswith(("...", "\u2026", "-", ",")) or words[-1] in _OPEN:
        return True
    asked = any(word in _QUESTION_WORDS for word in words[:-1])
    being = len(words) > 1 and words[-2] in _BEING
    return asked and words[-1] in (_OWNERS if being else _SUBJECTS)


def same_words(one: str, other: str) -> bool:
    """Whether two texts are the same speech: a guess and its final text differ in commas."""
    return _words(one) == _words(other)


def _lower(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text.replace("-", " "))]


def _begins(word: str, taker: str) -> bool:
    """Whether a word is one of those, or the beginning of one, or one with an ending."""
    long = min(len(word), len(taker)) >= 4
    return word == taker or (long and (word.startswith(taker) or taker.startswith(word)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
