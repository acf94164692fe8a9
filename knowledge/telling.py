"""Turns rows, items and labels of a document into sentences that can be spoken.

A sentence contains only the document's own words and words that claim nothing.
"""

import re
from collections.abc import Sequence

from knowledge.claims import MONTHS
from knowledge.contacts import has_contact
from knowledge.moments import DAYS
from knowledge.words import spaced

_TIME_HEADS = frozenset(spaced("time when start starts begin begins from hours at uhrzeit"))
_DAY_HEADS = frozenset(spaced("day days date weekday"))
_WHO_HEADS = frozenset(spaced("speaker speakers who person host presenter by teacher with artist"))
_WHERE_HEADS = frozenset(spaced("room where place location venue hall stage"))
_VERB_HEADS = frozenset(
    spaced("takes costs needs includes contains means lasts requires covers does gets has serves")
)
_MOMENT_HEADS = frozenset(spaced("starts begins opens closes ends finishes leaves arrives departs"))
_DOING_HEADS = frozenset(
    ("what it does", "does", "description", "purpose", "function", "effect", "meaning", "action")
)
_ADVERB_HEAD = re.compile(
    r"^(?:on-?line|off-?line|(?:at|by|in|on|with|without) [a-z]+(?: \w+)?)$", re.I
)
_CLOCK = re.compile(r"\d{1,2}[:.]\d{2}\b")
_PRICES = re.compile(r"^[€£$¥]$|(?<=\()[€£$¥](?=\)$)")  # a column of prices: "€", "Price (€)"
_ASKING_HEAD = re.compile(
    r"^(?:how|what|which|when|where|who|meaning|value|notes?|remarks?|details?)\b", re.I
)
_TO_HEAD = re.compile(r"(?:^|\s)to$", re.IGNORECASE)  # "I want to", over what somebody may want
_DO_HEAD = re.compile(r"^(?:read|see|use|run|do|call|type|ask|go to|write to|open)$", re.IGNORECASE)
_NOTHING = frozenset(("", "-", "\u2013", "\u2014", "n/a", "/", "…", ".."))
_NONE = frozenset(("none", "no", "nothing"))
_HOUR = r"\d{1,2}(?:[:.]\d{2}(?:\s?[ap]\.?m\b\.?)?|\s?[ap]\.?m\b\.?)"
_TIMELIKE = re.compile(rf"^{_HOUR}(?:\s*(?:[-\u2013\u2014]|to)\s*{_HOUR})?$", re.IGNORECASE)
_ORDER = re.compile(
    r"^(?:please|order|ring|call|ask|bring|use|see|take|write|book|press|send|go|come|wear|tell|"
    r"report|open|close|wash|drop|switch|run|pay|buy|collect|contact|register|sign|"
    r"wait|leave|keep|put|get|do not|don't)\b"
    r"(?=\s\w)",
    re.IGNORECASE,
)
_CLOCKED = re.compile(rf"^{_HOUR}(?!\d)", re.IGNORECASE)
_PLACED = re.compile(  # labels that tell when, where or how: "By train: S4 to Unterbach"
    r"^(?:by|at|on|in|from|to|until|till|after|before|during|for|with|without|between|since)\s",
    re.I,
)
_DOES = re.compile(
    r"^[a-z]{2,}[^su\W]s\s+(?:the|an?|all|what|whether|how|your|its|every|each|no)\b"
)
_SINCE = re.compile(
    rf"^(?:since |from )?(?:(?:{'|'.join(MONTHS)})\w* )?(?:1\d|20)\d\d\b", re.IGNORECASE
)
_LANGUAGES = frozenset(
    spaced(
        "English German French Spanish Italian Portuguese Dutch Danish Swedish Norwegian Finnish "
        "Polish Czech Slovak Hungarian Romanian Bulgarian Greek Turkish Arabic Hebrew Persian "
        "Hindi Urdu Bengali Chinese Mandarin Cantonese Japanese Korean Russian Ukrainian Catalan "
        "Basque Welsh Irish Latin"
    )
)
_A_DAY = rf"(?:{'|'.join(day.capitalize() for day in DAYS)})s?"
_OF_DAYS = re.compile(rf"{_A_DAY}(?:(?:,| and| to|, and) {_A_DAY})*|[Ww]ee(?:kdays?|kends?)")
_WITH_PRICE = re.compile(
    r"^([A-Z][A-Za-z\u00c0-\u017f' -]{2,40}),? ([€£$]\s?\d[\d.,]*(?![\d/]).*)$"
)
_LEVEL = re.compile(r"^[ABC][12]\b")
_PAYERS = re.compile(
    r"^(?:\w+ )?(?:students|adults|children|kids|members|non-members|pensioners|seniors|families|"
    r"groups|others|guests|visitors|residents|employees|exhibitors|apprentices)"
    r"(?: (?:and|under|over|from)\b.*)?$",
    re.IGNORECASE,
)
_DONE = re.compile(r"^[a-z]{3,}(?:ed|en|wn|ld) (?:on|at|by|in|from|to|with|for)$", re.IGNORECASE)
_MONEY = re.compile(
    r"^(?:from |about |up to )?(?:[€£$¥]\s?\d|\d[\d.,]*\s?(?:[€£$¥]|"
    r"(?:euros?|pounds?|dollars?|kroner|cents?|francs?|eur|usd|gbp)\b))",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^([^:.!?]{2,48}?)\s*(?::\s+|\s+[\u2013\u2014-]\s+)(\S.*)$")
_SETTING = re.compile(r"([A-Za-z][\w.-]*)(?:\s*=\s*|:\s+)(\"[^\"]*\"|'[^']*'|\S+)")
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|did|can|may(?! \d)|must|will|shall|should|"
    r"could|would|need|needs|cost|costs|takes?|goes|comes?|makes?|gives?|gets?|serves?|opens?|"
    r"closes?|starts?|ends?|includes?|contains?|covers?|use[sd]?|works?|worked|run[s]?|pays?|paid|keeps?|"
    r"sends?|tell|bring|apply|applies|lasts?|speaks?|knows?|stud(?:y|ies|ied)|holds?|received|"
    r"published|stays?|moor|means?|shows?|leads?|led|wrote|built)\b",
    re.IGNORECASE,
)
_DAY_SHORT = {day[:3].capitalize(): day.capitalize() for day in DAYS} | {
    "Tues": "Tuesday",
    "Weds": "Wednesday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
}
_DAY_WORD = re.compile(
    rf"\b({'|'.join(sorted(_DAY_SHORT, key=len, reverse=True))})\b\.?(?=$|[\s,;:/)\u2013\u2014-])"
)


