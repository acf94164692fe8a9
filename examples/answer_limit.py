"""A filter that leaves something out: an answer is no longer than so many sentences.

In :func:`pipeline.chain.decision_stages` it stands behind the responder,
before the ``decision_keeper``.
"""

from conversation.frames import SentenceFrame
from processors.text_filter import TextFilter


class AnswerLimit(TextFilter):
    """Drops the sentences of an answer past the first few.

    Parameters:
        sentences: How many sentences of an answer are spoken.
    """

    def __init__(self, *, sentences: int) -> None:
        super().__init__()
        self._limit = sentences
        self._turn = 0
        self._passed = 0

    def filter(self, sentence: SentenceFrame) -> SentenceFrame | None:
        """The sentence, unless it is one too many; prompts answer no turn, and pass."""
        if sentence.turn != self._turn:
            self._turn, self._passed = sentence.turn, 0
        self._passed += 1
        return sentence if not sentence.turn or self._passed <= self._limit else None


def three_sentences() -> AnswerLimit:
    """One call's, as ``viva vendors check --stage filter`` makes it."""
    return AnswerLimit(sentences=3)
