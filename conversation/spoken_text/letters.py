# ruff: noqa: RUF001 - signs that look like others are meant; tables.
"""Abbreviations, acronyms, codes, Roman numerals, and letters that a voice cannot pronounce."""

import re
import unicodedata

from conversation.spoken_text import numbers
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
        if title not in known and short[0].islower() and abbreviation.before != "capital":
            words = abbreviation.words
            known[title] = Abbreviation(
                words[0].upper() + words[1:], abbreviation.dot, abbreviation.before
            )
    ends = {"St": "Street", "Dr": "Drive"} if language.code.startswith("en") else {}

    def say(match: re.Match[str], place: Place) -> Said | None:
        short, end = match["short"], match.end()
        if place.before.endswith("/"):
            return None
        abbreviation, dot = known[short], bool(match["dot"])
        rest = place.text[end:]
        if abbreviation.dot and not dot:
            return _numbered(rest, place) if short == "No" else None
        if abbreviation.before == "digit" and not re.match(
            r"\s?[#~€£$]?\d|\s(?:[IVXLC]{2,}|[ivx]{2,})\b", rest
        ):
            return None
        if abbreviation.before == "capital" and not (
            re.match(r"\s[A-ZÄÖÜ]", rest) and re.search(r"\w{2}\.?\s$", place.before)
        ):
            return None
        words = abbreviation.words
        if short == "ed" and _RANKED.search(place.before):
            words = "edition"
        if short == "b/w" and re.match(r"\s\S+\sand\s", rest):
            words = "between"
        if short in ends and _follows_name(place) and not re.match(r"\s[A-Z]", rest):
            words = ends[short]
        # A full stop at the end ends the sentence as well.
        return Said(words, "other", end - 1 if dot and not rest.strip("\"'”’) ") else end)

    numbered = one_of(short for short, what in known.items() if what.before == "digit")
    return [
        rule(rf"(?P<short>{numbered})(?P<dot>\.)(?=\d)", say),
        rule(rf"(?P<short>{one_of(known)})(?P<dot>\.)?(?![\w/])(?!\.\w)", say),
    ]


_RANKED = re.compile(r"(?:\d(?:st|nd|rd|th)|\b(?:first|second|third|new|rev|revised))\.?\s$")
_NAMES_ONE = re.compile(r"\s\d+(?:\s(?:[A-Z]|in\b|on\b|of\b|at\b|is\b|was\b|has\b)|[,.;:!?)]|$)")


def _numbered(rest: str, place: Place) -> Said | None:
    """No 10 Downing Street, No 1 in the charts; but no 10 people agree."""
    return Said(place.language.number) if _NAMES_ONE.match(rest) else None


def _follows_name(place: Place) -> bool:
    return bool(re.search(r"[A-Z][\w'’]*\s$", place.before))


def _spelt(match: re.Match[str], place: Place) -> Said | None:
    """An acronym of capitals, letter by letter, unless it is said as a word."""
    language, word = place.language, match["word"]
    organisation = word == "WHO" and re.search(r"\b[Tt]he\s$", place.before)
    if organisation:
        return Said(language.spell(word))
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
    language, written = place.language, match["numeral"]
    number = roman(written)
    if not number or (match["whose"] and len(written) == 1):
        return None
    whose = "'s" if match["whose"] else ""
    rest = place.text[match.end() :]
    if written in {"C", "D", "L", "M"}:
        return None  # Vitamin C, Class D
    if language.roman_cue.search(place.before):
        return Said(language.cardinal(number) + whose)
    if language.regnal_cue.search(place.before):
        if not _is_rank(written, rest, place):
            return None
        dot = language.code == "de" and re.match(r"\.(?=\s[a-zäöü])", rest)
        return Said(language.regnal(number) + whose, "other", match.end() + bool(dot))
    if ranked := language.ranked.match(rest):
        return Said(language.ordinal(number, place.before), "other", match.end() + ranked.end("th"))
    if not set(written) <= set("IVX"):
        # XL and CV are sizes and résumés; MMXXIV is nothing else.
        return Said(_long_roman(number, language) + whose) if len(written) > 3 else None
    if len(written) == 1:
        return None
    listed = re.search(r"\b[IVX]+(?:,|,?\s(?:and|or|to|und|bis)|\s?[-\u2013&])\s?$", place.before)
    named = re.search(r"[A-Z][a-z]+\s$", place.before)
    if written not in {"IV", "XX", "VI"} or listed or named:
        return Said(language.cardinal(number) + whose)
    return None


