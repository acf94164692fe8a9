"""What answers that are begun too early may waste: one budget a process."""

from dataclasses import dataclass

GUESS_MARGIN = 1.25
"""How much larger than the largest inference so far the next may be: conversations grow."""


@dataclass
class Speculation:
    """What early answers have wasted and may yet waste, against what turns have used.

    A guess is begun only when all of it, and of every guess that is still open, could be thrown
    away without passing the share. So a process begins none until it knows what an inference uses,
    and has earned the first.

    Parameters:
        most_wasted: Largest share of the turns' tokens that may be wasted.
        used_tokens: Of decisions on turns that were over.
        wasted_tokens: Of decisions that were thrown away.
    """

    most_wasted: float = 0.25
    used_tokens: int = 0
    wasted_tokens: int = 0
    _largest: int | None = None  # of all inferences; None before the first
    _open: int = 0  # guesses of which it is not known whether they are wasted

    @property
    def allowed(self) -> bool:
        """Whether another answer may be begun early now."""
        if self._largest is None:
            return False
        at_stake = (self._open + 1) * self._largest * GUESS_MARGIN
        return self.wasted_tokens + at_stake <= self.most_wasted * self.used_tokens

    def begin(self) -> bool:
        """Begin a guess, if it is allowed; it is then settled by one of the other methods."""
        if not self.allowed:
            return False
        self._open += 1
        return True

    def confirm(self) -> None:
        """The guess was right: what it uses is the turn's."""
        self._open -= 1

    def waste(self, tokens: int) -> None:
        """The guess is thrown away.

        Args:
            tokens: What it used; 0 where the vendor had not said, which is taken for the most.
        """
        self._open -= 1
        self.wasted_tokens += tokens or self._largest or 0
        self._largest = max(self._largest or 0, tokens)

    def use(self, tokens: int) -> None:
        """A turn that was over has used so many tokens."""
        self.used_tokens += tokens
        self._largest = max(self._largest or 0, tokens)
