# ruff: noqa: RUF001, SIM905 - signs that look like others are meant; tables.
"""Numbers, money, measures, ranks and fractions."""

import re
import unicodedata
from fractions import Fraction

from conversation.spoken_text.language import Currency, Language
from conversation.spoken_text.numbers import LARGEST
from conversation.spoken_text.rule import LATIN, Place, Rule, Said, one_of, rule

NUMBER = (
    r"(?:(?:(?!0)\d{1,3}(?: \d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
    r"|\d{1,3}(?:[.,'’]\d{3})+(?!\d)|\d+)(?:[.,]\d+)?|(?<![\w.])\.\d+)(?!\d)"
)
"""A number as Europe and America write it; what its signs mean is for :func:`parse`."""

DASH = r"\s?[-\u2010-\u2015−]\s?"
_MINUS = r"(?P<minus>(?<![\w)\]%°€£$.,])[-−\u2013])?"
_MINUS_APART = (
    r"(?P<minus>(?<![\w)\]%°€£$.,])[-−\u2013](?:(?<![\d)]\s[-−\u2013])\s(?=\d+(?:[.,]\d+)?\s?°))?)?"
)
"""A minus that may stand apart, before a temperature only: – 18 °C."""
_END = r"(?![^\W_])"

_CODES = {
    "EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "PLN": "zł", "CZK": "Kč",
    "TRY": "₺", "RUB": "₽", "AUD": "A$", "CAD": "C$", "KRW": "₩", "ILS": "₪", "Rs": "₹",
}  # fmt: skip
_POINT_IS_DECIMAL = frozenset(
    "$ US$ A$ AU$ C$ CA$ NZ$ HK$ S$ £ ¥ ₹ USD GBP AUD CAD JPY INR Rs".split()
)
"""Money of countries in which nobody groups digits by points."""
_ATTACHED = frozenset(["K", "s", "t", "J", "N"])
"""Units that mean something else without a space: 4K, the 90s."""
_PLAIN_MAGNITUDES = frozenset(
    "k K M bn tn million millions billion billions trillion thousand mio Mio mln mn Mrd Tsd "
    "Million Millionen Milliarde Milliarden tausend".split()
)
"""Magnitudes of what is no money: 12m are metres, 3b is a code."""
_DOT = r"(?:(?<=[A-Za-z])\.(?=\s+[a-zäöü(€£$])|(?<=hr|ft|lb|rs)\.(?=\s\d))?"
"""The full stop of an abbreviation, where the sentence goes on."""
_SIZE_DOT = r"(?:(?<=Mio|Mrd|Tsd)\.|\.(?=\s+[a-zäöü(€£$]))?"
_JOINED = r"(?:\s?|-(?=[A-Za-z]{4}))"
"""What stands between a number and its magnitude: $40m, $40 million, a $40-million budget."""
_MOST_DIGITS = 9
"""More of them, without any sign between them, are no amount."""


def parse(written: str, language: Language, *, grouped_by_points: bool = False) -> tuple[int, str]:
    """Read a number.

    Args:
        written: As :data:`NUMBER` matches it.
        language: Decides where both readings are possible.
        grouped_by_points: 1.299 is more than a thousand, whatever the language: a price in euros
            has no three decimals.

    Returns:
        The whole number, and its decimals.
    """
    plain = re.sub(r"[ '’]", "", f"0{written}" if written[0] == "." else written)
    signs = [sign for sign in plain if sign in ".,"]
    if not signs:
        return int(plain), ""
    last = signs[-1]
    whole, _, decimals = plain.rpartition(last)
    grouped = len(decimals) == 3 and len(whole) <= 3 and int(whole) > 0
    if len(signs) == 1:
        joined = grouped and (last != language.decimal or (grouped_by_points and last == "."))
    else:
        joined = len(set(signs)) == 1
    if joined:
        whole, decimals = plain, ""
    return int(re.sub(r"[.,]", "", whole)), decimals


def say_number(whole: int, decimals: str, language: Language, *, counted: bool = False) -> str:
    """A number in words."""
    if whole > LARGEST:
        words = language.digits(str(whole))
    elif counted and not decimals:
        words = language.counted_number(whole)
    else:
        words = language.cardinal(whole)
    return f"{words} {language.point} {language.digits(decimals)}" if decimals else words


