"""Detects sensitive topics that a question means without naming them: "any little ones?".

Complements :func:`knowledge.check.sensitive.topic_of` for brains that have embeddings: it knows the
default topics by examples, and refuses a question that is closer to an example than to anything in
the document. A question that is closer to an ordinary one is none of them: "Where does she work?"
is near "Where does she live?", too.
"""

import numpy as np

from knowledge.check.sensitive import is_about_work
from knowledge.loading.section import SensitiveTopic
from knowledge.search.retrieval import Index
from knowledge.search.vector_cache import VectorCache

_EXAMPLES = {
    "salary": (
        "How much did she earn?",
        "How much money did she make a year?",
        "What does it cost to hire her?",
        "Was she rich?",
    ),
    "references": ("Who can give a reference for her?", "What do her former bosses say about her?"),
    "contact details": (
        "What is her phone number?",
        "How can I get in touch with her?",
        "Where does she live?",
    ),
    "health": ("Was she ill?", "What did she die of?", "Does she have a disability?"),
    "age": ("How old is she?", "What was her age when she retired?"),
    "family": ("Was she married?", "Did she have children?", "Who were her parents?"),
    "beliefs": ("Was she religious?", "Which party did she vote for?"),
}
_ORDINARY = (
    "Where does she work?",
    "Where does she live and work?",
    "Which city does she work in?",
    "Where is her office?",
    "Where is she based?",
    "Where is she from?",
    "Where did she study?",
    "What is her job?",
    "What does she do for a living?",
    "Who is her employer?",
    "Who does she work for?",
    "Who does she work with?",
    "Who are her clients?",
    "When did she start working?",
    "How long has she worked there?",
    "How much experience does she have?",
)
"""Questions that any CV may be asked, in words that those about a topic have, too."""

_ALIKE, _VERY_ALIKE = 0.62, 0.72  # cosine similarity
_LEAD, _SHORT_LEAD = 0.1, 0.02  # how much closer the example must be than the document
# How much closer an ordinary question must be than the example: 34 about work were 0.12 and more
# where the example is alike, 31 about a topic 0.04 at most (one CV).
_ORDINARY_LEAD = 0.08


class SemanticTopicFilter:
    """Detects the sensitive topics of a document by examples.

    Parameters:
        index: The document's index. Topics of its own that are not default topics have no
            examples, and documents about things are not covered; both are left to phrases.
        vectors: Cache of the examples' vectors.
    """

    def __init__(self, index: Index, vectors: VectorCache) -> None:
        self._index = index
        self._topics = [
            (topic, example)
            for topic in index.document.sensitive
            for example in _EXAMPLES.get(topic.name.lower(), ())
            if index.about_person
        ]
        examples = [example for _, example in self._topics]
        self._examples = vectors.embed(index.with_pronouns(examples))
        if self._topics:
            self._ordinary = vectors.embed(index.with_pronouns(_ORDINARY))

    def topic_of(self, text: str) -> SensitiveTopic | None:
        """The topic whose examples are closer to the question than the document is, if any."""
        if not self._topics:
            return None
        vector = self._index.vector(text)
        likeness = self._examples @ vector
        at = int(np.argmax(likeness))
        best = float(likeness[at])
        if float((self._ordinary @ vector).max()) >= best + _ORDINARY_LEAD:
            return None
        lead = best - float(self._index.similarity(text).max())
        if is_about_work(text, self._index.document):
            return None
        alike = best >= _ALIKE and lead >= (_SHORT_LEAD if best >= _VERY_ALIKE else _LEAD)
        return self._topics[at][0] if alike else None
