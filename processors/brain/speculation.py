"""A budget for early answers: how many tokens a process may waste on them."""

from dataclasses import dataclass

GROWTH_MARGIN = 1.25
"""Factor by which the next inference may exceed the largest so far, because conversations grow."""


@dataclass
class Speculation:
    """The tokens that early answers have wasted, against those that turns have used.

    An early answer is allowed only if it and all others in progress could be wasted without
    exceeding the share. So none is allowed until an inference has shown what one uses, and turns
    have used enough.

    Parameters:
        max_wasted_share: Maximum ratio of wasted to used tokens.
        used_tokens: Tokens of decisions on confirmed turns.
        wasted_tokens: Tokens of discarded decisions.
    """

    max_wasted_share: float = 0.25
    used_tokens: int = 0
    wasted_tokens: int = 0
    _largest: int | None = None  # tokens of the largest inference; None before the first
    _open: int = 0  # early answers neither confirmed nor discarded

    @property
    def allowed(self) -> bool:
        """Whether another early answer may start now."""
        if self._largest is None:
            return False
        at_risk = (self._open + 1) * self._largest * GROWTH_MARGIN
        return self.wasted_tokens + at_risk <= self.max_wasted_share * self.used_tokens

    def reserve(self) -> bool:
        """Start an early answer if allowed; :meth:`confirm` or :meth:`record_wasted` settles it."""
        if not self.allowed:
            return False
        self._open += 1
        return True

    def confirm(self) -> None:
        """Settle an early answer that was right; its tokens count as the turn's."""
        self._open -= 1

    def record_wasted(self, tokens: int) -> None:
        """Settle an early answer that was discarded.

        Args:
            tokens: The tokens used; 0 if unknown, which counts as the largest inference so far.
        """
        self._open -= 1
        self.wasted_tokens += tokens or self._largest or 0
        self._largest = max(self._largest or 0, tokens)

    def record_used(self, tokens: int) -> None:
        """Add the tokens of a confirmed turn."""
        self.used_tokens += tokens
        self._largest = max(self._largest or 0, tokens)
