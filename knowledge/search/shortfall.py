"""What a record lacks to answer a question that it is near to.

A question about a price, a length, an office or a deed is only answered by a record that speaks of
that very thing: the fine for a fire is not the fine for litter, and a day's ticket not a week's.
Tuned on the documents of ``evals/documents/develop``: of 277 questions that they do not answer,
these rules find 59; of 602 others three, one of which was answered rightly.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from knowledge.ages import stated_age
from knowledge.check.meaning import implied
from knowledge.claims import MONTHS, numbers
from knowledge.moments import moments
from knowledge.records import Record
from knowledge.search.query import GENERIC, Query
from knowledge.words import STOPWORDS, spaced, stem, token_keys, tokens

Alike = Callable[[str, frozenset[str]], float]
"""The cosine of a word and the likest of some others."""

_THING_AKIN, _FOR_AKIN = 0.55, 0.58  # cosine from which another word may name what is asked about


def falls_short(query: Query, record: Record, alike: Alike) -> bool:
    """Whether a record lacks what a question asks for.

    Args:
        query: The question.
        record: The record.
        alike: Compares words by meaning.
    """
    text = query.text
    if not query.polar and (
        _of_another(record, text)
        or _of_another_name(record, text)
        or _of_another_period(record, text)
        or _for_another(record, text, alike)
    ):
        return True
    return (
        _of_another_office(record, text)
        or _of_another_deed(record, text)
        or _prices_another(record, text, alike)
        or _for_others(record, text, alike)
        or _of_another_sort(record, text, polar=query.polar)
        or _asks_for_what_is_not_named(record, text, alike)
        or any(asks.search(text) and not holds(_all(record)) for asks, holds in _KINDS)
    )


def _all(record: Record) -> str:
    return f"{' '.join(record.path)}. {record.section.title}. {record.text}"


@lru_cache(maxsize=4096)
def _meant(text: str) -> frozenset[str]:
    """Stems of all words that the words of a text may become."""
    words = {part for token in tokens(text) for part in (token.text.lower(), *token_keys(token))}
    return frozenset().union(*(implied(word) for word in words)) if words else frozenset()


def _tells_of(record: Record, word: str) -> bool:
    """Whether a record has a word, one that it may become, or one that may become it."""
    own = {stem(part) for token in tokens(word) for part in token_keys(token)} - GENERIC
    if not own or word.lower() in STOPWORDS:
        return True
    said = record.says | {
        stem(token.key) for token in tokens(f"{record.section.title} {record.text}")
    }
    return bool(own & said or implied(word.lower()) & said or own & _meant(_all(record)))


_MARK = r"(?:[A-Z]|\d{1,3}|[IVX]{2,4})\b(?![:.,]?\d|['\u2019%])"
_MARKED = re.compile(rf"\b([A-Za-z]{{3,}}) ({_MARK}(?:(?:, | and | or | to |[/\u2013-]){_MARK})*)")
_UNMARKED = frozenset(
    (*MONTHS, *spaced("about over under from than least most until till before after day days"))
)


def _marks(text: str) -> dict[str, set[str]]:
    """The letters or numbers that tell things of a kind apart: of "wards A and C", A and C."""
    found: dict[str, set[str]] = {}
    for match in _MARKED.finditer(text):
        noun = match[1].lower()
        if noun not in STOPWORDS and noun not in _UNMARKED:
            found.setdefault(stem(noun), set()).update(re.findall(_MARK, match[2]))
    return found


def _of_another(record: Record, asked: str) -> bool:
    """Whether a record is about another ward, room or train than the one asked for."""
    wanted = _marks(asked)
    has = _marks(f"{record.written}. {record.text}") if wanted else {}
    return any(noun in has and not marks & has[noun] for noun, marks in wanted.items())


_ON_NAME = re.compile(r"\b(?:on|for|under|with) ([A-Z][\w+#-]{2,})\W*$")


def _of_another_name(record: Record, asked: str) -> bool:
    """Whether a row is about another system or kind than the one named: "on Fedora"."""
    named = _ON_NAME.search(asked)
    if named is None or record.kind != "row" or moments(asked).any:
        return False
    if named[1].lower() in MONTHS or _tells_of(record, named[1]):
        return False
    key = named[1].lower()
    return record.about not in asked and not any(key in word.key for word in tokens(_all(record)))


# Sorts of a thing that exclude each other, each with other words for it.
_SORTS: tuple[tuple[str, ...], ...] = (
    (r"small(?:er)?", r"medium", r"large(?:r)?"),
    (r"singles?", r"returns?|round[- ]trips?"),
    (r"singles?", r"doubles?", r"twins?"),
    (r"part[- ]?tim\w+", r"full[- ]?tim\w+"),
    (r"breakfasts?", r"lunch(?:es|time)?|midday meals?", r"dinners?|suppers?|evening meals?"),
    (
        r"adults?|grown[- ]ups?",
        r"child(?:ren)?(?:'s)?|kids?|under[- ]?\d+s?|under \w+ years?|boys?|girls?|teenagers?|"
        r"young",
        r"students?|apprentices?|trainees?|pupils?",
        r"pensioners?|seniors?|retired|over[- ]?\d+s?|concession\w*|reduced",
        r"unemployed|jobless|between jobs",
        r"famil(?:y|ies)",
        r"groups?",
        r"(?:nhs )?staff|employees|speakers?",
    ),
    (r"beginners?", r"advanced|experienced"),
    (r"hir(?:e|ing)|rent(?:al|ing)?|borrow", r"buy(?:ing)?|sell(?:ing)?|sold|new"),
    (r"e-?mail(?: address)?", r"(?:tele)?phone(?: number)?|mobile(?: number)?", r"fax"),
)
_SORTED = tuple(
    tuple(re.compile(rf"\b(?:{sort})\b", re.IGNORECASE) for sort in sorts) for sorts in _SORTS
)
# Diets: what is not said to be vegan, is not.
_DIETS = tuple(
    re.compile(rf"\b(?:{diet})\b", re.IGNORECASE)
    for diet in (
        r"vegans?|plant[- ]based",
        r"vegetarians?|veggie|meatless|without meat|vegans?",
        r"gluten[- ]?free|without gluten|no gluten|coeliacs?",
        r"(?:lactose|dairy)[- ]?free|without (?:milk|lactose)|vegans?",
        r"sugar[- ]?free|without sugar|unsweetened",
        r"decaf\w*",
        r"alcohol[- ]?free|non[- ]alcoholic",
        r"halal",
        r"kosher",
    )
)
_INGREDIENTS = re.compile(
    r"\b(?:contain\w*|allerg\w*|ingredients?|without|no|traces|made (?:of|with|from)|"
    r"special diets?)\b",
    re.IGNORECASE,
)


def _of_another_sort(record: Record, asked: str, *, polar: bool) -> bool:
    """Whether another sort of a thing is told of: the return ticket, the vegan cake, part-timers.

    The sorts that a question names must not all be missing where others of their kind are told.
    """
    text = _all(record)
    for sorts in _SORTED:
        named = [sort for sort in sorts if sort.search(asked)]
        if named and not any(sort.search(text) for sort in named):
            told = any(sort.search(text) for sort in sorts if sort not in named)
            if told:
                return True
    return any(
        diet.search(asked)
        and not diet.search(text)
        and not (polar and _INGREDIENTS.search(record.text))
        for diet in _DIETS
    )


_WHICH = re.compile(
    r"^\W*(?:(?:and|so|but)\W+)?(?:which|what) ([a-z]{3,}) "
    r"(?=(?:is|are|was|were|do|does|did|can|could|must|should|will|has|have|of)\b)",
    re.IGNORECASE,
)
# Nouns whose things are known by their names, or that say when, where or how.
_BY_NAME = frozenset(
    spaced(
        "city town country company companies firm hotel hotels restaurant university universities "
        "school college client clients customer person people speaker speakers artist author "
        "colour colours color price time times date dates day days year years month hours kind "
        "sort type kinds sorts types else exactly language languages instrument sport tool tools "
        "software technology technologies programme number address line lines station bus tram "
        "train room rooms hall place places building subject subjects role job position team "
        "qualification qualifications degree skills clubs club award awards prize dish dishes "
        "food drink drinks happens happened"
    )
)
_WHICH_AKIN = 0.45


def _asks_for_what_is_not_named(record: Record, asked: str, alike: Alike) -> bool:
    """Whether it is asked which thing of a kind, and the record tells of no such kind."""
    which = _WHICH.match(asked)
    return bool(
        which
        and which[1].lower() not in _BY_NAME
        and not _tells_of(record, which[1].lower())
        and _unlike(record, [which[1]], alike, _WHICH_AKIN)
    )


_OFFICE = re.compile(
    r"^\W*(?:(?:and|so)\W+)?who(?:'s|\u2019s| is| are| was| were)\s+"
    r"(?:the|your|her|his|their)\s+(?:[a-z-]+ ){0,2}?([a-z-]+)"
    r"(?= (?:of|at|on|in|to|here|there|now)\b|\W*$)",
    re.IGNORECASE,
)
_DEED = re.compile(r"\bwho (?!is|are|was|were)([a-z]+)\b", re.IGNORECASE)
# What those do who are named in a programme or a rule without a word for it.
_PLAIN_DEEDS = frozenset(
    spaced(
        "run runs play plays speak speaks teach teaches sing sings give gives talk talks present "
        "presents lead leads perform performs show shows do does pay pays wrote made built"
    )
)


def _of_another_office(record: Record, asked: str) -> bool:
    office = _OFFICE.match(asked)
    return office is not None and not _tells_of(record, office[1])


def _of_another_deed(record: Record, asked: str) -> bool:
    deed = _DEED.search(asked)
    return (
        deed is not None
        and deed[1].lower() not in _PLAIN_DEEDS
        and not _tells_of(record, deed[1].lower())
    )


_ASKS_PRICE = re.compile(
    r"\bhow much (?:is|are|does|do|was|were|would|will)\b"
    r"|\bwhat (?:do|does|did|would|will) .*\bcosts?\b|\b(?:price|cost|fee|charge)\b",
    re.IGNORECASE,
)
_PRICED = re.compile(
    r"\b(?:how much (?:is|are|does|do|was|were|would|will)|what (?:do|does|did|would|will)"
    r"|what(?:'s|\u2019s| is| are) the (?:price|cost|fee|charge|fine) (?:of|for)) (?:it )?"
    r"(?:cost )?(?:for )?(?:the |an? |my |your |our |to )?((?:[\w'\u2019-]+ ){0,3}?[\w'\u2019-]+)"
    r"(?= cost| charge| pay| earn| (?:for|of|in|at|on|if|with|when|to|per)\b"
    r"| a (?:week|day|month|year|night|hour)|\W*$)",
    re.IGNORECASE,
)
_FOR = re.compile(r"\bfor (?:an? |the |my |your )?((?:[\w-]+ ){0,2}?[\w-]+)\W*$", re.IGNORECASE)


def _telling(phrase: str) -> list[str]:
    words = re.findall(r"[\w'\u2019-]+", phrase)
    return [
        word
        for word in words
        if word.lower() not in STOPWORDS and stem(word.lower()) not in GENERIC
    ]


def _unlike(record: Record, words: list[str], alike: Alike, akin: float) -> bool:
    said = frozenset(
        token.text.lower() for token in tokens(_all(record)) if token.text.lower() not in STOPWORDS
    )
    return bool(said) and max(alike(word.lower(), said) for word in words) < akin


def _prices_another(record: Record, asked: str, alike: Alike) -> bool:
    """Whether another thing is priced, or the thing of another kind: a city bike's service."""
    if not _ASKS_PRICE.search(asked) or stated_age(asked) is not None:
        return False
    priced, ending = _PRICED.search(asked), _FOR.search(asked)
    thing = _telling(priced[1]) if priced else []
    if (
        thing
        and not _tells_of(record, thing[-1])
        and _unlike(record, thing[-1:], alike, _THING_AKIN)
    ):
        return True
    others = _telling(ending[1]) if ending else []
    return any(_of_another_kind(record, phrase, alike) for phrase in (thing, others) if phrase)


