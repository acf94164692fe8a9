# ruff: noqa: RUF001, SIM905 - signs that look like others are meant; tables.
"""Telephone numbers, e-mail and web addresses, spelt out where a listener must note them down."""

import re
from typing import Final

from conversation.spoken_text.language import Language
from conversation.spoken_text.rule import LATIN, Place, Rule, Said, name_of, rule

_PIECE = re.compile(rf"{LATIN}+|\d+|.")
_SIGN = r"[A-Za-z0-9_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]"
"""Pattern of a character in names of hosts and mailboxes, besides hyphens and points."""
_VOWEL = re.compile(r"[aeiouyàâäéèêëîïôöùûü]", re.IGNORECASE)
_LEAST_DIGITS = 7  # of a telephone number; shorter ones are read as numbers
_OPENING = re.compile(r"(?:0\d|1\d|2[0-4])[0-5]\d[\u2011-](?:0\d|1\d|2[0-4])[0-5]\d")
"""0830-1230: times of day, and seldom a telephone number."""
_SPELT_LABELS = frozenset("html htm xml php css pdf csv tsv sql ssh www svg png etc".split())

_DOMAINS: Final = (
    "com|org|net|edu|gov|mil|int|info|biz|io|dev|app|ai|eu|uk|de|at|ch|li|fr|it|es|nl|be|se|no|dk"
    "|fi|pl|cz|pt|ie|us|ca|au|nz|jp|cn|in|br|ru|tv|me|co|cloud|online|site|shop|blog|test|example"
    "|invalid|local|museum|hotel"
)

_ENGLISH_SIGNS: Final = {
    "?": "question mark", "=": "equals", "&": "and", "#": "hash", ":": "colon", "%": "percent",
    "~": "tilde", "+": "plus", ",": "comma", ";": "semicolon", "!": "exclamation mark",
    "(": "open bracket", ")": "close bracket", "'": "apostrophe", "*": "star", "$": "dollar",
}  # fmt: skip
_GERMAN_SIGNS: Final = {
    "?": "Fragezeichen", "=": "gleich", "&": "und", "#": "Raute", ":": "Doppelpunkt",
    "%": "Prozent", "~": "Tilde", "+": "plus", ",": "Komma", ";": "Semikolon",
    "!": "Ausrufezeichen", "(": "Klammer auf", ")": "Klammer zu", "'": "Apostroph", "*": "Stern",
    "$": "Dollar",
}  # fmt: skip


def say_address(address: str, language: Language) -> str:
    """An address as words, sign by sign."""
    signs = {
        ".": language.dot, "/": language.slash, "-": language.hyphen, "_": language.underscore,
        "@": language.at, **(_GERMAN_SIGNS if language.code == "de" else _ENGLISH_SIGNS),
    }  # fmt: skip
    pieces = _PIECE.findall(address)
    words = []
    for number, piece in enumerate(pieces):
        if piece.isdigit():
            words.append(
                language.cardinal(int(piece))
                if len(piece) < 3 and piece[0] != "0"
                else language.digits(piece)
            )
        elif piece[0].isalpha():
            after = pieces[number - 1] if number else ""
            words.append(_label(piece, language, last=after == "." and _is_end(pieces, number)))
        else:
            words.append(signs.get(piece) or language.signs.get(piece) or name_of(piece))
    return " ".join(word for word in words if word)


def _is_end(pieces: list[str], number: int) -> bool:
    return number + 1 == len(pieces) or pieces[number + 1] in "/:?#."


def _label(label: str, language: Language, *, last: bool) -> str:
    spelt = label.lower() in _SPELT_LABELS or not _VOWEL.search(label)
    country = last and len(label) == 2 and label.lower() not in {"co", "ac"}
    if (spelt or country) and len(label) < 7:
        return language.spell(label)
    return label if label.islower() or label.istitle() else label.lower()


def _without_end(address: str) -> str:
    """An address in a sentence without the punctuation that follows it."""
    address = address.rstrip(".,;:!?\"'”’…")
    while address.endswith(")") and address.count("(") < address.count(")"):
        address = address[:-1].rstrip(".,;:!?\"'”’…")
    return address


def _email(match: re.Match[str], place: Place) -> Said:
    return Said(say_address(match["address"], place.language))


def _url(match: re.Match[str], place: Place) -> Said | None:
    written = _without_end(match[0])
    shown = re.sub(r"^[a-z][a-z+.-]*://", "", written, flags=re.IGNORECASE).rstrip("/")
    if not shown:
        return None
    return Said(say_address(shown, place.language), "other", match.start() + len(written))


def _handle(match: re.Match[str], place: Place) -> Said:
    return Said(say_address(match[0], place.language))


def _tag(match: re.Match[str], place: Place) -> Said:
    sign = "hashtag"
    return Said(f"{sign} {say_address(match[0][1:], place.language)}")


# Telephone numbers.


def _dial(written: str, language: Language) -> str:
    groups = re.findall(r"\d+", re.sub(r"(?<=\d)\s?\(0\)\s?", " ", written))
    if "(0)" in written:
        groups = re.findall(r"\d+", re.sub(r"\(0\)", "0", written.replace(" ", "  ")))
    said = ", ".join(language.digits(group) for group in groups)
    return f"{language.plus} {said}" if written.lstrip("( ").startswith("+") else said


