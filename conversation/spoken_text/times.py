# ruff: noqa: RUF001, RUF002 - signs that look like others are meant.
"""Dates, years, days of the week and times of day."""

import re

from conversation.spoken_text.amounts import DASH
from conversation.spoken_text.language import Language
from conversation.spoken_text.rule import Place, Rule, Said, one_of, rule

_AMBIGUOUS_DAYS = frozenset(["Sat", "Sun"])
"""Are words, too."""
_WHOLE_MONTHS = frozenset(["May", "June", "July", "Mai", "Juni", "Juli", "März"])
"""Names as short as an abbreviation."""

_RANK = r"(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4}|['’]\d\d)(?![\w]|[.,]\d)"


def _year(written: str, language: Language) -> str:
    if written[0] in "'’":
        return language.cardinal(int(written[1:]))
    return language.year(int(written))


def _full_year(written: str) -> int:
    year = int(written)
    return year if len(written) > 2 else year + (2000 if year < 50 else 1900)


def _numeric(match: re.Match[str], place: Place) -> Said | None:
    """12/03/2024, 24.12.2025, 1999-03-12."""
    language = place.language
    first, second, year = int(match["first"]), int(match["second"]), _full_year(match["year"])
    month_first = language.month_first and "/" in match[0]
    if month_first:
        first, second = second, first
    if second > 12 and first <= 12:
        first, second = second, first
    if not (1 <= first <= 31 and 1 <= second <= 12):
        return None
    day = language.day(first, second, place.before, month_first=month_first)
    return Said(f"{day} {language.year(year)}", "date")


def _timestamp(match: re.Match[str], place: Place) -> Said | None:
    """2025-11-30T10:00:05Z: a date, a time of day, and where it counts."""
    language = place.language
    day, month, hour = int(match["day"]), int(match["month"]), int(match["hour"])
    if not (1 <= day <= 31 and 1 <= month <= 12 and hour <= 24):
        return None
    parts = [
        language.day(day, month, place.before, month_first=False),
        language.year(int(match["year"])),
        language.clock(hour, int(match["minute"]), ""),
    ]
    if second := int(match["second"] or 0):
        parts.append(language.duration(0, 0, second))
    if zone := match["zone"]:
        parts.append(language.spell("UTC"))
        hours, minutes = int(zone[1:3] or 0), int(zone[-2:] if len(zone) > 3 else 0)
        if hours or minutes:
            sign = language.plus if zone[0] == "+" else language.minus
            parts += [sign, language.duration(hours, minutes, 0)]
    return Said(" ".join(parts), "date")


