"""Two filters that change words: one how they are spoken, the other what they are.

In :func:`pipeline.chain.decision_stages` they stand behind the responder,
before the ``decision_keeper``.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from conversation.frames import SentenceFrame
from processors.text_filter import TextFilter


class Respelling(TextFilter):
    """Has a voice say words as they are respelled, whoever speaks: COBOL as "koh-ball".

    Captions, heard text and ledger keep the word itself: only ``text`` is changed.

    Parameters:
        words: Each word, and what is given to the voice in its place.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__()
        self._words = words
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        """The same sentence, spoken in another way."""
        spoken = self._pattern.sub(lambda found: self._words[found[0]], sentence.text)
        return replace(sentence, text=spoken)


class Redaction(TextFilter):
    """Neither says nor shows certain words: both fields are changed.

    Parameters:
        words: The words, whatever their case.
        instead: What stands for each.
    """

    def __init__(self, *words: str, instead: str = "something") -> None:
        super().__init__()
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
        self._instead = instead

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        """Another sentence."""
        return replace(
            sentence,
            text=self._pattern.sub(self._instead, sentence.text),
            shown=self._pattern.sub(self._instead, sentence.shown),
        )