def _describes(place: Place, end: int) -> bool:
    """Whether an amount describes a noun, as in "a £5 note"."""
    return bool(
        place.language.article.search(place.before) and place.language.noun.match(place.text, end)
    )


def _minus(match: re.Match[str], place: Place) -> str:
    return f"{place.language.minus} " if match["minus"] else ""


# Money.


def _money_rules(language: Language) -> list[Rule]:
    known = {*language.currencies, *_CODES}
    sign = one_of(known)
    size = one_of(language.magnitudes)
    sized = rf"(?:{_JOINED}(?P<size>{size}){_END}{_SIZE_DOT})?"
    each = (
        rf"(?:\s?(?P<rate>{one_of(language.rates)})(?![\w/]){_DOT}|"
        r"(?:/| / (?=month|year|week|day|night|hour|person|head|kg|l\b|Monat|Jahr|Tag|Person))"
        r"(?P<each>[^\W\d_]+[²³]?)(?:/(?P<each2>[^\W\d_]+))?" + _DOT + r")?"
    )
    return [
        rule(
            rf"{_MINUS}(?<![^\W\d_])(?P<sign>{sign})\s?(?P<minus2>[-−])?(?P<number>{NUMBER})"
            rf"(?:[.,][-\u2013\u2014]{{1,2}})?{sized}"
            rf"(?:{DASH}(?:(?P<sign2>{sign})\s?)?(?P<number2>{NUMBER})"
            rf"(?:{_JOINED}(?P<size2>{size}){_END}{_SIZE_DOT})?)?{each}",
            _money,
        ),
        rule(
            rf"{_MINUS}(?P<number>{NUMBER})(?:[.,][-\u2013\u2014]{{1,2}})?{sized}"
            rf"\s?(?P<sign>{sign}){_END}{each}",
            _money,
        ),
        rule(rf"(?P<number>1?\d{{1,2}})p{_END}(?:/(?P<each>[^\W\d_]+))?", _pence),
    ]


def _pence(match: re.Match[str], place: Place) -> Said | None:
    if not place.language.code.startswith("en"):
        return None
    count = int(match["number"])
    words = f"{place.language.cardinal(count)} {'penny' if count == 1 else 'pence'}"
    if match["each"]:
        words += f" {place.language.per} {_each(match['each'], place.language)}"
    return Said(words, "money")


