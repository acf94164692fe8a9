"""Normalizes the spelling of money, units, days, spans of days and parts of an hour.

"30 min", "half an hour" and "thirty minutes" are the same, as are "Mon-Wed" and the names of three
days. Sentences and records are both normalized before they are parsed.
"""

import re
from functools import lru_cache

from knowledge.claims import MONTHS, numbers
from knowledge.moments import DAYS
from knowledge.words import spaced, stem

_MONEY = {"£": " pound ", "€": " euro ", "$": " dollar ", "%": " percent "}
_SUM = re.compile(r"([\u00a3\u20ac$])\s?(\d[\d.,]*(?<![.,]))")
_UNITS = {
    "kg": "kilograms", "g": "grams", "mg": "milligrams", "km": "kilometres", "m": "metres",
    "cm": "centimetres", "mm": "millimetres", "l": "litres", "ml": "millilitres", "min": "minutes",
    "mins": "minutes", "h": "hours", "hrs": "hours", "s": "seconds", "secs": "seconds",
    "GB": "gigabytes", "MB": "megabytes", "kB": "kilobytes", "mph": "miles an hour",
}  # fmt: skip
_UNIT = re.compile(rf"(?<![£€$\d.,])(\d[\d.,]*)\s?({'|'.join(_UNITS)})\b(?!['.]\w)")
_UNIT_AFTER = re.compile(r"\bkilos?\b")
_DAY = r"(?:Mon|Tue|Tues|Wed|Weds|Thu|Thur|Thurs|Fri|Sat|Sun)(?:day|sday|nesday|rsday|urday)?s?"
_DAYS = re.compile(
    rf"\b({_DAY})\.?(?:\s*[-\u2012-\u2015]\s*|\s+(?:to|until|till|through)\s+)({_DAY})\b"
)
_ONE_DAY = re.compile(r"\b(Mon|Tue|Tues|Wed|Weds|Thu|Thur|Thurs|Fri|Sat|Sun)\b\.?")
_WEEKDAYS = re.compile(
    r"\b(?:(?:every|each) weekday|(?:during )?(?:the )?week ?days)\b", re.IGNORECASE
)
_WEEKENDS = re.compile(
    r"\b(?:(?:every|each|the) weekend|(?:during )?(?:the )?weekends)\b", re.IGNORECASE
)
_TIMES = re.compile(r"\b(\d{1,2}:\d{2})\s*[-\u2012-\u2015]\s*(\d{1,2}:\d{2})\b")
_HALF_DAYS = re.compile(r"\b(1[0-2]|[1-9])(?:[:.]([0-5]\d))?\s?([ap])\.?m\b\.?", re.IGNORECASE)
_HOURS = dict(
    zip(
        spaced("one two three four five six seven eight nine ten eleven twelve"),
        range(1, 13),
        strict=True,
    )
) | {"noon": 12, "midday": 12, "midnight": 0}
_MINUTES = {"five": 5, "ten": 10, "twenty": 20, "twenty-five": 25, "twenty five": 25} | {
    "half": 30, "a quarter": 15, "quarter": 15
}  # fmt: skip
_HOUR = rf"(?P<hour>{'|'.join(_HOURS)}|1[0-2]|[1-9])(?![\w:.]*\d)\b"
_SPOKEN_TIME = re.compile(
    rf"\b(?:(?P<minutes>[a-z]+(?:-[a-z]+)?|\d{{1,2}}) minutes? (?P<way>past|to)|"
    rf"(?P<part>(?:a )?quarter|half|five|ten|twenty(?:[- ]five)?) (?P<past>past)|"
    rf"(?P<left>(?:a )?quarter|(?<=at )(?:five|ten|twenty(?:[- ]five)?)|"
    rf"(?<=until )(?:five|ten|twenty(?:[- ]five)?)|(?<=till )(?:five|ten|twenty(?:[- ]five)?)|"
    rf"(?<=by )(?:five|ten|twenty(?:[- ]five)?)) to) {_HOUR}",
    re.IGNORECASE,
)
_MONTH = "|".join(name.capitalize() for name in MONTHS)
_SHORT_MONTH = "April|June|September|November"
_LONG_MONTH = "January|March|May|July|August|October|December"
_NUMBER_WORD = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|"
    "sixty|seventy|eighty|ninety|hundred"
)
_CURRENCIES = (("SEK|NOK|DKK|ISK", "kronor"), ("EUR", "euro"), ("GBP", "pound"), ("USD", "dollar"))
_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\b(?:no later than|not later than|at the latest) (?=(?:\d+|[a-z]+(?:-[a-z]+)?) "
         r"(?:minute|hour|day|week|month|year)s?\b)", "at least "),
        (r"\b(?:no|not) later than ", "by "),
        (r"\bthe first of (?:each|every|the) month\b", "the 1 of the month"),
        (r"\b(?:costs?|charge|charged|pay) extra\b|\bextra (?:charge|cost|fee)\b", "surcharge"),
        (r"\blet ([A-Z]\w+|me|us|them|him|her|it|the \w+) know\b", r"tell \1"),
        (r"\ba (?:whole|full|entire) (?=(?:day|week|month|year|hour)\b)", "a "),
        (r",? (?:but|and) that(?:'s| is) (?:all|it)(?=\W*$)", " only"),
        (r"\b(?:(?:is|are|was|were|be|being) )?limited to (?:at most )?"
         rf"(?=\d|(?:{_NUMBER_WORD})\b)", "at most "),
        (r"\b(?:room|space|places) for (?:up to|at most|only) "
         rf"(?=\d|(?:{_NUMBER_WORD})\b)", "at most "),
        (rf"\b(?:room|space|places) for (?=\d|(?:{_NUMBER_WORD})\b)", ""),
        (r"\blearn(ing|s|ed|t)? (?:how )?to play\b", r"learn\1"),
        (r"\bwithout (?:pay|being paid)\b", "unpaid"),
        (r"\bpercent(?:age)? points\b|\bper cent\b", "percent"),
        (r"\s*\u2192\s*", " into "),
        (r"\bfree of (?:charge|cost)\b|\bfor (?:free|nothing)\b", "free"),
        (r"\bat no (?:extra )?(?:cost|charge)\b", "free"),
        (r"\bunder-(?=[a-z]+teens?\b|eights?\b)([a-z]+?)s?\b", r"under \1"),
        (r"\b(?:no|not|never|n't(?: be)?|cannot(?: be)?) (?:more|longer|older|bigger|later|higher|"
         r"heavier) than\b|\ba maximum of\b|\bas (?:many|much|long|late) as(?= (?:\d|[a-z]+ "
         rf"(?:days?|weeks?|months?|years?|hours?|minutes?)|(?:{_NUMBER_WORD})\b))", "at most"),
        (r"\b(?:can't|cannot|can not|may not|must not|mustn't|not allowed to)((?: \w+){1,3}) "
         r"(?:for )?(?:more|longer|later|older|higher) than\b", r"\1 at most"),
        (r"\b(?:no|not) (?:less|fewer|younger|shorter|earlier) than\b|\ba minimum of\b",
         "at least"),
        (r"\b([\w-]+)(?: years(?: old)?)? (?:or|and) (?:older|over|above|up(?! to)|upwards)\b",
         r"at least \1"),
        (r"(?<![\w.])(\d[\w.]*)(?: (days?|weeks?|months?|years?|hours?|minutes?|people))? "
         r"(?:or|and) (?:newer|later|more|longer|higher|greater)\b", r"at least \1 \2"),
        (r"\bfrom version (\d[\w.]*) (?:on|onwards?|upwards?)\b", r"version at least \1"),
        (r"\bnumber (?=\d)", ""),
        (r"\bzero\b", "0"),
        (r"\b(?:is|are|was|were)(?: not|n't) the same\b", "differ"),
        (r"\b(?:older|longer|heavier|bigger|higher) than (?=\d|[a-z]+\b)", "over "),
        (r"\b(?:younger|shorter|lighter|smaller|lower) than (?=\d|[a-z]+\b)", "under "),
        (r"\bthe age of (?=\d|[a-z]+(?:teen|ty)?\b)", ""),
        (r"\bone fortnight\b|\ba fortnight\b", "two weeks"),
        (r"\bmany (?:people )?(?=(?:call|consider|describe|regard)\b)", "often "),
        (r"\b(her|his|their|my|whose) first language\b", r"\1 native language"),
        (r"\bof (?:each|every) (?=month\b|week\b|year\b)", "of the "),
        (r"\b((?:day|week|month|year)s?) old\b", r"\1"),
        (r"\bnamed (?:after|for|in honou?r of) (?:her|him|it)\b", "named"),
        (r"\b(?:back|way back) (?=(?:in|to) \d{4}\b)", ""),
        (r"\bkroner\b", "kronor"),
        *(
            (code, rf"\1 {unit}")
            for codes, unit in _CURRENCIES
            for code in (rf"\b(?:{codes})\s?(\d[\d.,]*\d|\d)", rf"(\d)\s?(?:{codes})\b")
        ),
        (r"\baged (?=at least|at most|over|under|\d)", ""),
        (r"\bnew year's day\b", "1 January"),
        (r"\bnew year's eve\b", "31 December"),
        (r"\bchristmas eve\b", "24 December"),
        (r"\bchristmas day\b", "25 December"),
        (r"\bboxing day\b", "26 December"),
        (r"\beach other\b", "one another"),
        (r"\s*\u00b0\s?[cf]?\b|\s*\u00b0", " degrees"),
        (r"\b(\d{1,2}) o'clock\b", r"\1:00"),
        (r"\bbetween (\d{1,2}) and (?=\d{1,2}:\d\d)", r"between \1:00 and "),
        (r"\b(\d+) (euro|pound|dollar)s? (\d\d)\b(?! (?:minute|hour|day))", r"\1.\3 \2"),
        (r"\bone (euro|pound|dollar) (?=\d|[a-z]+ty\b)", r"1 \1 "),
        (r"\b(?:an hour and a half|one and a half hours)\b", "90 minutes"),
        (r"\b(?:around the clock|round the clock|day and night|24/7|24 hours a day|"
         r"twenty-four hours a day)\b", "24 hours daily"),
        (r"\b(took|take|takes|taken|taking|bring|brings|brought|hand|hands|handed|pick|picks|"
         r"picked|put|puts|turn|turns|turned|give|gives|gave|get|gets|got|pass|passes|passed|call|"
         r"calls|called|set|sets|send|sends|sent) (it|them|him|her|this|that) "
         r"(over|up|out|off|down|back|on|away|in)\b", r"\1 \3 \2"),
        (r"\b(?:a|one) quarter of an hour\b", "15 minutes"),
        (r"\bevery quarter of an hour\b", "every 15 minutes"),
        (r"\bthree quarters of an hour\b", "45 minutes"),
        (r"\bhalf an hour\b", "30 minutes"),
        (r"\b(?:one|1)[ -]hour\b", "60 minutes"),
        (r"\b(\d+) and a half\b", r"\1.5"),
        *((rf"\b{word} and a half\b", f"{value}.5") for value, word in enumerate(
            ("two", "three", "four", "five", "six", "seven", "eight", "nine"), start=2)),
        (rf"\b(?:the )?end of (?={_LONG_MONTH})", "31 "),
        (rf"\b(?:the )?end of (?={_SHORT_MONTH})", "30 "),
        (r"\b(?:as|so) long as(?= (?:you|it|they|he|she|we|the|your|some|every|any|no)\b|"
         r" (?:some|every|any)(?:body|one))", "if"),
        (r"\b(?:provided(?: that)?|on condition that)\b", "if"),
        (r"\b(every|each) half(?: an)? hour\b", r"\1 30 minutes"),
        (r"\bhalf a year\b", "6 months"),
        (r"\ba decade\b", "10 years"),
        (r"\ba (hundred|thousand|million)\b", r"one \1"),
        (r"\bmid-(?=[a-z])", ""),
        (rf"\b(?:the )?first of (?={_MONTH})", "1 "),
        (rf"\b(?:the )?second of (?={_MONTH})", "2 "),
        (r"\b(opens?|opened|starts?|started|begins?|began)(?: up)? at (?=\S)", r"\1 from "),
        (r"\b(closes?|closed|ends?|ended|shuts?) at (?=\S)", r"\1 until "),
    )
)  # fmt: skip


