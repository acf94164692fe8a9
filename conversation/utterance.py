"""Classifies utterances by their words: backchannels, bids for the floor, repetitions."""

import re
from collections.abc import Sequence

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
_MOST_BACKCHANNEL_WORDS = 3  # "yeah, okay, right"
_CERTAIN_WORDS = 3  # with so many that are no backchannel, a caller wants to speak
_HESITATIONS = frozenset(["er", "erm", "uh", "uhm", "um", "umm"])


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a sentence cannot end with: articles, possessives, conjunctions, and prepositions that are
# never left at the end.
_OPEN = _HESITATIONS | _set(
    "a an the my your our their every whose which and or but nor because if whether unless although"
    " whereas than despite during including regarding concerning per via very"
)
_QUESTION_WORDS = _set("how what when where which who whom whose why")
_PLACES = _set("how where who")
_DEGREES = _set("big early far few large late long many much often old soon")
_SUBJECTS = _set("he i she they we")
_PRONOUNS = _SUBJECTS | _set("it you that this there here those these")
_OWNERS = _set("her his its")
_BEING = _set("am are is was were")
_AUXILIARIES = _BEING | _set(
    "can could did do does had has have may might must shall should will would"
)
# Prepositions that end a sentence only if a question word or a relative clause stands before.
_PREPOSITIONS = _set("about against at between for from into of to towards upon with without")
_RELATIVES = _QUESTION_WORDS | _set("that")
_MEASURES = _set("bit couple kind kinds lot number part parts sort sorts type types")
_IS = re.compile(r"(he|how|it|she|that|there|what|when|where|who|why)'s")
_CLITIC = re.compile(rf"[a-z]+'(?:d|ll|m|re|ve)|{_IS.pattern}")
_STARTERS = _HESITATIONS | _set(
    "ah also and anyway but hello hey hi just maybe mm no oh ok okay perhaps please right so sorry"
    " then well yeah yes"
)
_PUNCTUATED = (".", "?", "!")

# A number that somebody dictates has a name before it. One of fewer digits than a telephone's may
# be a group of it; whoever says that much of a shorter one waits half a second longer.
_DICTATED = _set(
    "account card cell code digits extension fax id line mobile number pin phone postcode reference"
    " telephone zip"
)
_DIGITS = _set("zero oh one two three four five six seven eight nine double triple")
_BETWEEN_GROUPS = _HESITATIONS | _set("and comma dash dot hyphen next space then")
_WHOLE_NUMBER_DIGITS = 10
_WHOLE_CARD_DIGITS = 16
_NAMED_WITHIN_WORDS = 3  # "my number would be"
_UNNAMED = _set("he her his is it its my our s she so that the this yes yeah")  # "it's 020"

# What announces a question and lacks it.
_ANNOUNCEMENT = re.compile(
    r"(?:(?:can|could|will|would) (?:you|i|we)(?: (?:just|maybe|perhaps|please))?"
    r"(?: (?:ask|tell|give|show)(?: (?:me|us|you))?)?"
    r"|(?:give|show|tell) (?:me|us)"
    r"|(?:i'd|i would) (?:also |just |really )?(?:like|love)"
    r"(?: to (?:ask|find out|hear|know|learn|understand)(?: (?:you|more))?)?"
    r"|i (?:also |just |really )?(?:need|want|wanted)(?: to (?:ask|find out|hear|know|learn)"
    r"(?: you)?)?"
    r"|(?:i'm|i am|i was) (?:also |just )?(?:asking|curious|wondering)"
    r"|i wonder|do you (?:happen to )?know|let me ask(?: you)?|(?:how|what) about)"
)


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
    """Whether a transcript cannot be all that its speaker wants to say, by English grammar.

    It ends with a word that needs another (an article, a conjunction, "I'd"); with a preposition,
    although no question word before it could be its object; with an auxiliary or a subject whose
    verb is missing ("when was", "where did she"); it only announces a question ("I would like to
    know"); or it ends in the first digits of a number that is dictated in groups. A question word
    at the end counts unless a mark follows it, for "Tell me why." and "How many?" are whole.
    """
    text = text.strip().replace("\u2019", "'")
    words = _lower(text)
    if not words:
        return False
    last = words[-1]
    if text.endswith(("...", "\u2026", "-", ",")) or last in _OPEN or _CLITIC.fullmatch(last):
        return True
    started = next((at for at, word in enumerate(words) if word not in _STARTERS), len(words))
    if _ANNOUNCEMENT.fullmatch(" ".join(words[started:])):
        return True
    words = [part for word in words[started:] for part in _IS.sub(r"\1 is", word).split()]
    marked = text.endswith(_PUNCTUATED)
    if _dictates(text):
        return True
    return bool(words) and (
        _lacks_object(words)
        or _lacks_verb(words, marked=marked)
        or (_asks_for_more(words) and not marked)
    )


