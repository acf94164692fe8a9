"""Reads menus and price lists as their readers do: bare prices, and letters for allergens.

"Burrata (v) M 11" on a menu with "Prices in pounds" and "M milk" is told as "Burrata (vegetarian)
costs £11, contains milk".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from knowledge.loading.section import Line
from knowledge.telling import agreeing, listed
from knowledge.words import sentences

_PRICE = r"\d{1,3}(?:[.,]\d{1,2})?"
_UNPRICED = (
    r"(?:for|under|over|to|until|till|from|at|of|no|nr|serves|about|up|than|last|next|and|or|the|"
    r"page|table|room|street|road|lane|avenue|square|tel|phone|in|by|on|after|before|since)"
)
# A number with nothing beside it that would make it anything but a price.
_BARE = re.compile(
    rf"(?<=[\w)\]'\u2019])(?<![\d.,:/])(?:\s*[\u00b7\u2013\u2014-]+)?\s+(?P<price>{_PRICE})"
    r"(?=\s*(?:$|[,;.](?!\d)|/|\u00b7|\u2014|\(|[A-Z][a-z]))",
)
_BEFORE = re.compile(rf"\b{_UNPRICED}\W*$", re.IGNORECASE)
_SIGNED = re.compile(r"[€£$]\s?\d|\d\s?[€£$]")
_SIGN = re.compile(r"[€£$]")
_CURRENCY = re.compile(
    r"\bprices?\b[^.]{0,40}?\bin "
    r"(?P<named>euros?|eur|€|pounds?(?: sterling)?|gbp|£|(?:us )?dollars?|usd|\$)"
    r"|(?:^|[.:(]\s*)(?P<alone>euros|pounds|dollars)(?=[.)]|$)",
    re.IGNORECASE,
)
_SIGNS = {"e": "€", "€": "€", "p": "£", "g": "£", "£": "£", "d": "$", "u": "$", "$": "$"}
_LEAST_BARE = 5  # bare prices of a document that does not say in which currency they are
_KEY = re.compile(r"\b(?:allergens?|stands? for|legend|key)\b", re.IGNORECASE)
_CODE = re.compile(
    r"(?<![\w(])\(?(?P<code>[A-Z]{1,2}|vg|ve|v|gf|df)\)?\s*(?:=|:|\u2013|-|\s)\s*"
    r"(?P<means>[a-z][a-z-]+(?: [a-z]+)?)(?=\s*(?:[,.;)]|$))"
)
_LEAST_CODES = 2
_DIETS = {"v": "vegetarian", "vg": "vegan", "ve": "vegan", "gf": "gluten-free"}
_UNITS = re.compile(
    r"\b(?:age|aged|years?|people|persons?|seats?|minutes?|hours?|time|kcal|calories|grams?|weight|"
    r"number|no|nr|places?|pages?|points?|level|size)\b",
    re.IGNORECASE,
)
_BELOW = re.compile(r"\s*(?:[\u00b7\u2013\u2014-]\s*)?(?=[A-Z][a-z]+)")
_DASH = re.compile(r"\s[\u2013\u2014-]\s")
_TAIL = re.compile(r",| (?:from|with|of|in|on|for|al|alla|alle|and)\b| \(")
_MOST_WORDS = 14  # of what a price stands behind


@dataclass(frozen=True, slots=True)
class Menu:
    """How a document writes prices and allergens.

    Parameters:
        sign: The sign of its currency; ``None`` if its bare numbers are no prices.
        codes: What its letters stand for.
    """

    sign: str | None = None
    codes: Mapping[str, str] = field(default_factory=dict)

    def read(self, line: Line) -> Line:
        """A line with its prices and letters in words."""
        if (self.sign is None and not self.codes) or line.code:
            return line
        if line.cells:
            cells = tuple((head, self._cell(head, cell)) for head, cell in line.cells)
            return replace(line, cells=cells)
        text = " ".join(self._told(part) for part in sentences(line.text))
        return replace(line, text=text)

    def _cell(self, head: str, cell: str) -> str:
        if cell in self.codes:
            return f"contains {self.codes[cell]}" if cell.isupper() else self.codes[cell]
        bare = re.fullmatch(_PRICE, cell.strip())
        if self.sign and bare and head and not _UNITS.search(head):
            return f"{self.sign}{cell.strip()}"
        return self._diets(cell)

    def _told(self, text: str) -> str:
        if _KEY.search(text) and len(_CODE.findall(text)) >= _LEAST_CODES:
            return text
        text, contains = self._without_letters(self._diets(text))
        if self.sign is not None:
            text = self._priced(text)
        if not contains:
            return text
        ended = text.rstrip(" .,;\u2014\u2013\u00b7-")
        return f"{ended}, contains {listed(contains)}."

    def _priced(self, text: str) -> str:
        found = [
            match for match in _BARE.finditer(text) if not _BEFORE.search(text[: match.start()])
        ]
        if not found:
            return text
        first = found[0]
        name = _DASH.sub(", ", text[: first.start()].rstrip(" ,;\u2014\u2013\u00b7-"))
        label = ":" in name
        out, end = "", 0
        for match in found:
            sign = self.sign or ""
            verb = ""
            if match is first and not label and len(name.split()) <= _MOST_WORDS:
                verb = f"{agreeing(_TAIL.split(name)[0], 'costs', 'cost')} "
                out = name
            else:
                out += text[end : match.start()].rstrip(" \u2014\u2013\u00b7-")
            out += f" {verb}{sign}{match['price']}"
            end = match.end()
            if below := _BELOW.match(text, end):  # what it is made of, on the next line
                out += ". "
                end = below.end()
        return out + text[end:]

    def _diets(self, text: str) -> str:
        if not self.codes:
            return text
        return re.sub(
            r"\((vg|ve|v|gf)\)", lambda m: f"({self.codes.get(m[1], _DIETS[m[1]])})", text
        )

    def _without_letters(self, text: str) -> tuple[str, list[str]]:
        """Remove the letters for allergens, and say what they stand for."""
        letters = [code for code in self.codes if code.isupper()]
        if not letters:
            return text, []
        one = "|".join(sorted(map(re.escape, letters), key=len, reverse=True))
        run = re.compile(
            rf"(?:(?<=^)|(?<=[\s(]))(?:{one})(?:[ ,]+(?:{one}))*(?=\s|$|[),.\u00b7\u2014\u2013])"
        )
        contains: list[str] = []

        def named(match: re.Match[str]) -> str:
            contains.extend(self.codes[letter] for letter in re.findall(one, match[0]))
            return ""

        text = run.sub(named, text)
        if contains:
            text = re.sub(r"\(\s*[,;]?\s*(?:and\s+)?", "(", text)
            text = re.sub(r"\(\s*\)", "", text)
            text = re.sub(
                r"(?:\s[\u00b7\u2013\u2014-]+)+\s*(?=$|[\u00b7\u2013\u2014-]\s)", " ", text
            )
            text = re.sub(r"\s{2,}", " ", text).strip()
        return text, contains


def menu_of(lines: Iterable[Line]) -> Menu:
    """How the lines of a document write prices and allergens, if it is a menu or a price list."""
    codes: dict[str, str] = {}
    currency, signs, bare = "", [], 0
    for line in lines:
        if line.code or line.kind == "heading":
            continue
        if _KEY.search(line.text) or line.text.count(" = ") >= _LEAST_CODES:
            pairs = {match["code"]: match["means"] for match in _CODE.finditer(line.text)}
            if len(pairs) >= _LEAST_CODES:
                codes |= pairs
        if (said := _CURRENCY.search(line.text)) and not currency:
            currency = _SIGNS[(said["named"] or said["alone"])[0].lower()]
        signs += _SIGN.findall(line.text)
        bare += bool(_BARE.search(line.text)) and not _SIGNED.search(line.text)
    if codes:
        codes = _DIETS | codes
    if currency:
        return Menu(currency, codes)
    if bare >= _LEAST_BARE and codes:
        return Menu(max(set(signs), key=signs.count) if signs else "", codes)
    return Menu(None, codes)