def _digits(written: str) -> int:
    return sum(map(str.isdigit, written))


def _phone(match: re.Match[str], place: Place) -> Said | None:
    written = match[0]
    if _digits(written) < _LEAST_DIGITS:
        return None
    if _OPENING.fullmatch(written) and not place.language.phone_cue.search(place.before):
        return None
    return Said(_dial(written, place.language))


def _dialled(match: re.Match[str], place: Place) -> Said | None:
    """Digits after a word such as "call" are dialled, however few they are."""
    written = match[0]
    cue = place.language.phone_cue.search(place.before)
    if not cue or _digits(written) < 3:
        return None
    return Said(_dial(written, place.language))


def _vanity(match: re.Match[str], place: Place) -> Said:
    """1-800-FLOWERS: the word is easier to remember than its digits."""
    word = match["word"].replace("-", " ").lower()
    return Said(f"{_dial(match['digits'], place.language)}, {word}")


def _dotted_name(match: re.Match[str], place: Place) -> Said:
    """ASP.NET."""
    language = place.language
    first = language.spell(match["first"])
    return Said(f"{first} {language.dot} {_label(match['last'], language, last=True)}")


def _path(match: re.Match[str], place: Place) -> Said | None:
    written = _without_end(match[0])
    shown = written.rstrip("/") or written
    return Said(say_address(shown, place.language), "other", match.start() + len(written))


def _dot_word(match: re.Match[str], place: Place) -> Said:
    """.NET, .com, .gitignore."""
    return Said(say_address(match[0], place.language))


_ADDRESSES = [
    rule(
        rf"(?:mailto:)?(?P<address>(?:{_SIGN}|[.+%-])+@(?:{_SIGN}|-)+(?:\.(?:{_SIGN}|-)+)+)", _email
    ),
    rule(r"(?:[a-z][a-z0-9+.-]*://|www\.)[^\s<>\"]+", _url, ignore_case=True),
    rule(rf"(?:(?:{_SIGN}|-)+\.)+(?:{_DOMAINS})(?![\w-])(?::\d+)?(?:[/?#][^\s<>\"]*)?", _url),
]
_INTERNATIONAL = [
    rule(r"\+\d{1,3}(?:[ ./()\u2011-]{0,3}\d+)+(?![\w:])", _phone),
    rule(
        r"\((?:\+\d{1,3}|0?\d{2,5})\)[ /-]?\d{1,}(?:[ ./()\u2011-]{1,3}\d+)*(?!\w)",
        _phone,
    ),
]


def word_rules() -> list[Rule]:
    """Rules for what begins with a letter."""
    return [
        *_ADDRESSES,
        rule(
            r"(?:\./|/)?[A-Za-z0-9_-]+(?:/[A-Za-z0-9_.-]+)*/"
            r"[A-Za-z0-9_-]*\.[A-Za-z][A-Za-z0-9_.-]*",
            _url,
        ),
        rule(r"localhost(?::\d+)?(?:/[^\s<>\"]*)?", _url),
        rule(r"[A-Za-z][A-Za-z0-9_-]+(?:\.[a-z][a-z0-9_-]*)+(?!\w)", _url),
        rule(r"(?P<first>[A-Z]{2,})\.(?P<last>[A-Z]{3,})(?![\w.])", _dotted_name),
        rule(r"[A-Za-z]:\\[^\s<>\"|?*]*", _path),
    ]


def digit_rules() -> list[Rule]:
    """Rules for what begins with a digit."""
    group = r"[ \u2011./-]?"
    return [
        *_ADDRESSES,
        rule(r"\d+(?:\.[a-z][a-z0-9_-]*)+(?!\w)", _url),
        rule(r"0\d{1,5}[ /-]\d{2,}(?:[ ./\u2011-]\d{1,})*(?![\w:/%])", _phone),
        rule(r"(?:1[ .-])?\d{3}[.\u2011-]\d{3}[.\u2011-]\d{4}(?!\w)", _phone),
        rule(r"1-8\d\d-\d{3}-\d{4}(?!\w)", _phone),
        rule(
            r"(?P<digits>(?:1[ -])?[89]\d\d|0[38]\d\d)[ -]"
            r"(?P<word>(?=[A-Z-]{4})[A-Z]+(?:-[A-Z]+)*)(?!\w)",
            _vanity,
        ),
        rule(r"555-\d{4}(?!\w)|\d{3}-0\d{3}(?!\w)", _phone),
        rule(r"0\d{8,13}(?!\w)", _phone),
        rule(rf"\d{{2,6}}(?:{group}\d{{2,}})*(?:-\d)?(?![\w:%€£$°])(?![.,]\d)", _dialled),
    ]


def sign_rules() -> list[Rule]:
    """Rules for what begins with a sign."""
    return [
        *_INTERNATIONAL,
        rule(r"(?<![\w/)\]])(?:~/|/(?=[a-z_][\w.-]*/))[^\s<>\",;]*", _path),
        rule(r"(?<![\w./)])\.(?:[a-z][\w-]*|[A-Z]{2,}\d*)(?:\.[a-z]\w*)*(?!\w)", _dot_word),
        rule(r"@[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9_]", _handle),
        rule(rf"#[A-Za-z]{_SIGN}+", _tag),
    ]