@lru_cache(maxsize=16384)
def spelled(text: str) -> str:
    """Normalize the spelling of a text."""
    text = _SPOKEN_TIME.sub(_spoken_time, text)
    text = _HALF_DAYS.sub(_clock, text)
    text = _TIMES.sub(r"from \1 to \2", text)
    text = _WEEKDAYS.sub("Monday to Friday", text)
    text = _WEEKENDS.sub("Saturday to Sunday", text)
    text = _DAYS.sub(_span, text)
    text = _ONE_DAY.sub(lambda match: _day(match[1]), text)
    text = _UNIT.sub(lambda match: f"{match[1]} {_UNITS[match[2]]}", text)
    text = _UNIT_AFTER.sub("kilograms", text)
    for pattern, instead in _PLAIN:
        text = pattern.sub(instead, text)
    text = _SUM.sub(lambda match: f"{match[2]}{_MONEY[match[1]]}", text)
    for sign, word in _MONEY.items():
        text = text.replace(sign, word)
    return text


def _clock(match: re.Match[str]) -> str:
    """A time of twelve hours as one of twenty-four: "4 pm" is 16:00."""
    hour = int(match[1]) % 12 + 12 * (match[3].lower() == "p")
    return f"{hour}:{match[2] or '00'}"


def _spoken_time(match: re.Match[str]) -> str:
    """A time of day in words as one in digits: "twenty to eleven" is 10:40."""
    said = match["hour"].lower()
    hour = _HOURS[said] if said in _HOURS else int(said)
    part = (match["part"] or match["left"] or "").lower()
    if match["minutes"]:
        found = [number for number in numbers(match["minutes"]) if number.isdigit()]
        if len(found) != 1 or not 0 < int(found[0]) < 60:
            return match[0]
        minutes = int(found[0])
    else:
        minutes = _MINUTES[part]
    if match["left"] or (match["way"] or "").lower() == "to":
        return f"{(hour - 1) % 12 or 12}:{60 - minutes:02}"
    return f"{hour}:{minutes:02}"


