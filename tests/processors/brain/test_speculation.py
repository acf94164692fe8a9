"""The budget of early answers: whatever calls do, waste stays under its share."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from processors.brain.speculation import GROWTH_MARGIN, Speculation

PROMPT = 1000
sizes = st.integers(PROMPT, int(PROMPT * GROWTH_MARGIN))


class ManyCalls(RuleBasedStateMachine):
    """Calls of one process, whose inferences all read the same document."""

    guesses: Bundle[int] = Bundle("guesses")

    def __init__(self) -> None:
        super().__init__()
        self.speculation = Speculation(max_wasted_share=0.25)
        self.guessed = 0

    @rule(tokens=sizes)
    def a_turn_is_decided(self, tokens: int) -> None:
        self.speculation.record_used(tokens)

    @rule(target=guesses, tokens=sizes)
    def a_guess_is_begun(self, tokens: int) -> int:
        if not self.speculation.reserve():
            return 0
        self.guessed += 1
        return tokens

    @rule(tokens=consumes(guesses))
    def it_was_right(self, tokens: int) -> None:
        if tokens:
            self.speculation.confirm()
            self.speculation.record_used(tokens)

    @rule(tokens=consumes(guesses), said=st.booleans())
    def it_was_wrong(self, tokens: int, said: bool) -> None:
        if tokens:
            self.speculation.record_wasted(tokens if said else 0)

    @invariant()
    def waste_stays_under_its_share(self) -> None:
        speculation = self.speculation
        assert speculation.wasted_tokens <= 0.25 * speculation.used_tokens


TestManyCalls = ManyCalls.TestCase
TestManyCalls.settings = settings(stateful_step_count=40)


@given(turns=st.integers(0, 20))
def test_a_guess_must_have_been_earned(turns: int) -> None:
    speculation = Speculation(max_wasted_share=0.25)
    for _ in range(turns):
        speculation.record_used(PROMPT)
    assert speculation.allowed == (turns >= 4 * GROWTH_MARGIN)


def test_a_brain_that_uses_no_tokens_may_guess_once_that_is_known() -> None:
    speculation = Speculation()
    assert not speculation.reserve()
    speculation.record_used(0)
    assert speculation.reserve()
