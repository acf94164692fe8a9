"""What was said, by its words: whether it is only a sign of listening, whether it is the same."""

import re

BACKCHANNELS = frozenset(
    word
    for line in (
        "ah aha alright cool good great hm hmm hmmm huh m mhm mhmm mm mmm mmhm mmhmm nice oh",
        "ok okay right sure uh uhhuh uhuh um umm wow ya yeah yep yes yup",
    )
    for word in line.split()
)
"""Words with which a listener says "go on", not "stop"."""

_WORD = re.compile(r"[a-zà-öø-ÿ]+(?:'[a-z]+)?|\d+", re.IGNORECASE)
_MOST_BACKCHANNEL_WORDS = 3


def is_backchannel(text: str) -> bool:
    """Whether a transcript is only a sign of listening ("mm-hm", "yeah, right"), or no words."""
    words = [word.lower() for word in _WORD.findall(text.replace("-", " "))]
    return len(words) <= _MOST_BACKCHANNEL_WORDS and all(word in BACKCHANNELS for word in words)


def same_words(one: str, other: str) -> bool:
    """Whether two texts are the same speech: a guess and its final text differ in commas."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