def _asks_for_more(words: Sequence[str]) -> bool:
    """Whether a question word stands at the end, as in "I wonder where" or "how many"."""
    degree = len(words) > 1 and words[-2] == "how" and words[-1] in _DEGREES
    after_preposition = len(words) > 1 and words[-2] in _PREPOSITIONS
    return degree or (words[-1] in _QUESTION_WORDS and not after_preposition)


def _dictates(text: str) -> bool:
    """Whether a text ends in digits, but too few for the number that is dictated in groups.

    A number is dictated if it has a name ("my number is 020"), or if nothing else is said and it
    begins with a zero, or has several groups already.
    """
    words = _words(text)
    groups: list[str] = []
    while words and (_is_digits(words[-1]) or words[-1] in _BETWEEN_GROUPS):
        word = words.pop()
        if _is_digits(word):
            groups.append(word)
    digits = sum(len(group) if group.isdecimal() else 1 for group in groups)
    name = words[-_NAMED_WITHIN_WORDS:]
    whole = _WHOLE_CARD_DIGITS if "card" in name else _WHOLE_NUMBER_DIGITS
    if not 1 < digits < whole:
        return False
    first = groups[-1]
    several = len(groups) > 1 or first[0] == "0" or first in ("zero", "oh")
    return not _DICTATED.isdisjoint(name) or (several and _UNNAMED.issuperset(words))


def _is_digits(word: str) -> bool:
    return word.isdecimal() or word in _DIGITS


def _lacks_object(words: Sequence[str]) -> bool:
    """Whether a preposition at the end has no object: "tell me about", "what kind of"."""
    *before, last = words
    if last not in _PREPOSITIONS:
        return False
    return not _RELATIVES & {*before} or (last == "of" and {*before[-1:]} <= _MEASURES)


def _lacks_verb(words: Sequence[str], *, marked: bool) -> bool:
    """Whether the verb is missing after an auxiliary, or after its subject."""
    *before, last = words
    if not before:
        return last in _AUXILIARIES
    asked = not _QUESTION_WORDS.isdisjoint(before)
    previous = before[-1]
    if last in _AUXILIARIES:
        if previous in _PRONOUNS | _AUXILIARIES:  # "she is" and "there was" may be whole
            return False
        if last in _BEING:  # "my question is" lacks something, "what her job was" does not
            return not asked or previous in _QUESTION_WORDS
        return asked and _AUXILIARIES.isdisjoint(before)  # not "what does the club have"
    if previous not in _AUXILIARIES:
        return asked and last in _SUBJECTS
    if not asked and (marked or len(before) > 1):
        return False  # "Did she?" is whole
    if previous in _BEING and last in _SUBJECTS:
        # "How old is she" is whole, "when was she" is not, and "where was she" may be.
        return {*before[-2:-1]} <= _QUESTION_WORDS and not (marked and {*before[-2:-1]} <= _PLACES)
    if last in ("you", "it"):
        return previous not in _BEING
    return last in _SUBJECTS | _OWNERS


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
