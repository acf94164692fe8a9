"""Has every voice say in words what is shown in figures, signs and abbreviations."""

from collections.abc import Callable
from dataclasses import replace

from conversation.frames import SentenceFrame
from conversation.spoken_text.normaliser import Normaliser
from knowledge.loading.document import Document
from processors.text_filter import TextFilter

MOST_ADDED = 600
"""Characters that are spoken at most beyond those that are shown of an answer: the worst case of
what a call costs counts them."""

Say = Callable[[str], str]
"""What is spoken for a shown text."""


def normaliser_of(document: Document) -> Normaliser:
    """The normaliser of a document's language, which leaves its pronunciations alone."""
    return Normaliser(document.language, keep=document.persona.pronunciations)


class SpeechNormalisation(TextFilter):
    """Stands in front of the voice, behind all other filters: captions keep what is shown.

    An answer of which far more would be spoken than is shown (nothing but telephone numbers, say)
    is spoken as it is shown from there on, and the voice makes of it what it can.

    Parameters:
        say: What is spoken for a text.
    """

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say
        self._turn = 0
        self._left = MOST_ADDED

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        """The same sentence, in words."""
        if sentence.turn != self._turn:
            self._turn, self._left = sentence.turn, MOST_ADDED
        spoken = self._say(sentence.text)
        added = len(spoken) - len(sentence.text)
        if added > self._left:
            return sentence
        self._left -= max(0, added)
        return sentence if spoken == sentence.text else replace(sentence, text=spoken)
