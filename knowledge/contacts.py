"""What contact details look like: e-mail addresses, telephone numbers and addresses in the web."""

import re

EMAIL = re.compile(r"\S@\S|\bat \w+ dot\b")
"""An e-mail address, written or spelled out."""

TELEPHONE = re.compile(
    r"(?<![\d.,:-])(?:"
    r"(?:\+\d{1,3}|0\d{1,4})[ /()-]*\d[\d /()-]{4,}\d"
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"
    r"|\d{3}[.-]\d{4}"
    r"|\d{2}(?: \d{2}){3,4}"
    r")(?![\d-])"
)
"""A telephone number: international, national with its zero, or North American.

Years are none, nor are spans of years or dates: "2014 - 2019", "2019-03-01".
"""

WEB = re.compile(
    r"https?://\S+|\bwww\.\S+|\b\S+\.(?:com|org|net|example|io|dev)(?:/\S*)?", re.IGNORECASE
)
"""An address in the web."""

SPOKEN_ADDRESS = re.compile(
    r"\w+://|\bwww\.|\b[\w-]+@|\b[\w-]{2,}\.(?:com|org|net|io|dev|app|info|biz|co|uk|de|eu|ai|gov|"
    r"edu|example|me|xyz|ly|to)\b(?!\s+[a-z]\w*\s)|\b(?:https?|mailto|ftp)\b"
    r"|\bdot (?:com|org|net)\b",
    re.IGNORECASE,
)
"""What begins or ends an address in a sentence to speak, which must stand in the document.

Wider than the others, since a sentence that is refused without need costs less than an invented
address that is told.
"""


def reaches(text: str) -> bool:
    """Whether a text has an e-mail address or a telephone number."""
    return bool(EMAIL.search(text) or TELEPHONE.search(text))


def has_contact(text: str) -> bool:
    """Whether a text has contact details of any kind."""
    return reaches(text) or bool(WEB.search(text))
