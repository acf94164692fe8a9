"""Cells of a CSV file that spreadsheets show as text and never evaluate."""

import json
import re
from typing import Any

_SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
"""What a formula begins with; Excel reads the full-width signs as the others in Japanese."""

_FORMULA = re.compile(rf"\A(?=\s*{_SIGNS}|[\t\r\n])|(?<=[;\t\r\n])(?= *{_SIGNS})")
"""Where a spreadsheet would read a formula: at the start of a cell, or after a character that some
take for its end (Excel reads semicolons where the comma is the decimal sign)."""


def inert(value: Any) -> Any:
    """A value as a cell: a text that could be a formula gets an apostrophe, a list becomes JSON.

    Callers choose what they say and some of their address, and operators open the file in a
    spreadsheet (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    if isinstance(value, (list, dict, bool)):
        value = json.dumps(value, ensure_ascii=False)
    return _FORMULA.sub("'", value) if isinstance(value, str) else value
