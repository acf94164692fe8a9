# ruff: noqa: RUF001 - signs that look like others are meant.
"""The vocabulary of a language, for the rules; implemented by :mod:`english` and :mod:`german`."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

Form = tuple[str, str]
"""Singular and plural: ("metre", "metres")."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency in words.

    Parameters:
        name: Its name, singular and plural.
        cent: The name of its hundredth, singular and plural; two empty words if it has none.
    """

    name: Form
    cent: Form = ("", "")


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """An abbreviation that is spoken in full.

    Parameters:
        words: The words to speak.
        dot: Whether it counts only with its full stop ("min.", "p.").
        before: What must follow it: a digit, a capital letter, or anything.
    """

    words: str
    dot: bool = False
    before: Literal["digit", "capital", "any"] = "any"


class Language(ABC):
    """The words of one language. Numbers are given as integers or as strings of digits."""

    code: ClassVar[str]
    decimal: ClassVar[str]
    """The decimal separator, where a number can be read in two ways."""
    month_first: ClassVar[bool] = False
    """Whether 3/12 is a day in March."""

    units: ClassVar[Mapping[str, Form]]
    currencies: ClassVar[Mapping[str, Currency]]
    """By sign and by code: "€", "EUR"."""
    rates: ClassVar[Mapping[str, str]]
    """What stands behind money: "pcm", "per calendar month"."""
    magnitudes: ClassVar[Mapping[str, Form]]
    """By what is written behind a number: "k", "bn"."""
    months: ClassVar[Mapping[str, int]]
    """By their names and abbreviations, without a full stop."""
    weekdays: ClassVar[Mapping[str, str]]
    abbreviations: ClassVar[Mapping[str, Abbreviation]]
    """Without the full stop at the end."""
    signs: ClassVar[Mapping[str, str]]
    """Symbols that are always spoken."""
    spelt: ClassVar[frozenset[str]]
    """Acronyms that are spelt though they could be pronounced."""
    pronounced: ClassVar[frozenset[str]]
    """Words in capitals that are not spelt."""
    scripts: ClassVar[Mapping[str, str]]
    """Scripts by the first word of their letters' Unicode names."""
    phone_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which digits are dialled."""
    code_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which digits are read one by one."""
    year_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which four digits are a year, whatever follows."""
    count_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which four digits are a number."""
    roman_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which a Roman numeral counts: "Chapter"."""
    regnal_cue: ClassVar[re.Pattern[str]]
    """Ends with the name of a king, a queen or a pope."""
    verse_cue: ClassVar[re.Pattern[str]]
    """Ends with a book of the Bible, after which 3:16 is a chapter and a verse."""
    version_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which 3.11 is a version: "Python"."""
    titled: ClassVar[re.Pattern[str]]
    """Ends with a title and a name: "King James"."""
    ranked: ClassVar[re.Pattern[str]]
    """Begins with what a Roman numeral counts as a rank: " century"; group ``th`` is its ending."""
    counted: ClassVar[re.Pattern[str]]
    """Begins with a space and a word that is counted: " customers"."""
    score_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which 3–1 is a score."""
    mark_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which 4/5 is a mark: "rated"."""
    noun: ClassVar[re.Pattern[str]]
    """Begins with a space and a word that an amount may describe: "a £5 note"."""
    article: ClassVar[re.Pattern[str]]
    """Ends with an article that goes with one thing: "a"."""
    clock_cue: ClassVar[re.Pattern[str]]
    """Ends with words after which 7.45 is a time: "leaves at"."""
    clock_cue_words: ClassVar[str]
    """Pattern of what happens at a time of day: "leaves"."""
    from_or_at: ClassVar[str]
    """Pattern of what stands before a time of day: "at"."""
    day_cue: ClassVar[re.Pattern[str]]
    """Ends with a word after which 5/6 is a day: "on"."""
    until_now: ClassVar[re.Pattern[str]]
    """A word that ends a stretch of time which has not ended: "present"."""

    # Words of the rules.
    point: ClassVar[str]
    minus: ClassVar[str]
    plus: ClassVar[str]
    to: ClassVar[str]
    and_: ClassVar[str]
    per: ClassVar[str]
    by: ClassVar[str]
    times: ClassVar[str]
    ratio: ClassVar[str]
    out_of: ClassVar[str]
    nil: ClassVar[str]
    """No goals."""
    noughties: ClassVar[str]
    """The years from 2000 to 2009."""
    full_hours: ClassVar[str]
    """After an hour of four figures: "fifteen hundred hours"."""
    percent: ClassVar[str]
    over: ClassVar[str]
    power: ClassVar[str]
    squared: ClassVar[str]
    cubed: ClassVar[str]
    at: ClassVar[str]
    dot: ClassVar[str]
    slash: ClassVar[str]
    hyphen: ClassVar[str]
    underscore: ClassVar[str]
    number: ClassVar[str]
    stars: ClassVar[Form]
    noon: ClassVar[str]
    """Pattern of words that end a stretch of the day: "noon"."""
    angles: ClassVar[tuple[Form, Form, Form]]
    """Degrees, minutes and seconds of an arc."""
    sides: ClassVar[Mapping[str, str]]
    """North, south, east and west by their letters."""
    feet: ClassVar[Form]
    inches: ClassVar[Form]
    foreign_word: ClassVar[str]
    """With ``{script}``."""
    foreign_text: ClassVar[str]

    @abstractmethod
    def cardinal(self, number: int) -> str:
        """A number on its own."""

    def counted_number(self, number: int) -> str:
        """A number in front of what it counts."""
        return self.cardinal(number)

    @abstractmethod
    def ordinal(self, number: int, before: str) -> str:
        """A rank, after the text that stands before it."""

    @abstractmethod
    def fraction(self, count: int, parts: int, *, after_whole: bool = False) -> str:
        """So many of so many parts, alone or after "three and"."""

    def part_of(self, fraction: str, unit: str) -> str:
        """A part of one of a unit: "half a pound"."""
        return f"{fraction} {unit}"

    @abstractmethod
    def year(self, year: int) -> str:
        """A year."""

    @abstractmethod
    def plural(self, words: str) -> str:
        """A number of which there are several: the nineties, sixes."""

    @abstractmethod
    def day(self, day: int, month: int, before: str, *, month_first: bool) -> str:
        """A day of a month, after the text that stands before it; as it was written."""

    @abstractmethod
    def month(self, month: int) -> str:
        """A month's name."""

    @abstractmethod
    def clock(self, hour: int, minute: int, half: str) -> str:
        """A time of day; ``half`` is "am", "pm" or empty."""

    @abstractmethod
    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        """A stretch of time."""

    @abstractmethod
    def regnal(self, number: int) -> str:
        """Which Henry: "the eighth"."""

    def spell(self, letters: str) -> str:
        """Letters one by one."""
        return " ".join(letters.upper())

    def digits(self, digits: str) -> str:
        """Digits one by one."""
        return " ".join(self.cardinal(int(digit)) for digit in digits)
