# ruff: noqa: RUF001 - signs that look like others are meant; tables.
"""Abbreviations, acronyms, codes, Roman numerals, and letters that a voice cannot pronounce."""

import re
import unicodedata

from conversation.spoken_text.language import Abbreviation, Language
from conversation.spoken_text.numbers import roman
from conversation.spoken_text.rule import LATIN, Place, Rule, Said, one_of, rule

_VOWEL = re.compile("[AEIOUYÄÖÜaeiouyäöü]")
_SHOUTED = re.compile(r"\b(?=[A-ZÄÖÜ]*[AEIOUÄÖÜ])[A-ZÄÖÜ]{4,}\b")
_MOST_SHOUTED = 2
"""With more words in capitals, capitals mean nothing."""
_LONGEST_SPELT = 5  # letters without a vowel: longer ones are names of things that are said
_SHORTEST_SAID = 4  # letters: shorter words in capitals are spelt, as in "USA"

FOREIGN = (
    r"[\u0370-\u1dff\u1f00-\u1fff\u2c00-\u2c5f\u2c80-\u2dff\u3005-\u3007\u3040-\ua71f\ua800-\uab2f"
    r"\uab70-\ud7ff\uf900-\ufaff\ufb13-\ufdff\ufe70-\ufeff\U00010000-\U0001d3ff\U0001e000-\U0001efff"
    r"\U00020000-\U0003ffff]"
)
"""Pattern of letters of scripts other than Latin, with their marks."""


def _abbreviation_rules(language: Language) -> list[Rule]:
    known = dict(language.abbreviations)
    for short, abbreviation in language.abbreviations.items():
        title = short[0].upper() + short[1:]
        if title not in known and short[0].islower():
            words = abbreviation.words
            known[title] = Abbreviation(
                words[0].upper() + words[1:], abbreviation.dot, abbreviation.before
            )
    ends = {"St": "Street", "Dr": "Drive"} if language.code.startswith("en") else {}

    def say(match: re.Match[str], place: Place) -> Said | None:
        short, end = match["short"], match.end()
        abbreviation, dot = known[short], bool(match["dot"])
        rest = place.text[end:]
        if abbreviation.dot and not dot:
            return None
        if abbreviation.before == "digit" and not re.match(r"\s?[#\d]|\s[IVXLC]{2,}\b", rest):
            return None
        words = abbreviation.words
        if short in ends and _follows_name(place) and not re.match(r"\s[A-Z]", rest):
            words = ends[short]
        # A full stop at the end ends the sentence as well.
        return Said(words, "other", end - 1 if dot and not rest.strip("\"'”’) ") else end)

    return [rule(rf"(?P<short>{one_of(known)})(?P<dot>\.)?(?![\w/])(?!\.\w)", say)]


def _follows_name(place: Place) -> bool:
    return bool(re.search(r"[A-Z][\w'’]*\s$", place.before))


def _spelt(match: re.Match[str], place: Place) -> Said | None:
    """An acronym of capitals, letter by letter, unless it is said as a word."""
    language, word = place.language, match["word"]
    if word in language.pronounced or len(_SHOUTED.findall(place.text)) > _MOST_SHOUTED:
        return None
    named = word in language.spelt
    if not named and len(word) >= _SHORTEST_SAID:
        consonants = not _VOWEL.search(word)
        if not (consonants and len(word) <= _LONGEST_SPELT):
            return None
    return Said(language.spell(word) + ("'s" if match["ending"] else ""))


def _spelt_mixed(match: re.Match[str], place: Place) -> Said:
    return Said(place.language.spell(match["word"]) + ("'s" if match["ending"] else ""))


def _dotted(match: re.Match[str], place: Place) -> Said:
    end = match.end()
    letters = match[0].replace(".", "")
    ends_sentence = not place.text[end:].strip("\"'”’) ")
    return Said(place.language.spell(letters), "other", end - 1 if ends_sentence else end)


def _roman(match: re.Match[str], place: Place) -> Said | None:
    language, number = place.language, roman(match[0])
    if not number:
        return None
    if language.roman_cue.search(place.before):
        return Said(language.cardinal(number))
    if language.regnal_cue.search(place.before):
        return Said(language.regnal(number)) if len(match[0]) > 1 or match[0] != "I" else None
    if len(match[0]) > 1 and match[0] not in {"IV", "XX", "VI"}:
        return Said(language.cardinal(number))
    if len(match[0]) > 1 and re.search(r"[A-Z][a-z]+\s$", place.before):
        return Said(language.cardinal(number))
    return None