def _day(written: str) -> str:
    return next(day for day in DAYS if day.startswith(written[:3].lower())).capitalize()


def _span(match: re.Match[str]) -> str:
    """Replace a span of days by the names of its days."""
    first, last = (DAYS.index(_day(match[at]).lower()) for at in (1, 2))
    if first > last:
        return match[0]
    return " ".join(day.capitalize() for day in DAYS[first : last + 1])


def _stems_of(word: str) -> tuple[str, str]:
    return word, stem(word)


_NOON = re.compile(r"\bnoon\b", re.IGNORECASE)
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")


@lru_cache(maxsize=16384)
def times_called(text: str) -> frozenset[str]:
    """All names of the times of day in a text: stems, and numbers as ``"#7"``."""
    found: set[str] = set()
    for hour, minute in ((int(match[1]), int(match[2])) for match in _CLOCK.finditer(text)):
        found |= {f"#{hour}", f"#{(hour - 1) % 12 + 1}", "o'clock", "oclock"}
        found |= {*_stems_of("morning" if hour < 12 else "afternoon" if hour < 18 else "evening")}
        found |= {*_stems_of("night")} if hour >= 21 or hour < 6 else set()
        found |= {"am"} if hour < 12 else {"pm"}
        found |= {f"#{minute}"} if minute else set()
        found |= {"noon", "midday"} if (hour, minute) == (12, 0) else set()
        found |= {"midnight"} if (hour, minute) == (0, 0) else set()
        if minute == 30:
            found |= {"half", "past", "q:half"}
        if minute in (15, 45):
            found |= {"quarter", "past", f"#{hour % 12 + 1}"}
    if _NOON.search(text):
        found |= {"#12", "o'clock", "oclock"}
    return frozenset(found)