def _of_another_kind(record: Record, phrase: list[str], alike: Alike) -> bool:
    *kind, head = phrase
    if not kind or any(_tells_of(record, word) for word in kind):
        return False
    words = tokens(record.text)
    before = [words[at - 1] for at, word in enumerate(words) if at and word.key == head.lower()]
    asked = {word.lower() for word in phrase}
    other = any(
        token.key not in STOPWORDS and not token.key.isdigit() and token.text.lower() not in asked
        for token in before
    )
    return other and _unlike(record, kind, alike, _THING_AKIN)


_GETS = re.compile(
    r"\bhow (?:much|many|long|often) (?:[a-z-]+ ){0,2}?(?:do|does|did) (?:the )?"
    r"([a-z-]+) [a-z]",
    re.IGNORECASE,
)
_OF_NAME = re.compile(
    r"\b[Ww]hat(?:'s|\u2019s| is| are| was| were) (?:[A-Z][\w-]+ )*[A-Z][\w-]+['\u2019]s? ([a-z-]+)"
    r"(?=\W*$| (?:of|for|at|on|in)\b)"
)
_OF_NAME_AKIN = 0.45


def _for_others(record: Record, asked: str, alike: Alike) -> bool:
    """Whether others get it: "How much leave do part-timers get?"; or another attribute is told."""
    who, whose = _GETS.search(asked), _OF_NAME.search(asked)
    if who and not _tells_of(record, who[1]) and _unlike(record, [who[1]], alike, _THING_AKIN):
        return True
    return bool(
        whose
        and not _tells_of(record, whose[1])
        and _unlike(record, [whose[1]], alike, _OF_NAME_AKIN)
    )


