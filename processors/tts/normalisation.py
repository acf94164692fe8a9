"""Text normalisation: figures, symbols and abbreviations become words for the voice."""

from collections.abc import Callable
from dataclasses import replace

from loguru import logger

from conversation.frames import SentenceFrame
from conversation.spoken_text.normaliser import Normaliser
from knowledge.loading.document import Document
from processors.text_filter import TextFilter

MAX_ADDED_CHARS = 600
"""Maximum number of characters that normalisation adds to an answer. The worst-case cost of a call
includes them."""

Normalise = Callable[[str], str]
"""Returns the text to speak for a shown text."""


def document_normaliser(document: Document) -> Normaliser:
    """Create the normaliser of a document's language, which keeps its pronunciations."""
    return Normaliser(document.language, keep=document.persona.pronunciations)


class SpeechNormalisation(TextFilter):
    """The last filter before the voice; captions keep the shown text.

    Once an answer's normalised text exceeds the shown one by :data:`MAX_ADDED_CHARS` (as with
    nothing but telephone numbers), its further sentences go to the voice as they are. So does a
    sentence that a rule fails at, since normalisation withholds nothing.

    Parameters:
        normalise: Returns the text to speak for a shown text.
    """

    def __init__(self, normalise: Normalise) -> None:
        super().__init__()
        self._normalise = normalise
        self._turn = 0
        self._left = MAX_ADDED_CHARS

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        """Return the sentence with its text normalised."""
        if sentence.turn != self._turn:
            self._turn, self._left = sentence.turn, MAX_ADDED_CHARS
        try:
            spoken = self._normalise(sentence.text)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            logger.error("turn {}: a sentence is not normalised: {}", sentence.turn, told)
            return sentence
        added = len(spoken) - len(sentence.text)
        if added > self._left:
            return sentence
        self._left -= max(0, added)
        return sentence if spoken == sentence.text else replace(sentence, text=spoken)