_NUMBERED = re.compile(
    r"^\s*(?:(?:Rule|Article|Art\.|Section|Sec\.|Clause|Paragraph|Para\.|Regulation) \d{1,4}[a-z]?|"
    r"\d{1,3}(?:\.\d{1,3})+)[.:)]?(?:\s*\(\d{1,2}\))?\s+(?=[A-Z\"\u201c])"
)
"""The number of a rule, which nobody says: "Rule 57 Keep two seconds behind the vehicle"."""
_LETTERED = re.compile(r"(?<!\w)\(?a\)\s.*(?<!\w)\(?b\)\s", re.DOTALL)
"""Alternatives with letters: "Stopping is forbidden: a) on bends, b) on cycle tracks"."""


def fluent(text: str) -> str:
    """Rewrite ranges, bullets, brackets and options as words."""
    if _LETTERED.search(text):
        text = re.sub(
            r"[:,;]?\s*(?<!\w)\(?([a-h])\)\s+", lambda m: " " if m[1] == "a" else ", ", text
        )
    text = re.sub(r"(?<=\d)\s*[\u2013\u2014]\s*(?=\d)|(?<=\d)-(?=\d{1,2}:\d\d)", " to ", text)
    text = re.sub(
        r"\b([A-Z][a-z]{2,8}\.?)\s?[\u2013\u2014-]\s?([A-Z][a-z]{2,8})\b", _between_days, text
    )
    text = _NUMBERED.sub("", text)
    text = _DAY_WORD.sub(lambda match: _DAY_SHORT[match[1]], text)
    text = re.sub(r"^\s*(?:\(\d+\)|\u00a7\s?\d+[a-z]?\.?|\d{1,3}[a-z]?\.(?=\s+[A-Z]))\s+", "", text)
    text = re.sub(
        r"(?<=\d)\s*[\u2013\u2014-]\s*(?=(?:present|now|today|current|(?:[A-Z][a-z]+ )?\d{4})\b)",
        " to ",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"\s+[\u2013\u2014-]+\s+|\s*[·•|]\s*|\s*;\s+", ", ", text)
    text = re.sub(r"[\u2013\u2014]", "-", text)
    text = re.sub(r"(?<!\S)--?(?=[a-z])", "", text)
    text = re.sub(r"[*`<>{}\[\]|#]+(?=\w)|(?<=\w)[*`<>{}\[\]|]+|[*`<>{}\[\]|]", "", text)
    text = re.sub(r"\s*\(\s*\)", "", text)
    text = re.sub(r"(?:,\s*){2,}", ", ", text)
    return " ".join(text.split()).strip(" ,;")


