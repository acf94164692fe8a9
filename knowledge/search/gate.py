"""Estimates how likely it is that the best record answers the question.

The evidence of :mod:`knowledge.search.reader` is weighed by logistic regression.
``python -m benchmarks.gate`` fits the weights anew on the documents of ``evals/documents/develop``
and says how good they are, leaving out one document after another.
"""

import math
from dataclasses import dataclass

from knowledge.search.token_match import Match

_NO_MATCH = Match()


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a question and a finding.

    Parameters:
        meaning: Cosine of the question and the statement, or a question that it answers.
        shared: Share of the question's weight in rare words that the statement has.
        read: Logit of the cross-encoder.
        fit: How well the kind of answer fits the question.
        when: -1 to 1: whether it is about the day, date or time asked for.
        alien: Penalty for names and words of the question that the document does not contain.
        lacks: Whether it cannot answer: a row with an empty cell in the column asked for, no name
            for "who" holds an office, no quantity for "how long", "how much", "how fast" or "how
            many", or what :mod:`knowledge.search.shortfall` finds.
        lead: Its score minus that of the best other record.
        polar: Whether the question can be answered by yes or no; then a statement about another day
            may answer it.
        lead_in_meaning: Its meaning minus the highest of the other records.
        lead_in_words: Its share of rare words minus the highest of the other records.
        lead_in_read: Its logit minus the highest of the other records.
        match: How well the words of the question match those of the record.
        lead_in_match: The mean match of all words minus the highest of the other records.
        follows: Whether the question was read as a follow-up of the previous one.
        kin: Share of the other records found that are of its list or table.
        when_asked: Whether the question asks when.
        many_asked: Whether it asks how many.
        there_asked: Whether it asks whether there is something.
    """

    meaning: float
    shared: float
    read: float
    fit: float
    when: float
    alien: float
    lacks: bool = False
    lead: float = 0.0
    polar: bool = False
    lead_in_meaning: float = 0.0
    lead_in_words: float = 0.0
    lead_in_read: float = 0.0
    match: Match = _NO_MATCH
    lead_in_match: float = 0.0
    follows: bool = False
    kin: float = 0.0
    when_asked: bool = False
    many_asked: bool = False
    there_asked: bool = False

    def vector(self) -> tuple[float, ...]:
        """The features in the order of the gate's weights; the last is 1."""
        return (
            self.meaning,
            self.read / 10,
            self.fit,
            self.alien,
            min(self.lead, 0.5),
            min(max(self.lead_in_meaning, -0.3), 0.3),
            min(max(self.lead_in_read / 10, -0.5), 0.5),
            min(max(self.lead_in_words, -0.5), 0.5),
            float(self.lead_in_meaning > 0 and self.lead_in_read > 0),
            5 * self.match.all,
            5 * self.match.content,
            5 * self.match.least,
            5 * min(max(self.lead_in_match, -0.1), 0.1),
            float(self.follows),
            self.kin,
            float(self.when_asked),
            float(self.many_asked),
            float(self.there_asked),
            float(self.lacks),
            1.0,
        )


GATE: tuple[float, ...] = (
    1.14, 1.69, 0.25, -0.50, 0.94, 1.53, 1.13, 0.98, -0.02, -0.72, -0.24, 0.65, 1.93, 1.21, 0.13,
    0.50, -0.58, -0.52, -2.87, 0.27,
)  # fmt: skip
"""Weights of :meth:`Features.vector`: the weighted sum is the logit of a right answer.

Fitted on the 1,207 questions of ``develop`` that find a record and are neither sensitive nor open,
365 of which it does not answer; leaving one document out, the area under the curve is 0.93.
"""
_OTHER_DAY = 2.0  # subtracted from the logit


def probability(features: Features) -> float:
    """The probability that an answer from a finding is right."""
    logit = sum(weight * value for weight, value in zip(GATE, features.vector(), strict=True))
    logit -= _OTHER_DAY * (features.when < 0 and not features.polar)
    return 1 / (1 + math.exp(-logit))