def _code(match: re.Match[str], place: Place) -> Said:
    """A4, MP3, SW1A, BA117: letters as letters, digits as they are read in codes."""
    language = place.language
    words = []
    for piece in re.findall(rf"{LATIN}+|\d+", match[0]):
        if piece.isdigit():
            words.append(
                language.cardinal(int(piece))
                if len(piece) < 3 and (piece[0] != "0" or piece == "0")
                else language.digits(piece)
            )
        elif (
            len(piece) < 3
            or (piece.isupper() and len(piece) < _SHORTEST_SAID)
            or not _VOWEL.search(piece)
        ):
            words.append(language.spell(piece))
        else:
            words.append(piece)
    return Said(" ".join(words))


def _account(match: re.Match[str], place: Place) -> Said:
    """An IBAN: letters and digits one by one, in its groups."""
    language = place.language
    groups = [
        " ".join(language.digits(sign) if sign.isdigit() else sign for sign in group)
        for group in match[0].split()
    ]
    return Said(", ".join(groups))


def _version(match: re.Match[str], place: Place) -> Said:
    groups = match["version"].split(".")
    return Said("version " + f" {place.language.point} ".join(_plain(g, place) for g in groups))


def _plain(digits: str, place: Place) -> str:
    return place.language.cardinal(int(digits))


def _sharp(match: re.Match[str], place: Place) -> Said:
    sign = "sharp" if match["sign"] == "#" else "plus plus"
    return Said(f"{match['letter']} {sign}")


def _foreign(match: re.Match[str], place: Place) -> Said:
    """Return the name of letters that a voice of this language cannot pronounce."""
    language, letters = place.language, match[0]
    kinds = [unicodedata.name(letter, "").split(" ")[0] for letter in letters if letter.isalpha()]
    kind = next((kind for kind in kinds if kind in {"HIRAGANA", "KATAKANA"}), (*kinds, "")[0])
    if len(letters) == 1 and kind == "GREEK":
        return Said(unicodedata.name(letters).split(" WITH ")[0].split()[-1].lower())
    script = language.scripts.get(kind, kind.title())
    several = len(letters.split()) > 1 or (kind in {"CJK", "HIRAGANA", "THAI"} and len(letters) > 6)
    form = language.foreign_text if several else language.foreign_word
    return Said(form.format(script=script or "?"))


def foreign_rules() -> list[Rule]:
    """Rules for letters of other scripts."""
    mark = r"\u0300-\u036f\u3000-\u303f\u200c\u200d"
    word = rf"{FOREIGN}(?:{FOREIGN}|[{mark}'’\u2019-])*(?<![\u3001\u3002])"
    return [rule(rf"{word}(?:[\s,]+{word})*", _foreign)]


def code_rules() -> list[Rule]:
    """Rules for letters with digits among them, whichever comes first."""
    return [
        rule(rf"(?=[^\W_]*\d)(?=\d*{LATIN})(?:{LATIN}|\d)+(?![\d_²³]|{LATIN})", _code),
    ]


def word_rules(language: Language) -> list[Rule]:
    """Rules for what begins with a letter, after those for addresses and dates."""
    mixed = (
        one_of(word for word in language.spelt if not word.isupper())
        if any(not word.isupper() for word in language.spelt)
        else "(?!)"
    )
    return [
        rule(
            r"[A-Z]{2}\d{2}(?: ?(?=[A-Z]*\d)[A-Z0-9]{4}| ?[A-Z]{4}){2,}(?: ?\d{1,4})?(?!\w)",
            _account,
        ),
        rule(r"[vV]\.?(?P<version>\d+(?:\.\d+)*)(?!\w)", _version),
        *code_rules(),
        rule(r"(?P<letter>[A-Z])(?P<sign>\+\+|#)(?!\w)", _sharp),
        *_abbreviation_rules(language),
        rule(r"(?:[A-Z][a-z]?\.){2,}(?!\w)", _dotted),
        rule(r"(?:[A-Z]\.)+[A-Z](?![\w.])", _dotted),
        rule(r"(?:[a-z]\.){2,}(?!\w)", _dotted),
        rule(r"[IVX]+(?![\w'’])", _roman),
        rule(rf"(?P<word>{mixed})(?P<ending>s|['’]s)?(?!\w)", _spelt_mixed),
        rule(r"(?P<word>[A-ZÄÖÜ]{2,})(?P<ending>s|['’]s)?(?!\w)", _spelt),
    ]