def _between_days(match: re.Match[str]) -> str:
    one, other = match[1].rstrip("."), match[2]
    months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
    ranged = one[:3] in _DAY_SHORT or one[:3] in months
    return f"{one} to {other}" if ranged else match[0]


def without_contact(text: str) -> str:
    """Remove contact details from a text about a person."""
    kept = [part for part in re.split(r"\s*[·•|]\s*", text) if not has_contact(part)]
    return " · ".join(kept)


def sentence(text: str) -> str:
    """Make a text a sentence: with a capital first and a full stop last."""
    text = fluent(text)
    if not text:
        return ""
    first = text.split()[0]
    if first[0].islower() and first.isalpha():
        text = text[0].upper() + text[1:]
    text = text.rstrip(",;:")
    return text if text.endswith((".", "!", "?")) else f"{text}."


def is_nothing(cell: str) -> bool:
    """Whether a table's cell is empty or only marked as such, by a dash."""
    return cell.strip().removesuffix(".").lower() in _NOTHING


def is_none(cell: str) -> bool:
    """Whether a table's cell is empty, or says that there is none."""
    return is_nothing(cell) or cell.strip().rstrip(".").lower() in _NONE


def is_clause(text: str) -> bool:
    """Whether a text has a verb, so that it can stand alone as a sentence."""
    return bool(_VERB.search(text)) and len(text.split()) >= 3


def labelled(text: str) -> tuple[str, str] | None:
    """Label and value of ``Label: value`` or ``Label - value``."""
    match = _LABEL.match(text)
    if (
        not match
        or len(match[1].split()) > 6
        or re.search(r"\d:\d|https?$", match[1] + match[2][:1])
    ):
        return None
    return match[1].strip(" *"), match[2].strip()


def setting(code: str) -> tuple[str, str] | None:
    """Name and value of a line of code that is ``name = value`` or ``name: value``."""
    match = _SETTING.fullmatch(code)
    return (match[1], match[2]) if match else None


def item(text: str) -> str:
    """Make an item a sentence; in "label: value", the value is stated of the label."""
    found = labelled(text)
    if found is None:
        priced = _WITH_PRICE.match(text)
        told = priced is None or _VERB.search(priced[1]) is not None
        return sentence(text if priced is None or told else f"{priced[1]} costs {priced[2]}")
    label, value = found
    if _TIMELIKE.match(label) and not re.match(r"\d", value):
        on = "from" if re.search("[\u2013\u2014-]|\\bto\\b", label) else "at"
        return sentence(f"{on} {label}, {_lower(value)}")
    if is_clause(label) or len(value.split()) > 24 or _PLACED.match(label):
        return sentence(
            f"{label}, {_lower(value)}" if _PLACED.match(label) else f"{label}, {value}"
        )
    value = value.rstrip(".")
    # As in "Coach, Tarn Club - since May 2019" and "Dutch: B2".
    if label in _LANGUAGES and _LEVEL.match(value):
        return sentence(f"{label} is at level {value}")
    if _SINCE.match(value) or label in _LANGUAGES:
        return sentence(f"{label}, {value}")
    if _OF_DAYS.fullmatch(fluent(label)):
        timed = re.match(rf"{_HOUR}\s*(?:[-\u2013\u2014]|to)\s*{_HOUR}", value, re.IGNORECASE)
        on = f"{'from' if ' to ' in fluent(label) else 'on'} {label}"
        if value.lower() in ("closed", "open", "shut"):
            return sentence(f"{on} it is {_lower(value)}")
        return sentence(f"{on}, {'from ' if timed else ''}{_lower(value)}")
    if value.lower() in ("yes", "no", "not yet"):
        return sentence(f"For {label}, the answer is {value}")
    if _MONEY.match(value) and _PAYERS.search(label):
        return sentence(f"{label} pay {value}")
    if _MONEY.match(value):
        return sentence(f"{label} {agreeing(label, 'costs', 'cost')} {value}")
    if re.match(r"^(?:yes|no|not)\b", value, re.IGNORECASE):
        return sentence(f"For {_lower(label)} the answer is {value}")
    if _TIMELIKE.match(value):
        return sentence(f"{_the(label)} {agreeing(label, 'is', 'are')} at {value}")
    if (is_clause(value) and len(value.split()) > 3) or _ORDER.match(value):
        return sentence(f"For {label}, {_lower(value)}")
    parts = value.split(", ")
    short = all(len(part.split()) <= 4 and not re.search(r"\d", part) for part in parts)
    if len(parts) > 1 and short:
        value = listed(parts) if " and " not in parts[-1] else value
        if agreeing(label, "one", "many") == "one":
            return sentence(f"{label} includes {value}")
    return sentence(f"{_the(label)} {agreeing(label, 'is', 'are')} {value}")