def _small_roman(match: re.Match[str], place: Place) -> Said | None:
    """Scene iii, item (iv)."""
    number = roman(match["numeral"].upper())
    bracketed = place.before.endswith("(") and place.text[match.end() :].startswith(")")
    page = re.search(r"\b[Pp](?:p?\.?|ages?)\s$", place.before)
    if not number or not (bracketed or page or place.language.roman_cue.search(place.before)):
        return None
    return Said(place.language.cardinal(number))


def _long_roman(number: int, language: Language) -> str:
    return language.year(number) if number >= 1000 else language.cardinal(number)


def _is_rank(written: str, rest: str, place: Place) -> bool:
    """Whether I behind a name is the first of that name, and not who speaks; X is Malcolm's."""
    if len(written) > 1:
        return True
    titled = place.language.titled.search(place.before)
    if written == "I":
        subject = re.search(r"(?:^|[.!?;]\s)[A-Z]\w+\s$", place.before)
        verb = re.match(r"\s(?:was|is|became|reigned|ruled|died|and|had)\b", rest)
        ends = re.match(r"\s*(?:[.,;:!?)]|$)|\s(?:of|von)\b", rest)
        return bool(titled or ends or (subject and verb))
    return bool(titled or not re.search(r"\bMalcolm\s$", place.before))


def _code(match: re.Match[str], place: Place) -> Said:
    """A4, MP3, SW1A, BA117: letters as letters, digits as they are read in codes."""
    language = place.language
    words: list[str] = []
    for piece in re.findall(rf"{LATIN}+|\d+", match[0]):
        if piece.isdigit():
            if re.fullmatch(r"(?:19|20)\d\d", piece) and words:
                words.append(language.year(int(piece)))  # FY2024
            elif len(piece) < 3 and (piece[0] != "0" or piece == "0"):
                words.append(language.cardinal(int(piece)))
            else:
                words.append(language.digits(piece))
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


def _greek(letter: re.Match[str]) -> str:
    return unicodedata.name(letter[0]).split(" WITH ")[0].split()[-1].lower()


def _foreign(match: re.Match[str], place: Place) -> Said:
    """Return the name of letters that a voice of this language cannot pronounce."""
    language, letters = place.language, match[0]
    kinds = [unicodedata.name(letter, "").split(" ")[0] for letter in letters if letter.isalpha()]
    kind = next((kind for kind in kinds if kind in {"HIRAGANA", "KATAKANA"}), (*kinds, "")[0])
    single = re.split(r"[\s,]+", letters)
    if all(len(word) == 1 and unicodedata.name(word, "").startswith("GREEK ") for word in single):
        return Said(re.sub(r"[^\s,]", _greek, letters))
    script = language.scripts.get(kind, kind.title())
    several = len(letters.split()) > 1 or (kind in {"CJK", "HIRAGANA", "THAI"} and len(letters) > 6)
    form = language.foreign_text if several else language.foreign_word
    return Said(form.format(script=script or "?"))


def _century(match: re.Match[str], place: Place) -> Said | None:
    """The 18th c."""
    if not re.search(r"\d(?:st|nd|rd|th)[\s-]?$", place.before):
        return None
    ends = match[0][-1] == "." and not place.text[match.end() :].strip("\"'”’) ")
    return Said("century", "other", match.end() - ends)