def _money(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    found = match.groupdict()
    currency = _currency(match["sign"], language)
    if currency is None:
        return None
    one = _describes(place, match.end())
    by_points = match["sign"] not in _POINT_IS_DECIMAL and not match["each"]
    number = parse(match["number"], language, grouped_by_points=by_points)
    words = ""
    if found.get("number2"):
        last = parse(match["number2"], language, grouped_by_points=by_points)
        if match["sign2"]:
            words = _amount(currency, *number, match["size"], language)
        else:
            first_size = match["size"] and f" {_size(match['size'], number, language)}"
            words = say_number(*number, language) + (first_size or "")
        words += f" {language.to} "
        currency = _currency(match["sign2"], language) if match["sign2"] else currency
        words += _amount(currency or Currency(("", "")), *last, match["size2"], language, one=one)
    else:
        words = _amount(currency, *number, match["size"], language, one=one)
    if match["minus"] or found.get("minus2"):
        words = f"{language.minus} {words}"
    if match["rate"]:
        words += f" {language.rates[match['rate']]}"
    for part in (match["each"], match["each2"]):
        if part:
            words += f" {language.per} {_each(part, language)}"
    return Said(words, "money")


def _currency(sign: str, language: Language) -> Currency | None:
    return language.currencies.get(sign) or language.currencies.get(_CODES.get(sign, ""))


def _each(name: str, language: Language) -> str:
    return language.units[name][0] if name in language.units else name


def _size(size: str, number: tuple[int, str], language: Language) -> str:
    return language.magnitudes[size][number != (1, "")]


def _amount(
    currency: Currency, whole: int, decimals: str, size: str | None, language: Language,
    *, one: bool = False,
) -> str:  # fmt: skip
    """An amount of money in words; ``one`` for the singular."""
    if size:
        words = say_number(whole, decimals, language, counted=True)
        return f"{words} {_size(size, (whole, decimals), language)} {currency.name[not one]}"
    cents = int(decimals) if len(decimals) == 2 and (currency.cent[0] or not int(decimals)) else 0
    if (decimals and len(decimals) != 2) or (decimals and not cents and int(decimals)):
        return f"{say_number(whole, decimals, language)} {currency.name[1]}"
    small = f"{language.counted_number(cents)} {currency.cent[cents != 1]}"
    if not whole and cents:
        return small
    several = whole != 1 and not one
    words = f"{language.counted_number(whole)} {currency.name[several]}"
    if not cents:
        return words
    return (
        f"{words} {language.and_} {small}" if cents < 10 else f"{words} {language.cardinal(cents)}"
    )


# Measures.


def _measure_rules(language: Language) -> list[Rule]:
    unit = one_of(language.units)
    size = one_of(word for word in language.magnitudes if len(word) > 3)
    apart = one_of(_ATTACHED & set(language.units)) if _ATTACHED & set(language.units) else "(?!)"
    return [
        rule(
            r"(?P<feet>\d{1,3})\s?(?:ft\.?|['’′])\s?(?P<inches>\d{1,2})"
            rf"(?:\s?(?:in\b{_DOT}|inch\b|inches\b|[\"”″]|''))?(?!\w)",
            _feet,
        ),
        rule(rf"(?P<number>{NUMBER})\s?[\"”″](?!\w)", _inches),
        rule(
            rf"(?P<number>{NUMBER})[\s-]?(?:in\.(?=\s[a-z])"
            r"|in(?=\s(?:wide|long|deep|tall|high|thick|across|x|by)\b|\s?[x×]\s?\d))",
            _inches,
        )
        if language.code != "de"
        else rule(rf"(?P<number>{NUMBER})[\s-]?Zoll\b", _inches),
        rule(
            rf"{_MINUS_APART}(?P<number>{NUMBER})(?:[\s-](?P<size>{size}))?"
            rf"(?:(?P<hyphen>-)|\s|(?!{apart}{_END}))(?P<unit>{unit}){_END}{_DOT}"
            rf"(?:\s?/\s?(?P<count>\d+)?\s?(?P<each>{unit}|day|week|month|year|night|person"
            rf"|Tag|Woche|Monat|Jahr|Person|[a-z]{{2,}}[a-rt-z]){_END}(?:\s?/\s?(?P<each2>[^\W\d_]+))?)?",
            _measure,
        ),
        rule(
            rf"(?P<number>\d+[.,]\d+|\d+)(?P<unit>s){_END}"
            r"(?P<size>)(?P<count>)(?P<each>)(?P<minus>)(?P<hyphen>)",
            _measure,
        ),
    ]


def _measure(match: re.Match[str], place: Place) -> Said:
    language = place.language
    number = parse(match["number"], language)
    describes = match["hyphen"] and language.noun.match(place.text, match.end())
    one = number == (1, "") or bool(describes) or _describes(place, match.end())
    words = say_number(*number, language, counted=True)
    if match["size"]:
        words += f" {_size(match['size'], number, language)}"
        one = False
    words = f"{_minus(match, place)}{words} {language.units[match['unit']][not one]}"
    if match["each"]:
        count = f"{language.cardinal(int(match['count']))} " if match["count"] else ""
        each = match["each"]
        if count and each in language.units:
            each = language.units[each][1]
        words += f" {language.per} {count}{_each(each, language)}"
        if match["each2"]:
            words += f" {language.per} {_each(match['each2'], language)}"
    return Said(words, "number")


def _feet(match: re.Match[str], place: Place) -> Said:
    language = place.language
    feet, inches = int(match["feet"]), int(match["inches"])
    return Said(
        f"{language.counted_number(feet)} {language.feet[feet != 1]} "
        f"{language.counted_number(inches)} {language.inches[inches != 1]}",
        "number",
    )


def _angle(match: re.Match[str], place: Place) -> Said | None:
    """52° 31' 12" N: degrees, minutes and seconds of an arc."""
    language = place.language
    if not (match["minutes"] or match["side"]):
        return None
    words = []
    for part, (one, several) in zip(
        ("degrees", "minutes", "seconds"), language.angles, strict=True
    ):
        if match[part]:
            number = parse(match[part], language)
            words += [say_number(*number, language), one if number == (1, "") else several]
    if match["side"]:
        words.append(language.sides.get(match["side"], match["side"]))
    return Said(" ".join(words), "number")


def _inches(match: re.Match[str], place: Place) -> Said | None:
    if match[0].endswith(('"', "”")):
        quotes = len(re.findall(r'(?<!\d)"', place.text[: place.start]))
        opened = quotes % 2 or place.text.count("“", 0, place.start)
        if opened:
            return None
    number = parse(match["number"], place.language)
    one = number == (1, "") or _describes(place, match.end())
    return Said(f"{say_number(*number, place.language)} {place.language.inches[not one]}", "number")


# Ranks, fractions, plain numbers.


def _rank(match: re.Match[str], place: Place) -> Said:
    number, _ = parse(match["number"], place.language)
    return Said(place.language.ordinal(number, place.before), "number")


def _german_rank(match: re.Match[str], place: Place) -> Said | None:
    ranked = place.language.ordinal(int(match["number"]), place.before)
    return None if ranked.endswith("er") else Said(ranked, "number")


def _vulgar(match: re.Match[str], place: Place) -> Said:
    part = Fraction(unicodedata.numeric(match["part"])).limit_denominator(100)
    return Said(_measured(match["whole"], part, match["unit"], place.language), "number")


def _measured(whole: str | None, part: Fraction, unit: str | None, language: Language) -> str:
    words = _fraction(int(whole) if whole else 0, part, language)
    if not unit:
        return words
    one, several = language.units[unit]
    return f"{words} {several}" if whole else language.part_of(words, one)


def _fraction(whole: int, part: Fraction, language: Language) -> str:
    words = language.fraction(part.numerator, part.denominator, after_whole=bool(whole))
    return f"{language.cardinal(whole)} {language.and_} {words}" if whole else words


def _mixed(match: re.Match[str], place: Place) -> Said | None:
    part = int(match["over"]), int(match["under"])
    if not 0 < part[0] < part[1] <= 64:
        return None
    language = place.language
    if not match["whole"] and not match["unit"]:
        return None
    if match["unit"] in _RATED and not match["whole"]:
        first, last = map(language.cardinal, part)
        return Said(f"{first} {last} {language.units[match['unit']][1]}", "number")
    return Said(_measured(match["whole"], Fraction(*part), match["unit"], language), "number")


def _slashed(match: re.Match[str], place: Place) -> Said | None:
    """A mark (9/10), a part of a whole (2/3), or two numbers (50/50)."""
    language = place.language
    over, under = match["over"], parse(match["under"], language)[0]
    whole = over.isdigit() and match["under"].isdigit()
    count = int(over) if whole else 0
    rest = place.text[match.end() :]
    of = re.match(r"\s(?:of|der|des|aller)\b", rest)
    mark = 1 < count < under and under in _MARKS and not of
    mark = mark or bool(re.match(r"\s(?:stars?|Sterne?)\b", rest))
    if not whole or mark or language.mark_cue.search(place.before):
        first = say_number(*parse(over, language), language)
        return Said(f"{first} {language.out_of} {language.cardinal(under)}", "number")
    if 0 < count < under and (count, under) != (9, 11):
        return Said(_after_article(language.fraction(count, under), place), "number")
    return Said(f"{language.cardinal(count)} {language.cardinal(under)}", "number")


def _after_article(fraction: str, place: Place) -> str:
    """A quarter-inch screw, where the article is there already."""
    if place.language.article.search(place.before):
        return re.sub(r"^an? ", "", fraction)
    return fraction


def _divided(match: re.Match[str], place: Place) -> Said:
    """6 / 2 = 3: what is written before "=" is a sum."""
    language = place.language
    signs = {"/": "÷", "x": "×", "*": "×", "×": "×"}
    words = language.signs[signs[match["sign"]]]
    return Said(f"{say_number(*parse(match['number'], language), language)} {words}", "number")


def _strokes(match: re.Match[str], place: Place) -> Said:
    """24/7/365: numbers with strokes between them that are no date."""
    return Said(" ".join(place.language.cardinal(int(n)) for n in match[0].split("/")), "number")


def _exponent(match: re.Match[str], place: Place) -> Said:
    """1.5e6: a number as a computer writes it."""
    language = place.language
    words = say_number(*parse(match["number"], language), language)
    minus = f"{language.minus} " if match["sign"] in {"-", "−"} else ""
    power = f"{language.power} {minus}{language.cardinal(int(match['power']))}"
    return Said(
        f"{_minus(match, place)}{words} {language.times} {language.cardinal(10)} {power}", "number"
    )


def _many(match: re.Match[str], place: Place) -> Said | None:
    """100s of people, 1,000s of books."""
    language = place.language
    number, _ = parse(match["number"], language)
    for size in (10**6, 1000, 100, 10):
        count, rest = divmod(number, size)
        if count in {1, 10, 100} and not rest:
            words = language.plural(language.cardinal(size).removeprefix("one "))
            if count > 1:
                tens = language.plural(language.cardinal(count).removeprefix("one "))
                words = f"{tens} of {words}"
            return Said(words)
    return None


def _times(match: re.Match[str], place: Place) -> Said:
    language = place.language
    words = f"{say_number(*parse(match['number'], language), language)} {language.times}"
    return Said(f"{words} {language.per} {match['each']}" if match["each"] else words, "number")


def _by(match: re.Match[str], place: Place) -> Said:
    number = parse(match["number"], place.language)
    return Said(f"{say_number(*number, place.language)} {place.language.by}", "number")


def _pressure(match: re.Match[str], place: Place) -> Said:
    language = place.language
    first, second = (language.cardinal(int(match[part])) for part in ("first", "second"))
    unit = language.units[match["unit"]][1]
    return Said(f"{first} {language.over} {second} {unit}", "number")


def _ratio(match: re.Match[str], place: Place) -> Said:
    language = place.language
    first, second = (
        language.cardinal(parse(match[side], language)[0]) for side in ("first", "second")
    )
    degree = match[0] in {"2:1", "2:2"} and re.search(r"\b[Aa]\s$", place.before)
    if degree or language.verse_cue.search(place.before):
        return Said(f"{first} {second}", "number")
    return Said(f"{first} {language.ratio} {second}", "number")


def _score(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    if not language.score_cue.search(place.before):
        # "A 50-50 chance", and neither a range nor a score.
        same = match["first"] == match["second"]
        if not same:
            return None
    first, second = (_score_word(match[side], language) for side in ("first", "second"))
    return Said(f"{first} {second}", "number")


def _score_word(goals: str, language: Language) -> str:
    return language.cardinal(int(goals)) if int(goals) else language.nil


def _power(match: re.Match[str], place: Place) -> Said:
    language = place.language
    exponent = "".join(str(unicodedata.digit(sign)) for sign in match["exponent"].lstrip("-−⁻"))
    minus = f"{language.minus} " if match["exponent"][0] in "-−⁻" else ""
    base = f"{say_number(*parse(match['number'], language), language)} " if match["number"] else ""
    usual = {"2": language.squared, "3": language.cubed}.get(exponent) if not minus else None
    return Said(f"{base}{usual or f'{language.power} {minus}{language.cardinal(int(exponent))}'}")


def _sized(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    if match["size"] == "K" and not match["space"] and len(match["number"]) < 2:
        return None  # 4K is how sharp a screen is
    number = parse(match["number"], language)
    words = say_number(*number, language, counted=True)
    return Said(f"{_minus(match, place)}{words} {_size(match['size'], number, language)}", "number")


def _groups(match: re.Match[str], place: Place) -> Said:
    """An ISBN, a sort code: digits one by one, in the groups in which they are written."""
    groups = re.findall(r"\d+", match[0])
    return Said(", ".join(place.language.digits(group) for group in groups))


def _model(match: re.Match[str], place: Place) -> Said | None:
    """A Boeing 737-800: neither a range nor a number of things."""
    if not re.search(r"\b(?:Boeing|Airbus|[Mm]odel|[Tt]ype|[Ss]eries|[Pp]art)\s$", place.before):
        return None
    language, last = place.language, match["last"]
    end = language.cardinal(int(last)) if last.endswith("00") else language.digits(last)
    return Said(f"{language.digits(match['first'])}, {end}")


def _version(match: re.Match[str], place: Place) -> Said:
    language = place.language
    groups = match["version"].split(".")
    if len(groups) == 4 and all(len(group) <= 3 for group in groups):
        return Said(f" {language.dot} ".join(map(language.digits, groups)))
    point = language.point if language.code != "de" else language.dot
    return Said(f" {point} ".join(language.cardinal(int(group)) for group in groups))


def _number(match: re.Match[str], place: Place) -> Said:
    language, written = place.language, match["number"]
    minus = _minus(match, place)
    if re.fullmatch(r"\d{1,3}\.[1-9]\d", written) and language.version_cue.search(place.before):
        major, minor = written.split(".")
        point = language.point if language.code != "de" else language.dot
        return Said(f"{language.cardinal(int(major))} {point} {language.cardinal(int(minor))}")
    if written.isdigit():
        coded = language.code_cue.search(place.before) and len(written) > 2
        after_letters = bool(re.search(r"[A-Z]-$", place.before)) and len(written) > 2
        after_letters = after_letters or bool(
            re.search(r"\b[A-Z]{2},? $", place.before) and len(written) == 5
        )
        padded = len(written) > 1 and written[0] == "0"
        if coded or after_letters or padded or len(written) > _MOST_DIGITS:
            return Said(minus + language.digits(written))
    if written[0] in ".,":
        return Said(
            f"{minus}{language.cardinal(0)} {language.point} {language.digits(written[1:])}"
        )
    counted = language.code == "de" and bool(re.match(r" [A-ZÄÖÜ]", place.text[match.end() :]))
    number = parse(written, language)
    return Said(minus + say_number(*number, language, counted=counted), "number")


def _stars(match: re.Match[str], place: Place) -> Said:
    """★★★★☆: four out of five stars."""
    language = place.language
    full, all_of_them = sum(sign in "★⭐" for sign in match[0]), len(match[0])
    words = language.counted_number(full)
    if full < all_of_them:
        words += f" {language.out_of} {language.cardinal(all_of_them)}"
    return Said(f"{words} {language.stars[all_of_them != 1]}", "number")


def _rate_alone(match: re.Match[str], place: Place) -> Said:
    """A speed in km/h: a unit with another under it, and no number."""
    language = place.language
    many, one = language.units[match["unit"]][1], language.units[match["each"]][0]
    return Said(f"{many} {language.per} {one}")


def _unit_alone(match: re.Match[str], place: Place) -> Said | None:
    """A unit without a number, after "per"."""
    if not place.before.endswith(f" {place.language.per} "):
        return None
    return Said(place.language.units[match["unit"]][0])


def word_rules(language: Language) -> list[Rule]:
    """Rules for what begins with a letter: a currency, a unit."""
    units = one_of(unit for unit in language.units if unit[0].isalpha() and len(unit) > 1)
    over = one_of(_OVER & set(language.units))
    under = one_of(_UNDER & set(language.units))
    return [
        _money_rules(language)[0],
        rule(rf"(?P<unit>{over})/(?P<each>{under})(?![\w/²³])", _rate_alone),
        rule(rf"(?P<unit>{units}){_END}", _unit_alone),
    ]


_OVER = frozenset("km m mi kg g mg µg W kWh l ml Mbit Gbit kbit MB GB kB kJ kcal".split())
_UNDER = frozenset("h s min l kg m² m³ km² dl ml km".split())


def sign_rules() -> list[Rule]:
    """Rules for what begins with a sign."""
    return [rule("[★⭐☆]{2,}", _stars)]


def plain_rules() -> list[Rule]:
    """The rule for a number of which no other rule has said what it is."""
    return [rule(rf"{_MINUS}(?P<number>{NUMBER})(?!\w)", _number)]


_RATED = frozenset("V kV Hz kHz MHz GHz GB MB TB W kW A dB px fps Mbit Gbit Mbps Gbps rpm".split())
"""Units of which 50/60 are two values, and no part of one."""
_MARKS = frozenset([10, 20, 50, 100])
"""Out of which marks are given: 9/10 is a mark, 9/16 a part."""


def digit_rules(language: Language) -> list[Rule]:
    """Rules for what begins with a digit or a sign, the more particular first."""
    size = one_of(_PLAIN_MAGNITUDES & set(language.magnitudes))
    ranks = (
        rule(r"(?P<number>\d{1,3})\.(?= [A-ZÄÖÜ])", _german_rank)
        if language.code == "de"
        else rule(rf"(?P<number>{NUMBER})(?:st|nd|rd|th){_END}", _rank, ignore_case=True)
    )
    return [
        *_money_rules(language),
        rule(r"(?P<version>\d+(?:\.\d+){3,})(?![\d.]*\d)", _version),
        rule(
            r"(?!\d{1,3}(?:\.\d{3})+(?!\d))(?P<version>\d{1,2}\.\d{1,2}\.\d{1,2}|\d\.\d+\.\d+)(?![\d.,]*\d)",
            _version,
        ),
        rule(r"(?P<first>\d{3})-(?P<last>\d{3})(?![\w-])", _model),
        rule(r"\d{1,5}(?:-\d{1,7}){3,}(?:-[\dX])?(?!\w)|\d{2}-\d{2}-\d{2}(?![\w-])", _groups),
        rule(
            rf"{_MINUS}(?P<number>\d+(?:[.,]\d+)?)[eE](?P<sign>[+−-]?)(?P<power>\d{{1,3}})(?!\w)",
            _exponent,
        ),
        rule(rf"(?P<number>{NUMBER})s(?=\sof\b)", _many)
        if language.code != "de"
        else rule("(?!)", _many),
        rule(r"(?!9/11\b)\d{1,3}(?:/\d{1,3}){2,}(?![\w/])", _strokes),
        rule(
            rf"(?P<number>{NUMBER})\s?(?P<sign>[x×*/])(?=\s?\d+(?:[.,]\d+)?\s?=|\s?10[\^⁻⁰¹²³⁴⁵⁶⁷⁸⁹])",
            _divided,
        ),
        rule(rf"(?P<number>(?!0[x×]){NUMBER})\s?[x×]\s?(?=\d)", _by),
        rule(
            rf"(?P<number>{NUMBER})\s?[x×](?:/(?P<each>{LATIN}+)|(?!\w))(?!\s?\d)",
            _times,
        ),
        rule(r"(?P<number>\d+)\^(?P<exponent>[-−]?\d+)(?!\w)", _power),
        rule(r"(?P<number>\d+)(?P<exponent>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", _power),
        rule(r"(?P<number>)(?P<exponent>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", _power),
        rule(
            rf"(?P<whole>\d+)?\s?(?P<part>[¼½¾⅐-⅞])(?:\s?(?P<unit>{one_of(language.units)}){_END})?",
            _vulgar,
        ),
        rule(
            rf"(?:(?P<whole>\d{{1,2}}) )?(?P<over>\d{{1,2}})/(?P<under>\d{{1,2}})(?![\w/])"
            rf"(?:\s?(?P<unit>{one_of(language.units)}){_END})?",
            _mixed,
        ),
        rule(
            r"(?P<degrees>\d{1,3}(?:[.,]\d+)?)\s?°"
            r"(?:\s?(?P<minutes>\d{1,2}(?:[.,]\d+)?)\s?['’′](?:\s?(?P<seconds>\d{1,2}(?:[.,]\d+)?)\s?[\"”″])?)?"
            r"(?:\s?(?P<side>[NSEWO])\b)?",
            _angle,
        ),
        *_measure_rules(language),
        rule(r"(?P<first>\d{2,3})/(?P<second>\d{2,3})\s?(?P<unit>mmHg)(?!\w)", _pressure),
        ranks,
        rule(r"(?P<over>\d{1,3}(?:[.,]\d+)?)/(?P<under>\d{1,3}(?:[.,]\d+)?)(?![\w/])", _slashed),
        rule(rf"(?P<first>\d+):(?P<second>{NUMBER})(?![\w:])", _ratio),
        rule(rf"(?P<first>\d{{1,3}}){DASH}(?P<second>\d{{1,3}})(?![\w.,]*\d)", _score),
        rule(
            rf"{_MINUS}(?P<number>{NUMBER})(?P<space>{_JOINED})(?P<size>{size}){_END}{_SIZE_DOT}",
            _sized,
        ),
    ]
