# ruff: noqa: SIM905 - tables.
"""Numbers in words, as English and German say them.

num2words is the oracle in the tests; it takes 0.2 ms to 0.8 ms a number, these about a hundredth.
"""

from functools import lru_cache

# English.
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_SCALES = (
    (10**15, "quadrillion"), (10**12, "trillion"), (10**9, "billion"), (10**6, "million"),
    (1000, "thousand"),
)  # fmt: skip

LARGEST = 10**18 - 1
"""The largest number that is said as one; a longer one is said digit by digit."""


@lru_cache(4096)
def english(number: int) -> str:
    """A whole number from 0 to :data:`LARGEST`: "one thousand two hundred and six"."""
    if number < 100:
        return _english_pair(number)
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ONES[hundreds]} hundred" + (f" and {english(rest)}" if rest else "")
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    count, rest = divmod(number, size)
    link = " and " if 0 < rest < 100 else " "
    return f"{english(count)} {name}" + (f"{link}{english(rest)}" if rest else "")


def _english_pair(number: int) -> str:
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def english_ordinal(number: int) -> str:
    """As in "first", "twenty-first", "one hundredth"."""
    words = english(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        return words[:cut] + _ORDINALS[last]
    return words[:-1] + "ieth" if last.endswith("y") else words + "th"


def english_year(year: int) -> str:
    """As in "nineteen oh-six", "two thousand and five", "twenty fifteen"."""
    if not 1000 <= year <= 9999 or year % 1000 < 10:
        return english(year)
    century, rest = divmod(year, 100)
    if not rest:
        return english(year) if century % 10 == 0 else f"{english(century)} hundred"
    return f"{english(century)} " + (f"oh-{english(rest)}" if rest < 10 else english(rest))


def english_plural(words: str) -> str:
    """As in "nineteen nineties", "sixes"."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


# German.
_GERMAN_ONES = (
    "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn"
).split()
_GERMAN_TENS = "- - zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_GERMAN_SCALES = (
    (10**15, "Billiarde", "Billiarden"), (10**12, "Billion", "Billionen"),
    (10**9, "Milliarde", "Milliarden"), (10**6, "Million", "Millionen"),
)  # fmt: skip
_GERMAN_ORDINALS = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}


@lru_cache(4096)
def german(number: int) -> str:
    """A whole number from 0 to :data:`LARGEST`: "eintausendzweihundertsechs"."""
    for size, one, many in _GERMAN_SCALES:
        if number >= size:
            count, rest = divmod(number, size)
            words = f"eine {one}" if count == 1 else f"{_german_joined(count)} {many}"
            return words + (f" {german(rest)}" if rest else "")
    words = _german_joined(number)
    return words + "s" if number % 100 == 1 else words


def _german_joined(number: int) -> str:
    """As in front of another word: "ein", "einundzwanzig"."""
    if number < 20:
        return _GERMAN_ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return (f"{_GERMAN_ONES[ones]}und" if ones else "") + _GERMAN_TENS[tens]
    size, name = (100, "hundert") if number < 1000 else (1000, "tausend")
    count, rest = divmod(number, size)
    return _german_joined(count) + name + (_german_joined(rest) if rest else "")


def german_counted(number: int) -> str:
    """As in front of a noun: "ein", where alone it is "eins"."""
    words = german(number)
    return words[:-1] if number % 100 == 1 else words


def german_ordinal(number: int) -> str:
    """Without its ending: "zwölft", "zwanzigst", to which "e", "en" or "er" is added."""
    if number % 100 in _GERMAN_ORDINALS:
        last = number % 100
        return (german_counted(number - last) if number > last else "") + _GERMAN_ORDINALS[last]
    return german_counted(number) + ("t" if 0 < number % 100 < 20 else "st")


def german_year(year: int) -> str:
    """As in "neunzehnhundertsechs", "zweitausendfünf"."""
    if not 1100 <= year <= 1999:
        return german(year)
    century, rest = divmod(year, 100)
    return f"{_GERMAN_ONES[century]}hundert" + (german(rest) if rest else "")


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(numeral: str) -> int:
    """The number of a Roman numeral; 0 for what is none."""
    total, values = 0, [_ROMAN.get(letter, 0) for letter in numeral]
    for value, after in zip(values, [*values[1:], 0], strict=True):
        total += -value if value < after else value
    return total if total > 0 and to_roman(total) == numeral else 0


def to_roman(number: int) -> str:
    """A number below 4,000 in Roman numerals."""
    written = "M" * (number // 1000)
    for one, five, ten, size in (("C", "D", "M", 100), ("X", "L", "C", 10), ("I", "V", "X", 1)):
        digit = number // size % 10
        written += ("", one, one * 2, one * 3, one + five, five, five + one, five + one * 2,
                    five + one * 3, one + ten)[digit]  # fmt: skip
    return written