def listed(items: Sequence[str]) -> str:
    """Join items with commas, and the last with "and"."""
    kept = [item.strip().rstrip(".;,") for item in items if item.strip()]
    if len(kept) < 2:
        return "".join(kept)
    return f"{', '.join(kept[:-1])} and {kept[-1]}"


def row(cells: Sequence[tuple[str, str]], heading: str = "") -> str:
    """Make a row of a table a sentence.

    Parameters:
        cells: Pairs of column title and content.
        heading: The day or date that the table is about, if any.
    """
    full = _told(cells)
    if not full:
        return ""
    times, subjects = _times(full), _subjects(full)
    on = f"on {heading}, " if heading else ""
    if times and subjects:
        what = subjects[0][1]
        when = times[0][1]
        what = what.replace(": ", ", ")
        ranged = re.search("[\u2013\u2014-]", when)
        said = f"{on}{what} is {'from' if ranged else 'at'} {when}"
        for head, cell in full:
            if (head, cell) in (times[0], subjects[0]):
                continue
            said += f", {_cell(head, cell, after_verb=True)}"
        return sentence(said)
    (_, key), *rest = full
    if not rest:
        return sentence(f"{on}{key}")
    if _TO_HEAD.search(full[0][0]) and all(_DO_HEAD.match(head) for head, _ in rest):
        told = listed([f"{_lower(head)} {cell}" for head, cell in rest])
        return sentence(f"to {_lower(key)}, {told}")
    named = f"{_lower(full[0][0])} {key}" if key.replace(".", "").isdigit() else key
    opening = f"on {key}" if full[0][0].lower() in _DAY_HEADS else f"for {named}"
    if heading and full[0][0].lower() not in _DAY_HEADS:
        opening = f"on {heading}, {opening}"
    return sentence(f"{opening}, {listed([_cell(head, cell) for head, cell in rest])}")


_CAPITAL = r"[A-Z\u00c0-\u00de][\w'\u2019-]+\.?"
_SPEAKER = re.compile(
    r"(?:\s*[,(\u2013\u2014-]\s*(?:(?:with|by|chair:|speaker:)\s+)?)"
    rf"((?:(?:Dr|Prof)\.? )?{_CAPITAL}(?: (?:{_CAPITAL}|van|von|de|der|da|di|al|el|la|vos)){{1,3}})"
    r"\)?(?=$|[,;])"
)
_BREAK = re.compile(
    r"\b(?:coffee|tea|lunch|break|breakfast|dinner|registration|party|reception|drinks|excursions?|"
    r"doors open)\b",
    re.IGNORECASE,
)


def are_tracks(rows: Sequence[Sequence[tuple[str, str]]]) -> bool:
    """Whether a table has times in its first column, and what goes on in places in the others."""
    timed = [cells for cells in rows if cells and _CLOCKED.match(cells[0][1])]
    if len(timed) < 2 or len(timed) < len(rows) - 1:
        return False
    known = _TIME_HEADS | _DAY_HEADS | _WHO_HEADS | _WHERE_HEADS | _MOMENT_HEADS
    heads = [head for head, _ in timed[0][1:] if head and head.lower() not in known]
    filled = [
        head
        for cells in timed
        for head, cell in cells[1:]
        if head in heads and len(cell.split()) > 1 and not _CLOCKED.match(cell)
    ]
    beside = [cells for cells in timed if sum(len(cell.split()) > 1 for _, cell in cells[1:]) > 1]
    return len(heads) > 1 and len(set(filled)) > 1 and len(beside) > 1