def _for_another(record: Record, asked: str, alike: Alike) -> bool:
    """Whether it is not for those or that which the question ends with: "for littering"."""
    ending = _FOR.search(asked)
    words = _telling(ending[1]) if ending else []
    if not words or stated_age(asked) is not None or any(_tells_of(record, w) for w in words):
        return False
    return _unlike(record, words, alike, _FOR_AKIN)


_PERIODS = {
    "hour": r"hours?|hourly",
    "day": r"days?|daily",
    "night": r"nights?",
    "week": r"weeks?|weekly",
    "month": r"months?|monthly",
    "season": r"seasons?",
    "year": r"years?|annual(?:ly)?|yearly|annum",
}
_PRICES_PERIOD = re.compile(r"\bhow much\b|\bcosts?\b|\bprice|\bfee\b|\bcharge\b|\brate\b", re.I)
_A_PERIOD = re.compile(
    r"\b(?:for|per|an?|each|every|by the) (?:whole |full |single |one )?"
    r"(hour|day|night|week|month|season|year)\b",
    re.IGNORECASE,
)


def _of_another_period(record: Record, asked: str) -> bool:
    """Whether a price is for other periods than the one asked for."""
    period = _A_PERIOD.search(asked) if _PRICES_PERIOD.search(asked) else None
    if period is None:
        return False
    text = _all(record)
    has = {name for name, form in _PERIODS.items() if re.search(rf"\b(?:{form})\b", text, re.I)}
    return bool(has) and period[1].lower() not in has


