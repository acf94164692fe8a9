"""Splits an answer into sentences as it streams, and reduces them to plain text.

pipecat's tokenizer (sentencex) finds the ends of sentences. For streaming, this module waits for
what follows a full stop before it takes it for an end, and splits long sentences at clauses.
"""

import re

from pipecat.utils.string import SENTENCE_ENDING_PUNCTUATION, match_endofsentence

_MARKS = "".join(map(re.escape, sorted(SENTENCE_ENDING_PUNCTUATION)))
_MAY_END = re.compile(rf"[{_MARKS}]\W*\w")
# Full stops that the tokenizer wrongly takes for the end of a sentence.
_NO_END = re.compile(r"(?:\b(?:i\.e|e\.g|cf)\.|^\s*\d{1,2}\.)$", re.IGNORECASE)
_NO_END_BEFORE_DIGIT = re.compile(r"\b(?:approx|vol|pp?|ca|fig|nos?)\.$", re.IGNORECASE)
_OPENED = re.compile(
    r"""\s["'\u201c\u2018\u00ab(]+\s*$"""
)  # An opening quote or bracket that the tokenizer adds to the previous sentence.
_CLAUSE = re.compile(r"[,;:](?=\s)|\s[-\u2013\u2014](?=\s)|\u2014")
_SHORTEST_CLAUSE = 40
_FIRST_CLAUSE = 20  # Shortest clause that is spoken ahead of its sentence, in characters.
_WORD = re.compile(r"\s*([\w'\u2019]+)(?=[^\w'\u2019])")
# Words that may take back, limit or compare what stands before them: no clause ends there.
_LIMITS = frozenset(
    word
    for line in (
        "after albeit although as because before but except for however if in instead like nor",
        "not of on only or otherwise provided rather since than that though to unless unlike",
        "until when whenever where whereas while with within without yet",
    )
    for word in line.split()
)
_LOOKAHEAD = 16  # Characters between a full stop and the word that confirms the end.

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LINE_MARKER = re.compile(r"^\s*(?:#{1,6}|[-*+•>]|\d{1,2}[.)])\s+(?=\S)")
_MARKDOWN = re.compile(r"[\[\]*`#_]")
_EMPHASIS = re.compile(r"[*`]+|(?<!\w)[_#]+|_+(?!\w)")


class SentenceStream:
    """Splits growing text into sentences.

    Parameters:
        max_chars: A longer sentence is split after a clause, so that the voice can start.
    """

    def __init__(self, *, max_chars: int = 240) -> None:
        if max_chars <= _SHORTEST_CLAUSE:
            raise ValueError(f"max_chars is {max_chars}; it must be over {_SHORTEST_CLAUSE}")
        self._max_chars = max_chars
        self._pending = ""

    def feed(self, text: str) -> list[str]:
        """Append a piece of text, and return the sentences that it completes, stripped."""
        *lines, self._pending = (self._pending + text).split("\n")
        sentences = [sentence for line in lines for sentence in self._split(line)]
        while end := self._end(self._pending, ended=False):
            sentences.append(self._pending[:end].strip())
            self._pending = self._pending[end:].lstrip()
        return sentences

    def close(self) -> list[str]:
        """End the text, and return the remaining sentences, stripped."""
        line, self._pending = self._pending, ""
        return self._split(line)

    def begun(self, beyond: int = 0) -> str:
        """Return the first clauses of the sentence that is arriving; empty if none is whole.

        A clause ends at a comma, colon, semicolon or dash that the next word follows, unless that
        word may limit what was said, or is a number, as in a date. In brackets and quotations none
        ends, nor after Markdown.

        Args:
            beyond: Only what is longer than so many characters.
        """
        for mark in _CLAUSE.finditer(self._pending, max(beyond, _FIRST_CLAUSE)):
            clause, rest = self._pending[: mark.end()], self._pending[mark.end() :]
            following = _WORD.match(rest)
            if following is None:
                return ""
            goes_on = following[1][0].isalpha() and following[1].casefold() not in _LIMITS
            if goes_on and not _is_open(clause) and not _MARKDOWN.search(clause):
                return clause.strip()
        return ""

    def _split(self, line: str) -> list[str]:
        sentences = []
        while end := self._end(line, ended=True):
            sentences.append(line[:end].strip())
            line = line[end:]
        return [sentence for sentence in [*sentences, line.strip()] if sentence]

    def _end(self, text: str, *, ended: bool) -> int:
        """Return where the first sentence of the text ends; 0 if it may continue."""
        end = self._sentence_end(text)
        limit = self._max_chars if end or ended else self._max_chars + _LOOKAHEAD
        if (end or len(text.rstrip())) > limit:
            return self._clause_end(text)
        return end

    def _sentence_end(self, text: str) -> int:
        if not _MAY_END.search(text):
            return 0
        end = 0
        while found := match_endofsentence(text[end:]):
            end += found
            if opened := _OPENED.search(text[:end]):
                end = opened.start()
            before, after = text[:end], text[end:].lstrip()
            if not any(map(str.isalnum, after)):
                return 0  # Not confirmed by a following word.
            if _is_open(before) or _NO_END.search(before):
                continue
            if after[0].isdigit() and _NO_END_BEFORE_DIGIT.search(before):
                continue
            return end
        return 0

    def _clause_end(self, text: str) -> int:
        window = text[: self._max_chars]
        clauses = [match.end() for match in _CLAUSE.finditer(window, _SHORTEST_CLAUSE)]
        return clauses[-1] if clauses else max(window.rfind(" "), 0) or self._max_chars


def _is_open(text: str) -> bool:
    """Whether the text ends within a bracket or quotation."""
    return (
        text.count("(") > text.count(")")
        or text.count("\u201c") > text.count("\u201d")
        or text.count('"') % 2 == 1
    )


def plain_text(sentence: str) -> str:
    """Return a sentence without Markdown and extra spaces; empty if it has nothing to speak.

    ``C#`` and ``A-0`` stay as they are.
    """
    plain = _LINE_MARKER.sub("", _LINK.sub(r"\1", sentence))
    plain = " ".join(_EMPHASIS.sub("", plain).replace("_", " ").split())
    return plain if any(map(str.isalnum, plain)) else ""