def track(
    time: tuple[str, str], head: str, cell: str, *, alone: bool
) -> tuple[tuple[str, str], ...]:
    """The cells of one session of a table of tracks, as if it had a row of its own.

    Parameters:
        time: Title and content of the first cell.
        head: Title of its column: the place.
        cell: The session, perhaps with its speaker.
        alone: Whether nothing goes on beside it; a break then has no place.
    """
    speaker = _SPEAKER.search(cell)
    what = f"{cell[: speaker.start()]}{cell[speaker.end() :]}" if speaker else cell
    cells = [("Time", time[1]), ("Session", what.strip(" ,"))]
    if speaker:
        cells.append(("Speaker", speaker[1]))
    if not (alone and _BREAK.search(cell)):
        cells.append(("Room", head))
    return tuple(cells)


def subject(cells: Sequence[tuple[str, str]]) -> str:
    """The topic of a row: its first cell, or in a table of times the first that is no time."""
    full = _told(cells)
    found = _subjects(full) if _times(full) else full
    return found[0][1] if found else ""


def _told(cells: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    full = [(head.strip(), cell.strip().rstrip(".")) for head, cell in cells]
    return [(head, cell) for head, cell in full if not is_nothing(cell)]


def _times(full: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    named = any(head.lower() in _TIME_HEADS for head, _ in full)
    return [
        (head, cell)
        for head, cell in full
        if (_TIMELIKE.match(cell) and (named or not head))
        or (head.lower() in _TIME_HEADS and re.match(r"\d", cell))
    ][:1]


def _subjects(full: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    others = _WHO_HEADS | _WHERE_HEADS | _DAY_HEADS
    times = _times(full)
    return [part for part in full if part not in times and part[0].lower() not in others]


def _cell(head: str, cell: str, *, after_verb: bool = False) -> str:
    name = head.lower()
    if after_verb and name in _WHO_HEADS:
        return f"with {cell}"
    if after_verb and name in _WHERE_HEADS:
        return f"in {cell}" if not re.match(r"(?:in|on|at|by|bus|online)\b", cell, re.I) else cell
    if name in _DOING_HEADS and _DOES.match(cell):
        return f"it {cell}"
    if name in ("meaning", "description", "effect"):
        return f"it means {_lower(cell)}"
    if (sign := _PRICES.search(head)) and re.match(r"\d", cell):
        return f"it costs {sign[0]}{cell}"
    if not head and cell.startswith("contains "):
        return f"it {cell}"
    if not head or _ASKING_HEAD.match(head):
        return f"it is {cell}"
    if _ADVERB_HEAD.match(head):  # of prices: "Online", "At the gate"
        return f"it {'costs' if _MONEY.match(cell) else 'is'} {cell} {_lower(head)}"
    if _DONE.match(name):  # "Baked on"
        return f"it is {name} {cell}"
    if name in _MOMENT_HEADS:
        return f"it {name} {'at ' if _CLOCK.match(cell) else ''}{cell}"
    if name in _VERB_HEADS:
        return f"it {name} {cell}"
    return f"{_the(head)} {agreeing(head, 'is', 'are')} {cell}"


def _the(label: str) -> str:
    label = _lower(label)
    if re.match(
        r"(?:the|a|an|our|your|my|all|no|in|on|at|for|from|per|to)\b", label, re.IGNORECASE
    ):
        return label
    return f"the {label}"


def _lower(label: str) -> str:
    """Put a label into a sentence: its first letter becomes lower case, unless it is a name."""
    words = label.split()
    if not words:
        return label
    first = words[0]
    names = any(word[:1].isupper() for word in words[1:])
    plain = first[:1].isupper() and first[1:].islower()
    return label[0].lower() + label[1:] if plain and not names and len(first) > 1 else label


def agreeing(label: str, one: str, many: str) -> str:
    """The form of a verb for a label: one for the singular, many for the plural."""
    last = label.split("(", maxsplit=1)[0].split()[-1:] or [""]
    word = last[0].lower().rstrip(",")
    plural = (word.endswith("s") and not word.endswith(("ss", "us", "is"))) or " and " in label
    return many if plural else one
