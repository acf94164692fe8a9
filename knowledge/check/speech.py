"""Rejects sentences that are unfit to be spoken, whatever they claim.

These are characters foreign to the document, addresses and markup that it does not contain, claims
to be a person, requests for secrets, leaked instructions, other languages, and excessive length.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from knowledge.contacts import SPOKEN_ADDRESS
from knowledge.words import spaced

MAX_SENTENCE_CHARS = 400
"""Longest sentence, in characters: half a minute of speech."""
MAX_SENTENCES = 8
"""Most sentences in an answer."""
MAX_ANSWER_CHARS = 1200
"""Longest answer, in characters: about the token limit of a brain."""

_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;:!?'\"()-/&%+#*=$"
    "\u2018\u2019\u201c\u201d\u2026\u2013\u2014\u2010\u2011\u00b0\u20ac\u00a3\u00bd\u00bc\u00be"
    "\u00a0\u202f"
)
_LATIN = frozenset(map(chr, range(0xC0, 0x180))) - frozenset("\u00d7\u00f7\u0131\u0138\u017f")
_MARKUP = re.compile(
    r"</?[A-Za-z!?]|&(?:#\d+|#x[0-9a-f]+|[a-z]{2,8});|\]\(|```|\{\{|\}\}|\\[a-z]|<\||\|>|\[/?[A-Z]+\]",
    re.IGNORECASE,
)
_HUMAN = re.compile(
    r"\bi(?:'m| am)(?: (?:actually|really|just|only|also|indeed|definitely|not))*"
    r" (?:an? |the )?(?:\w+ ){0,2}?(?:human|person|man|woman|people|alive|employee|colleague|"
    r"member of staff|receptionist|operator|assistant manager|manager|owner|someone|somebody|"
    r"doctor|lawyer)\b"
    r"|\bi(?:'m| am) (?:not|no) (?:an? )?(?:ai|robot|bot|machine|computer|program|assistant|"
    r"artificial)"
    r"|\b(?:speaking|talking) (?:to|with) an? (?:real |actual |living )?(?:human|person|man|"
    r"woman)\b"
    r"|\b(?:you are|you're) (?:speaking|talking) (?:to|with) (?!an? (?:ai|assistant))"
    r"|\bmy name is\b|\bthis is [A-Z]\w+ (?:speaking|from)\b",
    re.IGNORECASE,
)
_I_AM = re.compile(r"\b(?:I'm|I am)\s+(?:the\s+)?([A-Z][\w-]+)")
_SECRETS = re.compile(
    r"\b(?:send|tell|give|read|say|share|confirm|enter|provide|text|e-?mail|type|spell|dictate|"
    r"repeat|need|want|require|what(?:'s| is)|show)\b.{0,40}\b(?:your|the)\b.{0,30}\b(?:passwords?|"
    r"passcodes?|pins?|card|cvv|cvc|iban|account number|security (?:code|number)|codes?|"
    r"social security|credentials|one-time)\b",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"\b(?:system prompt|my (?:instructions|prompt|rules|guidelines|programming)|tool call|"
    r"(?:call|use) exactly one tool|i (?:was|am|have been) (?:told|instructed|programmed|prompted) "
    r"(?:to|not)|language model|as an ai(?: language)? model|no rules)\b",
    re.IGNORECASE,
)
# Words of the languages most common among callers that no English sentence contains.
_FOREIGN = frozenset(
    spaced("""
    der das und ist nicht sie wir ihr ihre eine einen einem einer mit von auf ich zu zum zur bei
    haben hatte wurde wird sind auch noch aber oder wenn weil jeder
    le les des une est et dans pour avec sur pas elle nous vous ils elles qui que ne sont aussi mais
    chez aux cette ces leur oui
    el los las una uno es y pero por para con ella nosotros ellos que muy fue como esta este ha su
    il lo gli che di della del dei nel nella per sono anche ma presso come dal alla
    o os uma e em do da dos das na ela nao foi com
    het een van niet zij wij voor ook maar bij heeft
    """)
) - frozenset(
    spaced("a as do he in is on of to no me am so the come per o e y ha das lo es di per ma")
)
_FOREIGN_WORDS = 2


def unspeakable(sentence: str, cited: Sequence[str], *, names: str, known: str) -> tuple[str, str]:
    """Check whether a sentence is fit to be spoken.

    Args:
        sentence: One sentence.
        cited: The cited texts; their addresses and characters are allowed.
        names: The document's title and the persona's name, which may follow "I am".
        known: The characters of the document.

    Returns:
        The name of the failed check and the problem; both empty if the sentence is fit.
    """
    if len(sentence) > MAX_SENTENCE_CHARS:
        return "length", f"{len(sentence)} characters in a sentence"
    if (sign := _sign(sentence, known)) and not any(sign in text for text in cited):
        return "speech", f"{unicodedata.name(sign, f'U+{ord(sign):04X}')} in {sentence!r}"
    for pattern, what in ((_MARKUP, "markup"), (SPOKEN_ADDRESS, "an address")):
        for match in pattern.finditer(sentence):
            around = _word_around(sentence, match.start(), match.end())
            if not any(around in text for text in cited):
                return "speech", f"{what} that is not in what is cited: {around!r}"
    said = any(sentence.strip() in text for text in cited)
    if said:
        return "", ""
    if claimed := _HUMAN.search(sentence):
        return "persona", f"a claim to be somebody: {claimed[0]!r}"
    for match in _I_AM.finditer(sentence):
        if match[1].lower() not in names.lower() and match[1] not in ("AI", "An"):
            return "persona", f"a claim to be {match[1]!r}"
    if asked := _SECRETS.search(sentence):
        return "secrets", f"a request for a secret: {asked[0]!r}"
    if leaked := _PROMPT.search(sentence):
        return "prompt", f"what the brain was told: {leaked[0]!r}"
    return "", ""


def foreign(sentence: str, cited: Sequence[str]) -> str:
    """Words of other languages in an English sentence, for the log; empty if there are none."""
    words = [word for word in re.findall(r"[^\W\d_]+", sentence.lower()) if word in _FOREIGN]
    text = " ".join(cited).lower()
    found = [word for word in words if not re.search(rf"\b{re.escape(word)}\b", text)]
    return ", ".join(map(repr, found)) if len(found) >= _FOREIGN_WORDS else ""


def _word_around(sentence: str, start: int, end: int) -> str:
    while start and not sentence[start - 1].isspace():
        start -= 1
    while end < len(sentence) and not sentence[end].isspace():
        end += 1
    return sentence[start:end].strip(".,;:!?()'\"")


def _sign(sentence: str, known: str) -> str:
    allowed = _signs(known)
    composed = unicodedata.normalize("NFC", sentence)
    return next((sign for sign in composed if sign not in allowed), "")


@lru_cache(maxsize=64)
def _signs(known: str) -> frozenset[str]:
    """The allowed characters: those that every voice reads, and the document's own."""
    own = unicodedata.normalize("NFC", known)
    return _PLAIN | _LATIN | frozenset(sign for sign in own if sign.isprintable())
