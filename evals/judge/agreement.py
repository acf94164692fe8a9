"""How far two raters agree beyond chance: Cohen's kappa (1960)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of a judge with people, by one criterion.

    Parameters:
        criterion: The criterion's name.
        n: Answers that both have ruled on.
        agreed: Those on which they agree.
        kappa: Cohen's kappa; ``None`` without answers, or where both give one and the same verdict
            throughout, so that chance alone would agree on all.
    """

    criterion: str
    n: int
    agreed: int
    kappa: float | None


def agreement(criterion: str, pairs: Sequence[tuple[bool, bool]]) -> Agreement:
    """Compare verdicts.

    Args:
        criterion: The criterion's name.
        pairs: The judge's verdict and the person's, an answer each.
    """
    n = len(pairs)
    agreed = sum(judge == person for judge, person in pairs)
    if not n:
        return Agreement(criterion, 0, 0, None)
    passed = [sum(pair[side] for pair in pairs) / n for side in (0, 1)]
    by_chance = passed[0] * passed[1] + (1 - passed[0]) * (1 - passed[1])
    kappa = (agreed / n - by_chance) / (1 - by_chance) if by_chance < 1 else None
    return Agreement(criterion, n, agreed, kappa)


def describe_agreement(found: Agreement) -> str:
    """Describe an agreement, with Landis and Koch's (1977) name for its strength."""
    if not found.n:
        return f"{found.criterion}: no answer has a label of yours."
    share = f"{found.criterion}: the judge agrees with you on {found.agreed} of {found.n} answers"
    if found.kappa is None:
        return f"{share}; kappa is not defined where all have the same verdict."
    return f"{share}, kappa {found.kappa:.2f} ({_strength(found.kappa)})."


def _strength(kappa: float) -> str:
    bounds = (
        (0.0, "none"),
        (0.2, "slight"),
        (0.4, "fair"),
        (0.6, "moderate"),
        (0.8, "substantial"),
    )
    return next((name for most, name in bounds if kappa <= most), "almost perfect")
