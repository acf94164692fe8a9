"""Word error rate of the recogniser."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from evals.scoring.matching import Heard, MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, sample

PAGE = "word-error-rate"


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """The word error rate of the callers' turns."""
    samples = gathered(calls, _samples)
    return [Metric("word_error_rate", "ratio", "lower", PAGE, samples)]


def by_tag(calls: Sequence[MatchedCall]) -> list[dict[str, Any]]:
    """The word error rate of the calls of each tag."""
    tags = sorted({tag for call in calls if call.truth for tag in call.truth.tags})
    rows = []
    for tag in tags:
        tagged = [call for call in calls if call.truth and tag in call.truth.tags]
        samples = gathered(tagged, _samples)
        if samples:
            words = sum(sample.weight for sample in samples)
            wrong = sum(sample.value * sample.weight for sample in samples)
            rows.append(
                {"tag": tag, "calls": len(tagged), "words": int(words), "wer": wrong / words}
            )
    return rows


def errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Word errors, and words of the reference, after normalisation as in Whisper's paper.

    The normaliser expands contractions, writes numbers as digits and British spelling as American,
    and drops punctuation, case and fillers.
    """
    return compared(normalised(reference), normalised(hypothesis))


def compared(said: str, heard: str) -> tuple[int, int]:
    """Wrong words, and words of the reference, as they are written."""
    import jiwer

    if not said:
        return len(heard.split()), 0
    found = jiwer.process_words(said, heard)
    wrong = found.substitutions + found.deletions + found.insertions
    return wrong, found.hits + found.substitutions + found.deletions


def normalised(text: str) -> str:
    """Words as they are compared: see :func:`errors`."""
    return str(_normaliser()(text))


@cache
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer  # type: ignore[import-untyped]

    return EnglishTextNormalizer()


def _samples(call: MatchedCall) -> Iterable[Sample]:
    before: list[Heard] = []
    for heard in call.wanted():
        if heard.joined:
            before.append(heard)
            continue
        together = [*before, heard]
        before = []
        reference = " ".join(utterance.truth.text for utterance in together)
        hypothesis = " ".join(utterance.understood for utterance in together)
        answer = heard.answer
        wrong, words = errors(reference, hypothesis)
        if words:
            yield sample(
                call,
                wrong / words,
                weight=words,
                turn=answer.number if answer else None,
                utterance=heard.index,
                at=heard.truth.start,
                note=f"{reference!r} was heard as {hypothesis!r}" if wrong else "",
            )