# "persons over 20 years" is no duration.
_AGE = re.compile(
    r"\b(?:aged?|over|under|older than|younger than|age of|above|below|at least) (?:the age of )?"
    r"\w+(?: years?(?: old)?)?(?! (?:minutes|hours|days|weeks|months))"
    r"|\b\w+ years? (?:old|of age)\b",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"\b(?:seconds?|minutes?|hours?|days?|nights?|weeks?|weekend|months?|years?|decades?|seasons?|"
    r"terms?|semesters?|lifetime|lifelong|until|till|since|always|forever|permanent\w*|characters?|"
    r"words?|pages?|met(?:re|er)s?|kilomet\w+|centimet\w+|miles?|feet|inch\w*|through)\b"
    r"|(?:1\d|20)\d\d\b.*\b(?:1\d|20)\d\d\b|\d[:.]\d\d\D+\d[:.]\d\d|\bfrom .* to\b"
    r"|\d\s?(?:mm|cm|m|km|h|min|s)\b",
    re.IGNORECASE,
)
_DATED = re.compile(
    rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{'|'.join(MONTHS)})\b"
    r"|\b(?:section|rule|article|part|chapter) \d+\b"
    rf"|\b(?:{'|'.join(MONTHS)}) \d{{1,2}}\b|\b(?:1\d|20)\d\d\b|\b\d{{1,2}}[:.]\d\d\b"
    r"|[€£$] ?\d[\d.,]*|\d[\d.,]* ?(?:€|£|%|euros?|pounds?|francs?|dollars?|crowns?|cents?|pence)",
    re.IGNORECASE,
)