def _day_of_month(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    day = int(match["day"])
    if not 1 <= day <= 31:
        return None
    words = language.day(day, language.months[match["month"]], place.before, month_first=False)
    return _dated(match, place, words)


def _month_day(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    day = int(match["day"])
    if not 1 <= day <= 31:
        return None
    words = language.day(day, language.months[match["month"]], place.before, month_first=True)
    return _dated(match, place, words)


def _dated(match: re.Match[str], place: Place, words: str) -> Said:
    if match["year"]:
        words += f" {_year(match['year'], place.language)}"
    end = match.end()
    # The full stop of an abbreviated month may end the sentence, too.
    return Said(words, "date", end - 1 if match[0][-1] == "." and end == len(place.text) else end)


def _point_day(match: re.Match[str], place: Place) -> Said | None:
    """24.12., as on the Continent: a day by what stands before it, or by what follows."""
    language = place.language
    day, month = int(match["first"]), int(match["second"])
    rest = place.text[match.end() :]
    goes_on = re.match(rf"(?:{DASH}\d|\s[a-zäöü(])", rest)
    if not (goes_on or language.day_cue.search(place.before)):
        return None
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    words = language.day(day, month, place.before, month_first=False)
    return Said(words, "date", match.end() - (0 if rest.strip("\"'”’) ") else 1))


def _last_day(match: re.Match[str], place: Place) -> Said | None:
    """The second day of December 25–26."""
    month = one_of(place.language.months)
    first = rf"\b{month}\.?\s\d{{1,2}}{_RANK}{DASH}$"
    if not 1 <= int(match["day"]) <= 31 or not re.search(first, place.before):
        return None
    return Said(place.language.day(int(match["day"]), 0, place.before, month_first=False), "date")


def _day_of_week(match: re.Match[str], place: Place) -> Said | None:
    """Sat 5 or Sun 6 July: a number after a weekday, where a month follows."""
    language = place.language
    day, month = one_of(language.weekdays), one_of(language.months)
    if not re.search(rf"\b{day}[.,]?\s(?:the\s)?$", place.before):
        return None
    link = r"(?:,|&|\s(?:and|or|to|und|bis|oder)|\s?[-\u2013])"
    if not re.match(
        rf"{link}[^.!?\d]{{1,15}}\d{{1,2}}{_RANK}\.?\s(?:of\s)?{month}", place.text[match.end() :]
    ):
        return None
    return _first_day(match, place)


def _first_day(match: re.Match[str], place: Place) -> Said | None:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return None
    return Said(place.language.day(day, 0, place.before, month_first=False), "date")


def _month_of_year(match: re.Match[str], place: Place) -> Said:
    return _dated(match, place, place.language.month(place.language.months[match["month"]]))


def _numbered_month(match: re.Match[str], place: Place) -> Said:
    language = place.language
    return Said(
        f"{language.month(int(match['month']))} {language.year(int(match['year']))}", "date"
    )


def _month_alone(match: re.Match[str], place: Place) -> Said:
    return Said(place.language.month(place.language.months[match["month"]]), "date")


def _weekday(match: re.Match[str], place: Place) -> Said:
    return Said(place.language.weekdays[match["day"]], "date")


def _decade(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    number = int(match["number"])
    if len(match["number"]) == 4:
        return Said(language.plural(language.year(number)), "year")
    cue = (
        r"\b(?:the|in|his|her|their|my|our|early|mid|late|under|over|and|to|of|die|den|der)[\s-]+$"
    )
    if match["short"] or re.search(cue, place.before, re.IGNORECASE):
        words = language.noughties if not number else language.plural(language.cardinal(number))
        return Said(words, "year")
    return None


def _season(match: re.Match[str], place: Place) -> Said | None:
    """2023/24, 2016-19; but 2018-09 is a month."""
    language = place.language
    year, end = match["year"], int(match["end"])
    if not 1100 <= int(year) <= 2099:
        return None
    if end <= int(year[2:]) and 1 <= end <= 12 and match["dash"] == "-":
        return Said(f"{language.month(end)} {language.year(int(year))}", "date")
    return Said(f"{language.year(int(year))} {language.to} {language.cardinal(end)}", "year")


def _two_years(match: re.Match[str], place: Place) -> Said | None:
    """The winter of 1999/2000."""
    first, last = int(match["year"]), int(match["end"])
    if last != first + 1:
        return None
    language = place.language
    return Said(f"{language.year(first)} {language.to} {language.year(last)}", "year")


def _four_digits(match: re.Match[str], place: Place) -> Said | None:
    """Four digits are a year, unless they count something."""
    language, year = place.language, int(match["year"])
    if not 1000 <= year <= 2099:
        return None
    if language.code_cue.search(place.before) or language.count_cue.search(place.before):
        return None
    if not language.year_cue.search(place.before):
        if year < 1100 or language.counted.match(place.text, match.end()):
            return None
        if place.before[-1:] and place.before[-1] not in " (\u2013-/\"'“‘:,[":
            return None
    return Said(language.year(year), "year")


def _clock(match: re.Match[str], place: Place) -> Said | None:
    language = place.language
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = match["half"].replace(".", "").replace(" ", "").lower() if match["half"] else ""
    if hour > (12 if half else 24) or minute > 59:
        return None
    end = match.end()
    ends_sentence = match[0][-1] == "." and end == len(place.text)
    return Said(language.clock(hour, minute, half), "time", end - 1 if ends_sentence else end)


def _plain_clock(match: re.Match[str], place: Place) -> Said | None:
    hour, minute = int(match["hour"]), int(match["minute"])
    if place.language.verse_cue.search(place.before):
        return None
    if hour > 24 or minute > 59:
        return None
    return Said(place.language.clock(hour, minute, ""), "time")


def _french_clock(match: re.Match[str], place: Place) -> Said | None:
    """It starts at 14h30; but it takes 2h30."""
    language = place.language
    at = re.search(rf"(?:\b{language.from_or_at}\s|{DASH})$", place.before, re.IGNORECASE)
    return _plain_clock(match, place) if at else None


def _dotted_clock(match: re.Match[str], place: Place) -> Said | None:
    """A time by what stands before it: "the train leaves at 7.45", "on 2 June at 9.30"."""
    language, before = place.language, place.before
    if language.clock_cue.search(before):
        return _plain_clock(match, place)
    dated = re.search(rf"\b{one_of([*language.months, *language.weekdays])}\b", before)
    if not dated and not re.search(language.clock_cue_words, before, re.IGNORECASE):
        return None
    at = dated and re.search(rf"\b{language.from_or_at}\s$", before, re.IGNORECASE)
    last = re.search(rf"\d\.[0-5]\d(?:{DASH}|\s(?:to|and|until|bis|und)\s)$", before)
    first = re.match(rf"{DASH}\d{{1,2}}\.[0-5]\d(?![\d%]|\s?[%€£$])", place.text[match.end() :])
    return _plain_clock(match, place) if at or last or first else None


def _four_figures(match: re.Match[str], place: Place) -> Said | None:
    """0900–1700, 1500 hrs: the time of day as soldiers and timetables write it."""
    language = place.language
    hour, minute = int(match["hour"]), int(match["minute"])
    hours = match["hours"]
    attached = hours == "h"
    ends = rf"(?:\b{language.from_or_at}\s|{DASH})$"
    padded = match["hour"][0] == "0"
    ranged = re.match(rf"{DASH}(?:[01]\d|2[0-4])[0-5]\d(?!\d)", place.text[match.end() :])
    after = re.search(rf"(?<!\d)(?:0\d|1\d|2[0-4])[0-5]\d{DASH}$", place.before)
    cue = re.search(ends, place.before, re.IGNORECASE)
    since = re.search(rf"(?<!\d)0\d[0-5]\d{DASH}$", place.before)
    if not (
        (hours and (cue or padded or after or attached)) or (padded and (ranged or cue)) or since
    ):
        return None
    words = language.clock(hour, minute, "")
    if hours and not minute and hour:
        words = f"{language.cardinal(hour)} {language.full_hours}"
    return Said(words, "time")


def _day_slash_month(match: re.Match[str], place: Place) -> Said | None:
    """A day by what stands before it: "on 5/6", 5 June or May 6."""
    language = place.language
    if not language.day_cue.search(place.before):
        return None
    day, month = int(match["first"]), int(match["second"])
    if language.month_first:
        day, month = month, day
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    words = language.day(day, month, place.before, month_first=language.month_first)
    return Said(words, "date")


def _duration(match: re.Match[str], place: Place) -> Said:
    hours, minutes, seconds = (int(match.groupdict().get(part) or 0) for part in ("h", "m", "s"))
    return Said(place.language.duration(hours, minutes, seconds), "time")


def _time_rules(language: Language) -> list[Rule]:
    half = r"(?P<half>[ap]\.\s?m\.?|[ap]m|[AP]M|[AP]\.M\.)(?!\w)"
    hour = r"(?P<hour>\d{1,2})"
    return [
        rule(r"(?P<h>\d{1,3}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)(?![\w:])", _duration),
        rule(r"(?P<m>\d{1,3}):(?P<s>[0-5]\d)\s?(?:min|minutes|Minuten)\b\.?", _duration),
        rule(r"(?P<hour>[01]?\d|2[0-4])h(?P<minute>[0-5]\d)(?!\w)", _french_clock),
        rule(
            r"(?P<h>\d{1,2})\s?h\s?(?P<m>[0-5]?\d)(?:\s?(?:min|m)\b)?"
            r"(?:\s?(?P<s>[0-5]?\d)\s?s\b)?(?![\w.,]*\d)(?!\w)",
            _duration,
        ),
        rule(r"(?P<m>\d{1,2})\s?m(?:in)?\s?(?P<s>[0-5]?\d)\s?s(?!\w)", _duration),
        rule(rf"{hour}(?:[:.](?P<minute>[0-5]\d))?\s?{half}", _clock)
        if language.code != "de"
        else rule(rf"{hour}(?:[:.](?P<minute>[0-5]\d))?\s?Uhr\b(?P<half>)", _clock),
        rule(rf"{hour}:(?P<minute>[0-5]\d)(?:\s?h(?:rs)?)?(?![\w:]|,\d)", _plain_clock),
        rule(rf"{hour}\.(?P<minute>[0-5]\d)(?![\w%]|[.,]\d|\s?[%€£$])", _dotted_clock),
        rule(
            r"(?P<hour>[01]\d|2[0-4])(?P<minute>[0-5]\d)(?P<hours>\s?(?:h|hrs?|hours|Uhr)\b)?(?!\w)",
            _four_figures,
        ),
    ]


def digit_rules(language: Language) -> list[Rule]:
    """Rules for what begins with a digit, before all other rules for numbers."""
    month = one_of(language.months)
    rank = r"\." if language.code == "de" else _RANK
    of = r"(?:of\s)?" if language.code != "de" else ""
    date = rf"{rank}\s{of}{month}(?!\w)"
    return [
        rule(
            r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d):(?P<minute>[0-5]\d)"
            r"(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?(?P<zone>Z|[+-]\d\d(?::?[0-5]\d)?)?(?!\w)",
            _timestamp,
        ),
        rule(r"(?P<year>\d{4})[-/](?P<second>\d\d)[-/](?P<first>\d\d)(?![\w-])", _numeric),
        rule(
            r"(?P<first>\d{1,2})(?:/(?P<second>\d{1,2})/(?P<year>\d{4}|\d\d)"
            r")(?![\w/])",
            _numeric,
        ),
        rule(
            r"(?P<first>\d{1,2})\.\s?(?P<second>\d{1,2})\.\s?(?P<year>\d{4}|\d\d)(?![\w]|[.-]\d)",
            lambda match, place: (
                _numeric(match, place)
                if len(match["year"]) == 4
                or place.language.code == "de"
                or re.fullmatch(r"\d\d\.\d\d\.\d\d", match[0])
                else None
            ),
        ),
        rule(r"(?P<first>\d{1,2})/(?P<second>\d{1,2})(?![\w/]|[.,]\d)", _day_slash_month),
        rule(r"(?P<first>\d{1,2})\.\s?(?P<second>\d{1,2})\.(?![\w.])", _point_day),
        rule(
            r"(?P<first>\d{1,2})-(?P<second>\d{1,2})-(?P<year>\d{4})(?![\w-])",
            _numeric,
        ),
        rule(
            rf"(?P<day>\d{{1,2}}){rank}\s{of}(?P<month>{month})(?!\w)\.?(?:,?\s{_YEAR})?",
            _day_of_month,
        ),
        rule(rf"(?P<day>\d{{1,2}})\.\s(?P<month>{month})\s{_YEAR}", _day_of_month),
        rule(
            rf"(?P<day>\d{{1,2}}){rank}(?={DASH}\d{{1,2}}{date})"
            rf"|(?P<day2>\d{{1,2}}){rank}(?=(?:,|\s(?:and|or|to|und|bis))\s\d{{1,2}}{date})",
            lambda match, place: _first_day(match, place) if match["day"] else None,
        ),
        rule(rf"(?P<day>\d{{1,2}}){_RANK}(?![\w:/]|[.,]\d)", _last_day),
        rule(rf"(?P<day>\d{{1,2}}){rank}(?![\w:/%]|[.,]\d)", _day_of_week),
        rule(r"(?P<month>0?[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?![\w/])", _numbered_month),
        rule(r"(?P<month>0[1-9]|1[0-2])-(?P<year>(?:19|20)\d\d)(?![\w-])", _numbered_month),
        rule(r"(?P<year>\d{4})(?P<dash>[-/\u2013])(?P<end>\d\d)(?![\w/-])", _season),
        rule(r"(?P<year>(?:1[1-9]|20)\d\d)/(?P<end>(?:1[1-9]|20)\d\d)(?![\w/-])", _two_years),
        rule(r"(?P<number>\d{4}|\d{1,2})(?P<short>)['’]?s(?!\w)", _decade)
        if language.code != "de"
        else rule(r"(?P<number>\d{4}|\d0)er(?P<short>)(?!\w)", _decade),
        *_time_rules(language),
    ]


def _until(match: re.Match[str], place: Place) -> Said | None:
    """Noon–1pm."""
    noon = re.search(rf"\b(?:{place.language.noon})\s?$", place.before, re.IGNORECASE)
    return Said(place.language.to) if noon else None


def _zone(match: re.Match[str], place: Place) -> Said:
    """UTC+02:00."""
    language = place.language
    sign = language.plus if match["sign"] == "+" else language.minus
    words = f"{language.spell(match['zone'])} {sign} {language.cardinal(int(match['hours']))}"
    minutes = int(match["minutes"] or 0)
    return Said(f"{words} {language.cardinal(minutes)}" if minutes else words)


def year_rules() -> list[Rule]:
    """Rules for four digits of which no other rule has said what they are."""
    return [rule(r"(?P<year>\d{4})(?!\w|[.,:/]\d)", _four_digits)]


def sign_rules() -> list[Rule]:
    """Rules for what begins with an apostrophe: the '80s."""
    return [
        rule(r"(?P<short>['’])(?P<number>\d0)['’]?s(?!\w)", _decade),
        rule(r"[-\u2013]\s?(?=\d)", _until),
        rule(
            r"['’](?P<year>\d\d)(?!\w)",
            lambda match, place: Said(place.language.cardinal(int(match["year"])), "year"),
        ),
    ]


def word_rules(language: Language) -> list[Rule]:
    """Rules for what begins with a letter."""
    month, day = one_of(language.months), one_of(language.weekdays)
    link = rf"(?:{DASH}|\s?[&/,]\s?|\s(?:and|or|to|und|bis)\s)"
    certain = [name for name in language.weekdays if len(name) > 2 and name not in _AMBIGUOUS_DAYS]
    short = one_of(name for name in language.months if len(name) <= 4 and name not in _WHOLE_MONTHS)
    rules = [
        rule(
            r"(?P<zone>UTC|GMT|CET|EST|PST)\s?(?P<sign>[+−-])(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?(?!\w)",
            _zone,
        ),
        rule(
            rf"(?P<month>{month})\.?\s(?P<day>\d{{1,2}}){_RANK}(?![\d:%]|[.,]\d|\s?[-\u2013]\d\d\d)"
            rf"(?:,?\s{_YEAR})?",
            _month_day,
        ),
        rule(rf"(?P<month>{month})\.?,?\s{_YEAR}", _month_of_year),
        rule(rf"(?P<month>{short})\b\.?(?={DASH}{month}\b)", _month_alone),
        rule(rf"(?P<month>{short})\b(?:\.(?!$))?", _after_month),
        rule(rf"(?P<day>{day})\b\.?(?={link}{day}\b|,?\s\d)", _weekday),
        rule(rf"(?P<day>{day})\b(?:\.(?!$))?", _after_day),
    ]
    if certain:
        rules.append(rule(rf"(?P<day>{one_of(certain)})\b(?:\.(?!$))?", _weekday))
    return rules


def _after_day(match: re.Match[str], place: Place) -> Said | None:
    day = one_of(place.language.weekdays)
    link = rf"(?:{DASH}|\s?[&/,]\s?|\s(?:and|or|to|und|bis)\s)"
    certain = one_of(name for name in place.language.weekdays if name not in _AMBIGUOUS_DAYS)
    among = match["day"] in _AMBIGUOUS_DAYS and re.search(rf"\b{certain}\b", place.text)
    linked = re.search(rf"\b{day}\.?{link}$", place.before)
    return _weekday(match, place) if among or linked else None


def _after_month(match: re.Match[str], place: Place) -> Said | None:
    month = one_of(place.language.months)
    return _month_alone(match, place) if re.search(rf"\b{month}\.?{DASH}$", place.before) else None
