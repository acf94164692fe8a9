"""Compares the age that a caller states with the ages that a document's rules are about.

"My ten-year-old" and "children under 14" share no word, so neither words nor meaning bring them
together: the question is rewritten in the document's words before it is searched.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from knowledge.claims import numbers

_AGE = r"(\d{1,3}|[a-z]+(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)"
_STATED = re.compile(
    rf"\b(?:(?:i|he|she|they)(?:['\u2019](?:m|s|re)| am| is| are) (?:only |just |already |over )?"
    rf"{_AGE}(?: years? old)?(?=\s*(?:[,.?!;]|and\b|but\b|so\b|years?\b|$))"
    rf"|{_AGE}[- ]years?[- ]olds?\b|\b(?:aged?|at the age of) {_AGE}\b)",
    re.IGNORECASE,
)
_YEARS = r"(?:[- ]?years?(?:[- ]olds?| of age)?)?"
_NO_UNIT = (
    r"(?![.,]?\d|\s?[€£$%°]|\s?(?:[kcm]?m|k?g|l|mph|pm?|am?)\b|\s(?:square|cubic|per cent|percent|"
    r"(?:second|minute|hour|day|night|week|month|time|met(?:er|re)|mile|kilo\w+|lit(?:er|re)|degree|"
    r"point|pound|euro|dollar|vote|place|seat|room|word|page|step|copie|book|item|bag|person|"
    r"member|guest|visitor|participant|player|pupil|student|adult)s?\b|people\b|children\b))"
)
"""What follows is nothing that is counted, such as nights."""
_BELOW = re.compile(
    rf"\b(?:under|below|younger than|up to|until) (?:the age of |the age |age )?(\d{{1,3}})\b"
    rf"{_YEARS}{_NO_UNIT}",
    re.IGNORECASE,
)
_ABOVE = re.compile(
    rf"\b(?:over|above|older than|at least|from|aged?) (?:the age of |the age |age )?(\d{{1,3}})\b"
    rf"{_YEARS}{_NO_UNIT}|\b(\d{{1,3}}){_YEARS} (?:and|or) (?:over|older|above)\b",
    re.IGNORECASE,
)
_OF_PEOPLE = re.compile(
    r"\b(?:years?[- ]old|years? of age|aged?|old(?:er)?|young(?:er)?|child(?:ren)?|kids?|babies|"
    r"minors?|youths?|youngsters|teenagers?|adults?|seniors?|pensioners?|persons?|people|members?|"
    r"guests?|visitors?|passengers?|anybody|anyone|everybody|those|whoever)\b",
    re.IGNORECASE,
)
_CHILD = re.compile(r"\b(?:child(?:ren)?|kids?|bab(?:y|ies)|minors?|ages?|aged|adults?)\b", re.I)
_KIN = re.compile(
    r"\s+(daughter|son|child|kid|girl|boy|sister|brother|niece|nephew|cousin|mother|mum|father|dad|"
    r"grand\w+|friend|man|woman|person)\b",
    re.IGNORECASE,
)
_ADULT, _OLDEST = 18, 120  # years: from which somebody is no child, and to which numbers are ages


@dataclass(frozen=True, slots=True)
class AgeRule:
    """The people of whom a sentence tells something by their age.

    Parameters:
        written: How the sentence says it: "under 14", "at least 18 years old".
        limit: The age in years.
        below: Whether it is about those below the limit, not those above.
    """

    written: str
    limit: int
    below: bool

    def includes(self, age: int) -> bool:
        """Whether it is about somebody of an age."""
        return age < self.limit if self.below else age >= self.limit


def age_rules(text: str) -> tuple[AgeRule, ...]:
    """The rules by age in a sentence; none if it is not about people."""
    if not _OF_PEOPLE.search(text):
        return ()
    found = [AgeRule(match[0], int(match[1]), below=True) for match in _BELOW.finditer(text)]
    found += [
        AgeRule(match[0], int(match[1] or match[2]), below=False) for match in _ABOVE.finditer(text)
    ]
    young = _CHILD.search(text)  # else "members for at least 3 years" would be about an age
    return tuple(
        rule
        for rule in found
        if 0 < rule.limit <= _OLDEST and (young or not rule.written.endswith(("year", "years")))
    )


def stated_age(text: str) -> tuple[int, tuple[int, int]] | None:
    """The age in years that a question states, and where: of "I'm 74", "my ten-year-old"."""
    for match in _STATED.finditer(text):
        group = next(at for at in (1, 2, 3) if match[at] is not None)
        ages = [int(value) for value in numbers(match[group].replace("-", " ")) if value.isdigit()]
        if len(ages) == 1 and 0 < ages[0] <= _OLDEST:
            return ages[0], match.span()
    return None


def as_aged(text: str, rules: Iterable[AgeRule]) -> str:
    """Rewrite the age that a question states in the words of the rule that it falls under.

    Of several, the one whose limit is nearest: a child of ten is "under 14" rather than "under
    18". A question that states no age, or one that no rule includes, is left as it is.
    """
    stated = stated_age(text)
    if stated is None:
        return text
    age, (start, end) = stated
    including = [rule for rule in rules if rule.includes(age)]
    if not including:
        return text
    nearest = min(including, key=lambda rule: abs(rule.limit - age))
    said, rest = text[start:end], text[end:]
    if own := re.match(r"(?:i|he|she|they)(?:['\u2019]\w+| \w+)", said, re.IGNORECASE):
        return f"{text[:start]}{own[0]} {nearest.written}{rest}"
    if re.match(r"age|at", said, re.IGNORECASE):
        return f"{text[:start]}{nearest.written}{rest}"
    who = _KIN.match(rest)
    whom = who[1] if who else "child" if age < _ADULT else "person"
    return f"{text[:start]}{whom} {nearest.written}{rest[who.end() if who else 0 :]}"