def _lasts(text: str) -> bool:
    return bool(_LENGTH.search(_AGE.sub(" ", text)))


def _measures(unit: str) -> Callable[[str], object]:
    pattern = re.compile(unit, re.IGNORECASE)
    return lambda text: pattern.search(_DATED.sub(" ", text))


def _sized(text: str) -> bool:
    text = _DATED.sub(" ", text)
    return bool(numbers(text) or re.search(r"\bA\d\b|\b(?:big|small|large|size)", text, re.I))


_KINDS: tuple[tuple[re.Pattern[str], Callable[[str], object]], ...] = (
    (re.compile(r"\bhow long\b(?! ago)", re.I), _lasts),
    (
        re.compile(r"\bhow heavy\b", re.I),
        _measures(r"kg|kilo|gram|\d ?g\b|\bton|pounds?|weigh|light|heav"),
    ),
    (
        re.compile(r"\bhow far\b(?! (?:ahead|in advance|before|behind))", re.I),
        _measures(
            r"km|kilomet|met(?:re|er)|mile|minute|hour|\d ?m\b|feet|yards?|near|next to|within"
        ),
    ),
    (re.compile(r"\bhow (?:big|large)\b", re.I), _sized),
    (
        re.compile(r"\b(?:what|which) colou?rs?\b", re.I),
        re.compile(
            r"\b(?:colou?r|black|white|red|green|blue|yellow|orange|brown|gr[ae]y|pink|purple|"
            r"violet|silver|gold|beige|cream|turquoise|navy|dark|light)",
            re.I,
        ).search,
    ),
    (
        re.compile(r"\b(?:when|what time|how late)\b.*\bopens?\b", re.I),
        re.compile(
            r"\d[:.]\d\d|\d ?[ap]\.?m|\bopen|hours|clos|shut|noon|midnight|\bfrom\b|\buntil\b", re.I
        ).search,
    ),
    (
        re.compile(r"\b(?:when|what time|how late)\b.*\b(?:ends?|finish(?:es)?|over)\W*$", re.I),
        re.compile(
            r"\b(?:end|finish|until|till|over|clos|last|minutes?|hours?)|"
            r"\d[:.]\d\d\D{1,8}\d{1,2}[:.]\d\d|\d ?[ap]m.{1,6}\d+ ?[ap]m",
            re.I,
        ).search,
    ),
    (
        re.compile(r"\b(?:when|what time|how late)\b.*\b(?:close[sd]?|shuts?)\b", re.I),
        re.compile(
            r"clos|shut|until|till|hours|open|\d[:.]\d\d\D{1,8}\d{1,2}[:.]\d\d|\bfrom \d.* to \d|"
            r"\d ?[ap]m.{1,6}\d+ ?[ap]m",
            re.I,
        ).search,
    ),
)
"""Patterns of questions, each with what tells whether a record can answer them."""