def _screen(match: re.Match[str], place: Place) -> Said:
    """1080p."""
    lines = int(match["lines"])
    words = numbers.english_year(lines) if lines > 999 else _pairs(lines)
    return Said(f"{words} {place.language.spell(match['scan'])}")


def _pairs(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    return f"{numbers.english(hundreds)} {numbers.english(rest)}"


def _street(match: re.Match[str], place: Place) -> Said:
    return Said(f"{match['stem']}straße")


def _side(match: re.Match[str], place: Place) -> Said:
    """N. America, S. Korea."""
    return Said({"N": "North", "S": "South", "E": "East", "W": "West"}[match["side"]])


_REGION = (
    r"(?:America|Africa|Korea|Ireland|Carolina|Dakota|London|Yorkshire|Wales|Germany|Europe|Asia"
    r"|Virginia|Sussex|Coast|Sea|Side|Midlands|Vietnam|Sudan|Australia)\b"
)


def foreign_rules() -> list[Rule]:
    """Rules for letters of other scripts."""
    mark = r"\u0300-\u036f\u3000-\u303f\u200c\u200d"
    word = rf"{FOREIGN}(?:{FOREIGN}|[{mark}'’\u2019-])*(?<![\u3001\u3002])"
    return [rule(rf"{word}(?:[\s,]+{word})*", _foreign)]


def code_rules() -> list[Rule]:
    """Rules for letters with digits among them, whichever comes first."""
    return [
        rule(r"(?P<lines>480|576|720|1080|1440|2160)(?P<scan>[pi])(?!\w)", _screen),
        rule(rf"(?=[^\W_]*\d)(?=\d*{LATIN})(?:{LATIN}|\d)+(?![\d_²³]|{LATIN})", _code),
    ]


def _bracket(match: re.Match[str], place: Place) -> Said | None:
    """An angle bracket around an address or a word."""
    if match[0] == "<":
        return Said("")
    return Said("") if re.search(r"<[^<>\s][^<>]*$", place.before) else None


def sign_rules(language: Language) -> list[Rule]:
    """Rules for what begins with a sign."""
    return [
        rule(r"<(?=[A-Za-z][^<>\n]{0,70}>)", _bracket),
        rule(r">", _bracket),
        rule(
            r"(?<!\S)(?P<dashes>--)(?=[a-z])|(?<!\S)(?P<dash>-)(?=[a-zA-Z](?:[\s,.;]|$))",
            lambda match, place: Said(
                " ".join([language.hyphen] * len(match["dashes"] or match["dash"]))
            ),
        ),
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
        rule(
            r"c(?=(?:1\d|20)\d\d(?!\w))",
            lambda match, place: Said(place.language.abbreviations["ca"].words),
        ),
        rule(r"[Cc]\.?(?![\w.])", _century),
        *code_rules(),
        rule(r"(?P<letter>[A-Z])(?P<sign>\+\+|#)(?!\w)", _sharp),
        rule(r"(?P<stem>[A-ZÄÖÜ][\wäöüß]*?)str\.", _street)
        if language.code == "de"
        else rule(rf"(?P<side>[NSEW])\.(?=\s{_REGION})", _side),
        *_abbreviation_rules(language),
        rule(r"(?:[A-Z][a-z]?\.){2,}(?!\w)", _dotted),
        rule(r"(?:[A-Z]\.)+[A-Z](?![\w.])", _dotted),
        rule(r"(?:[a-z]\.){2,}(?!\w)", _dotted),
        rule(r"(?P<numeral>[IVXLCDM]+)(?:(?P<whose>['’]s)?(?![\w'’])|(?=th\b|e\b))", _roman),
        rule(r"(?P<numeral>[ivx]{2,})(?!\w)", _small_roman),
        rule(rf"(?P<word>{mixed})(?P<ending>s|['’]s)?(?!\w)", _spelt_mixed),
        rule(r"(?P<word>[A-ZÄÖÜ]{2,})(?P<ending>s|['’]s)?(?!\w)", _spelt),
    ]
