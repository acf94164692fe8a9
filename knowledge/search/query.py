"""Analyses a question: what it asks for (a date, a person, a list), and about which years."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from knowledge.claims import extract_claims, numbers
from knowledge.words import spaced, stem, tokens

Want = Literal[
    "date",
    "duration",
    "number",
    "person",
    "place",
    "list",
    "next",
    "previous",
    "more",
    "future",
]

Interval = tuple[int, int]

_EARLIEST, _LATEST = 0, 9999  # years, of an interval that is open

_WANTS: tuple[tuple[Want, str], ...] = (
    ("duration", r"how long (?!is|was the|are)|how many (years|months|decades|weeks|days)"),
    (
        "date",
        r"\bwhen\b|(what|which|in what|in which) (years?|date|month|decade|day)\b|how long ago",
    ),
    ("date", r"^(and |so )?what (years?|date)\b|\bthe (date|year)\b.*\b(of|when|that)\b"),
    ("number", r"how many (?!years|months|decades|weeks|days)"),
    ("person", r"\bwho\b|\bwhom\b|\bwhose\b|(what|which) (person|president|man|woman|people)\b"),
    ("place", r"\bwhere\b|(what|which) (place|city|country|town|state)\b"),
    (
        "next",
        r"(after|since) (that|this|then|it|which)\W*$|\b(do|did|happened?|go|went|came) next\b",
    ),
    ("next", r"^(and |so |okay )*(then( what)?|next|what next|what then|afterwards?|later)\W*$"),
    ("previous", r"\bbefore (that|this|then|it)\W*$|^(and |so )*(before|earlier|previously)\W*$"),
    ("more", r"\b(what|who|where|anything|something|anyone|which) (\w+ )?(else|others?)\b"),
    ("more", r"\b(tell me|say) (a (bit|little) )?more\b|^(and |any )*(others?|more)\W*$|go on\W*$"),
    ("list", r"\b(what|which)( \w+)? (?!was|is|does|has)\w{3,}[^su\W]s\b(?! (did )?\w+s\b)"),
    (
        "list",
        r"\b(list|name (all|some)|all (of )?(the|her|his|their)|tell me about|summari[sz]e)\b",
    ),
    ("list", r"^(what|where|who) (were|are)\b"),
    ("future", r"\b(will|going to|gonna)\b|\bwhat are (her|his|their|its) plans\b"),
)
_INTERVALS: tuple[tuple[str, Callable[[int, int], Interval]], ...] = (
    (r"between {y} and {y}|from {y} (?:to|until|till) {y}", lambda a, b: (a, b)),
    (r"(?:before|prior to|earlier than) {y}", lambda a, _: (_EARLIEST, a - 1)),
    (r"(?:until|till|up to|by) {y}", lambda a, _: (_EARLIEST, a)),
    (r"(?:after|later than) {y}", lambda a, _: (a + 1, _LATEST)),
    (r"(?:since|from) {y}", lambda a, _: (a, _LATEST)),
    (r"{y}", lambda a, _: (a, a)),
)
_DEICTIC = frozenset(
    spaced("that this it there those these they them then its their one ones he him his same")
)
_ELLIPTIC = re.compile(
    r"^(and|but|so|or|then|also|okay|ok|right)\b|^(what|how) about\b|^(why|how|when|where|who)\W*$"
    r"|^(which|what|in what|in which) (year|one|date|place)s?\W*$"
)

# Content words that questions use about any document.
GENERIC = frozenset(
    stem(word)
    for word in spaced(
        """
        able ask begin little bit call change come curious date day days decade detail do ever
        exactly fact find finish first full go good great happen help hear idea important info
        information interest interested job keep know last later life listen long look main make
        mean month name next number old order part people person place point possible question
        quick real really right start stop story take talk tell thing think time today
        together true try understand use usual want way week wonder word work world year yeah um
        uh er erm hmm so now still done went gone came first second third please sorry give gave
        given put document cv resume page tv okay exact particular certain whole best main most
        important hold held become became
        """
    )
)


@dataclass(frozen=True, slots=True)
class Query:
    """An analysed question.

    Parameters:
        text: The question, with names corrected.
        wants: Kinds of answer that it asks for; empty if its words do not say.
        interval: The years that it is about, inclusive; ``None`` if it names none.
        years: The years that it names.
        polar: Whether it can be answered by yes or no.
        beside: Whether it asks what came ``"after"`` or ``"before"`` something that it names.
        elliptic: Whether it depends on the previous turn.
        clauses: Number of things it asks.
    """

    text: str
    wants: frozenset[Want]
    interval: Interval | None
    years: frozenset[int]
    polar: bool
    beside: Literal["after", "before", ""]
    elliptic: bool
    clauses: int


def parse_query(text: str) -> Query:
    """Analyse a question."""
    flat = " ".join(token.text.lower() for token in tokens(text))
    interval, years = _interval(text)
    wants = frozenset(want for want, pattern in _WANTS if re.search(pattern, flat))
    return Query(
        text=text,
        wants=wants,
        interval=interval,
        years=years,
        polar=bool(
            re.match(
                r"(and |so |but )*(did|does|do|was|were|is|are|has|have|had|can|could)\b", flat
            )
        ),
        beside=_beside(flat),
        elliptic=_is_elliptic(text, flat) or bool(wants & {"next", "previous", "more"}),
        clauses=len(re.findall(r"\b(what|where|when|who|which|how|why)\b", flat)),
    )


_PREAMBLE = re.compile(
    r"^.*\b(?:asked me (?:to (?:find out|ask)|about)|wants? to know|(?:would|'d) like to know|"
    r"(?:wonder|wondering|curious)(?: about)?|trying to find out|(?:to )?find out|"
    r"(?:can|could|would|will) you (?:please )?tell me|do you (?:happen to )?know)\s+"
    r"(?=(?:what|which|who|whom|whose|where|when|why|how|if|whether)\b)",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"^\W*(?:(?:and|so|but|well|okay|um+|uh+)\W+)*(?:what|which|who|whom|whose|where|when|why|how|"
    r"is|are|was|were|do|does|did|has|have|had|can|could|may|will|would|should|tell)\b",
    re.IGNORECASE,
)


def asked_part(text: str) -> str:
    """The part of a turn that asks: "Where can she park?" of "My aunt is visiting. Where ...?"."""
    said = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    asking = [part for part in said if _ASKS.search(part)]
    if len(said) > len(asking) > 0 and asking[-1] is said[-1]:
        text = " ".join(asking)
    stripped = _PREAMBLE.sub("", text)
    stripped = re.sub(r"^(?:if|whether)\s+", "", stripped, flags=re.IGNORECASE)
    return stripped[:1].upper() + stripped[1:] if stripped and stripped != text else text


_OTHER_WORDS = (
    (
        r"^(?!.*\b(?:at what|from what|when|why)\b).*"
        r"\b(?:reach|contact|get in touch|get hold of|call|phone|ring|write to|e-?mail)\b"
        r".*\b(?:you|them|him|her|somebody|someone|anybody)\b",
        "What is the telephone number or e-mail address?",
    ),
    (
        r"\b(?:what time|when) (?:do|should|must|shall) (?:i|we) (?:(?:have|need) to )?"
        r"(?:be there|come|arrive|turn up|show up|get there)\b",
        "At what time to arrive?",
    ),
    (
        r"\bwhereabouts\b|\bwhere (?:are|is|can|do) (?:you|it)\b|\bfind you\b",
        "What is the address or place?",
    ),
    (r"\bhow late\b|\b(?:open|close|shut)\b", "What are the opening hours?"),
    (
        r"\b(?:when|where) (?:and where |and when )?(?:is|does|will) (?:it|this|that)\b",
        "What are the date and the place?",
    ),
    (
        r"\bqualifications?\b|\b(?:educational|academic) (?:background|history)\b"
        r"|\b(?:has|have|hold) (?:an? |any )?(?:university )?degrees?\b(?! (?:in|of)\b)",
        "Which degree, at which university?",
    ),
    (r"\bfor a living\b|\bjob title\b|\bprofession\b|\boccupation\b", "What does she work as?"),
    (
        r"\bin (?:his|her|their) (?:spare|free) time\b|\bfor fun\b",
        "What are the interests and hobbies?",
    ),
    (r"\b(?:prize|award|medal|honou?r|won)s?\b", "Which award was received?"),
    (r"\b(?:book|paper|article|publi\w+)s?\b", "What was published?"),
    (
        r"\bsince when\b|\bhow long have you been\b|\bhow old is\b",
        "In which year was it founded or built?",
    ),
    (
        r"\b(?:pictures?|photos?|selfies?|film(?:ing)?|videos?)\b",
        "Is photography or filming allowed?",
    ),
    (r"\b(?:left|lost|forgot(?:ten)?) (?:my|our|an?)\b", "Where is lost property?"),
    (r"\bstolen\b|\bgets? (?:lost|damaged|broken)\b", "Who is liable for loss or damage?"),
    (r"\bhow far\b|\bget (?:there|to you)\b", "How to get there by train, by bus or by car?"),
    (r"\binstall\b|\bset (?:it )?up\b", "What is the command to install it?"),
    (
        r"\borgani[sz](?:es?|ed|ers?|ing)\b|\bbehind (?:it|this)\b",
        "Who are the hosts or organisers?",
    ),
    (r"\bwheelchair\b|\bdisabled\b|\baccessib\w+", "Is there a step, a ramp or a lift?"),
    (r"\bon holiday\b|\byour holidays\b", "When are you closed?"),
    (r"\b(?:bring|brought) (?:my|our) own (?:wine|bottle|drinks?)\b", "How much is corkage?"),
    (r"\bkids?\b|\blooked after\b", "Is there something for children, or childcare?"),
)


def in_other_words(text: str) -> str:
    """Rephrase a question with words that documents use; empty if none apply."""
    text = re.sub(r"\b(wh\w+)['\u2019]s\b", r"\1 is", text, flags=re.IGNORECASE)
    asked = next(
        (asked for pattern, asked in _OTHER_WORDS if re.search(pattern, text, re.IGNORECASE)), ""
    )
    named = _ON_NAME.search(text) if asked else None
    return f"{asked[:-1]} {named[0].rstrip(' ?.!')}?" if named else asked


_ON_NAME = re.compile(r"\b(?:on|under) [A-Z][\w+#-]{2,}\W*$")  # "How do I install it on Ubuntu?"


_DEGREES: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = tuple(
    (re.compile(rf"\b(?:{said})\b", re.IGNORECASE), known, forms)
    for said, known, forms in (
        (
            r"master['\u2019]?s(?: degree)?",
            "master",
            ("MSc", "MA", "MEng", "MPhil", "MRes", "MBA", "LLM"),
        ),
        (r"bachelor['\u2019]?s(?: degree)?", "bachelor", ("BSc", "BA", "BEng", "LLB")),
        (r"doctorate|doctoral degree|ph\.?d", "doctor", ("PhD", "DPhil", "Dr")),
    )
)


def as_titled(text: str, knows: Callable[[str], bool]) -> str:
    """Ask for a degree by the letters that the document has for it.

    "Where did she do her master's?" and "MSc Acoustics, Delft" share no word.
    """
    for said, known, forms in _DEGREES:
        if not said.search(text) or knows(known):
            continue
        used = [form for form in forms if knows(form.lower())]
        if len(used) == 1:
            text = said.sub(used[0], text)
    return text


_MUST_NOT = re.compile(
    r"\b(?:must|may|can|should) (?:i|we|you|one) not\b"
    r"|\b(?:mustn|can|shouldn)['\u2019]?t (?:i|we|you)\b"
    r"|\b(?:am i|are we|are you) not (?:allowed|permitted) to\b",
    re.IGNORECASE,
)
_OPEN = re.compile(r"\W*(?:and |so )?(?:when|where|what|which|how|why)\b", re.IGNORECASE)


def as_ruled(text: str) -> str:
    """Ask in the words of rules for what is forbidden.

    "When must I not overtake?" is "When is it forbidden to overtake?".
    """
    return _MUST_NOT.sub("is it forbidden to", text) if _OPEN.match(text) else text


_FRAGMENT = re.compile(
    r"^\W*(?:(?:and|but|or|so|then|okay)\W+)*(?:(?:what|how) about\s+)?"
    r"((in|on|at|with|without|for|to|from|by|under|as)\b(?!.*\b(?:wh\w+|how|is|are|do|does|can)\b).*)$",
    re.IGNORECASE,
)
_FRAGMENT_WORDS = 6  # a longer question has a topic of its own


def is_fragment(text: str) -> bool:
    """Whether a turn is only a fragment of a question: "And in the harbour?"."""
    return bool(_FRAGMENT.match(text)) and len(tokens(text)) <= _FRAGMENT_WORDS


def resumed(before: str, text: str) -> str:
    """Put a fragment into the previous question, in place of its counterpart, or at its end.

    "How fast may I drive in town?", "And in the harbour?" is "How fast may I drive in the
    harbour?".
    """
    fragment = _FRAGMENT.match(text)
    if not fragment:
        return ""
    spots = [match.start() for match in re.finditer(rf"\b{fragment[2]}\b", before, re.IGNORECASE)]
    if spots and spots[-1]:
        return f"{before[: spots[-1]]}{fragment[1]}"
    return f"{before.rstrip(' ?.!')} {fragment[1]}" if _ASKS.match(before) else ""


def overlaps(spoken_of: tuple[int, ...], interval: Interval) -> bool:
    """Whether the years of a sentence overlap the interval; two years are a span."""
    if not spoken_of:
        return False
    return min(spoken_of) <= interval[1] and max(spoken_of) >= interval[0]


def _beside(flat: str) -> Literal["after", "before", ""]:
    match = re.search(
        r"\b(before|after)"
        r"( (she|he|they|it) (was|went|worked|joined|left|started)( at| for| to| in)?)?"
        r"( (?!that\b|this\b|it\b|then\b)\S+){1,4}$",
        flat,
    )
    return "" if not match else "after" if match[1] == "after" else "before"


def _is_elliptic(text: str, flat: str) -> bool:
    if _ELLIPTIC.search(flat):
        return True
    words = tokens(re.sub(r"\b(is|are|was|were) there\b", "", flat))
    if any(token.key in _DEICTIC for token in words):
        return True
    content = [stem(token.key) for token in words if stem(token.key) not in GENERIC]
    return len(content) <= 1


def _interval(text: str) -> tuple[Interval | None, frozenset[int]]:
    """Years and decades, spoken or written, as one interval."""
    found: list[Interval] = []
    flat = text.lower()
    for claim in extract_claims(text):
        span = _span(claim.kind, claim.value)
        if span is None:
            continue
        flat = flat.replace(claim.text.lower(), f"@{len(found)}@", 1)
        found.append(span)
    if not found:
        return None, frozenset()
    years = frozenset(first for first, last in found if first == last)
    for pattern, make in _INTERVALS:
        match = re.search(pattern.format(y=r"(?:the )?(?:early |late |mid-?)?@(\d+)@"), flat)
        if not match:
            continue
        named = [found[int(group)] for group in match.groups() if group is not None]
        if len(named) == 2:
            return (named[0][0], named[1][1]), years
        first, last = named[0]
        if first == last:
            return make(first, last), years
        low, high = make(first, last)[0], make(last, last)[1]
        before = pattern.startswith("(?:before")
        return ((_EARLIEST, first - 1) if before else (min(low, high), max(low, high))), years
    return found[0], years


def _span(kind: str, value: str) -> Interval | None:
    if kind == "number" and re.fullmatch(r"1[0-9]\d\d|20\d\d", value):
        return int(value), int(value)
    if kind == "decade":
        first = int(value.rstrip("s"))
        if first < 100:
            first += 1900
        return first, first + 9
    return None


def mentioned(text: str) -> frozenset[str]:
    """Numbers of a text, except years."""
    return frozenset(
        value for value in numbers(text) if _span("number", value) is None and value[-1] != "s"
    )
