"""Turn taking as two people know it, told without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from conversation.utterance import is_backchannel, takes_floor, trails_off
from processors.turns.actions import (
    Action,
    BeginTurn,
    CancelSpeculation,
    Caption,
    DropTurn,
    Duck,
    EndTurn,
    Interrupt,
    Say,
    Speculate,
    TranscribeNow,
    Unduck,
)
from processors.turns.state_machine import (
    AgentState,
    CallerState,
    Ending,
    TurnStateMachine,
    TurnTakingTimes,
)


def kinds(actions: list[Action]) -> list[type[Action]]:
    return [type(action) for action in actions]


def ask(floor: TurnStateMachine, at: float, text: str, *, finished: float = 0.9) -> list[Action]:
    """A caller says something and falls silent; what follows until the turn is decided on."""
    actions = floor.speech_started(at)
    actions += floor.speech_stopped(at + 1.0, speech_end=at + 0.8)
    actions += floor.end_of_turn(at + 1.05, finished)
    actions += floor.final_transcript(at + 1.1, text)
    return actions


def answering() -> TurnStateMachine:
    """A floor on which Viva is in the middle of an answer."""
    floor = TurnStateMachine()
    floor.start_silence(0.0)
    ask(floor, 1.0, "Where did she study?")
    floor.voice_started(2.2)
    floor.voice_heard(2.3)
    return floor


def test_a_question_is_a_turn_from_its_first_word_to_its_transcript() -> None:
    floor = TurnStateMachine()
    assert ask(floor, 1.0, "Where did she study?") == [
        BeginTurn(),
        Caption("Where did she study?", final=False),
        Caption("Where did she study?", final=True),
        EndTurn("Where did she study?", speech_end=1.8, transcribed=2.1, continued=False),
    ]
    assert floor.agent is AgentState.THINKING
    assert floor.caller is CallerState.SILENT


def test_a_pause_inside_a_turn_does_not_end_it() -> None:
    floor = TurnStateMachine(TurnTakingTimes(unfinished=0.9))
    actions = ask(floor, 1.0, "I wanted to ask", finished=0.1)
    assert EndTurn not in kinds(actions)
    assert floor.deadline == 1.8 + 0.9
    assert floor.tick(2.5) == []
    assert floor.speech_started(2.6) == []
    floor.speech_stopped(3.4, speech_end=3.2)
    floor.end_of_turn(3.45, 0.95)
    (*_, end) = floor.final_transcript(3.5, "where she studied.")
    assert end == EndTurn("I wanted to ask where she studied.", 3.2, 3.5, continued=False)


def test_speech_that_sounded_unfinished_is_answered_after_a_while_all_the_same() -> None:
    floor = TurnStateMachine(TurnTakingTimes(unfinished=0.9))
    ask(floor, 1.0, "Her degrees", finished=0.1)
    assert kinds(floor.tick(2.7)) == [Caption, EndTurn]


def test_a_question_mark_behind_half_a_question_shortens_nothing() -> None:
    floor = TurnStateMachine(TurnTakingTimes(unfinished=0.9))
    ask(floor, 1.0, "When was the first?", finished=0.4)
    assert floor.deadline == 1.8 + 0.9


@pytest.mark.parametrize(
    "words",
    [
        "What was the...",
        "Where did she?",
        "What was her?",
        "Can you tell me who she",
        "So, which?",
        "I'd like to know where",
        "How many",
        "Could you tell me a bit about.",
        "Did she work for?",
        "What kind of?",
        "When was?",
        "Which company did",
        "Is",
        "Could you",
        "When was she?",
        "My question is.",
        "What\u2019s",
        "Well, I'm.",
        "I was wondering.",
        "I would like to know.",
    ],
)
def test_words_that_cannot_be_the_last_keep_the_turn_open_however_they_sounded(words: str) -> None:
    floor = TurnStateMachine(TurnTakingTimes(unfinished=0.9))
    assert EndTurn not in kinds(ask(floor, 1.0, words, finished=0.95))
    assert floor.deadline == 1.8 + 0.9
    floor.speech_started(2.5)
    floor.speech_stopped(3.5, speech_end=3.3)
    floor.end_of_turn(3.5, 0.9)
    (*_, end) = floor.final_transcript(3.6, "taught mathematics?")
    assert end == EndTurn(f"{words} taught mathematics?", 3.3, 3.6, continued=False)


@pytest.mark.parametrize(
    "words",
    [
        "Who was she?",
        "Where did she come from?",
        "Is anything named after her?",
        "Did she?",
        "Why?",
        "How many?",
        "Tell me why.",
        "How old is she",
        "What was she known for",
        "The company that she worked for",
        "What's the keynote about?",
        "What does the club have?",
        "Tell me what her job was",
        "Yes, she is",
        "Can you help me",
        "Go on",
    ],
)
def test_a_question_may_end_with_a_small_word(words: str) -> None:
    assert EndTurn in kinds(ask(TurnStateMachine(), 1.0, words, finished=0.95))


def test_a_missing_verdict_of_the_turn_model_costs_only_its_own_wait() -> None:
    floor = TurnStateMachine(TurnTakingTimes(turn_model=0.35))
    floor.speech_started(1.0)
    floor.speech_stopped(2.0)
    assert EndTurn not in kinds(floor.final_transcript(2.1, "Hello."))
    assert EndTurn in kinds(floor.tick(2.1 + 0.35))


def test_without_a_turn_model_the_transcript_ends_the_turn() -> None:
    floor = TurnStateMachine(ending="transcript")
    floor.speech_started(1.0)
    floor.speech_stopped(2.0)
    assert EndTurn in kinds(floor.final_transcript(2.1, "Hello."))


def test_speaking_over_the_voice_ducks_it_and_words_stop_it() -> None:
    floor = answering()
    assert floor.speech_started(3.0) == [Duck()]
    assert floor.interim_transcript(3.3, "Wait, when") == [
        Interrupt(),
        BeginTurn(),
        Caption("Wait, when", final=False),
    ]
    floor.speech_stopped(4.0, speech_end=3.8)
    floor.end_of_turn(4.05, 0.9)
    (*_, end) = floor.final_transcript(4.1, "Wait, when was that?")
    assert end == EndTurn("Wait, when was that?", 3.8, 4.1, continued=False)


def test_long_speech_over_the_voice_stops_it_before_any_word_is_known() -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    assert floor.deadline == 3.8
    assert kinds(floor.tick(3.8)) == [Interrupt, BeginTurn]


def test_a_long_hum_that_has_just_paused_is_given_a_breath_to_end_in() -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    floor.speech_paused(3.78, 0.1)
    assert floor.tick(3.8) == []
    floor.speech_stopped(3.88, speech_end=3.68)
    assert floor.final_transcript(4.0, "") == [Unduck()]


def test_half_a_word_that_may_be_heard_wrong_does_not_stop_the_voice() -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    assert floor.interim_transcript(3.3, "Shui") == []
    floor.speech_paused(3.55, 0.1)
    assert floor.tick(3.6) == []
    floor.speech_stopped(3.65, speech_end=3.45)
    assert floor.final_transcript(3.8, "Sure.") == [Unduck()]


def test_a_backchannel_whose_transcript_is_wrong_is_known_by_the_guess_before_it() -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    assert floor.interim_transcript(3.3, "Right") == []
    floor.speech_stopped(3.5, speech_end=3.3)
    assert floor.final_transcript(3.6, "Break") == [Unduck()]
    floor.speech_started(5.1, onset=5.0)
    assert floor.interim_transcript(5.3, "Right") == []
    floor.speech_stopped(5.9, speech_end=5.7)
    assert Interrupt in kinds(floor.final_transcript(6.0, "Right, what about Yale?"))


def test_words_that_go_on_stop_the_voice_before_they_are_understood() -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    assert floor.interim_transcript(3.3, "Windage") == []
    assert floor.deadline == 3.6
    assert kinds(floor.tick(3.6)) == [Interrupt, BeginTurn]


@pytest.mark.parametrize("guess", ["Stop.", "What", "Actual", "um, when", "I am you"])
def test_the_first_word_of_somebody_who_wants_to_speak_stops_the_voice(guess: str) -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    assert kinds(floor.interim_transcript(3.3, guess)) == [Interrupt, BeginTurn, Caption]


def test_a_single_word_is_a_turn_once_it_is_certain() -> None:
    floor = answering()
    floor.speech_started(3.1, onset=3.0)
    assert floor.interim_transcript(3.3, "Yale") == []
    floor.speech_stopped(3.55, speech_end=3.35)
    floor.end_of_turn(3.7, 0.9)
    assert kinds(floor.final_transcript(3.8, "Yale?")) == [
        Interrupt,
        BeginTurn,
        Caption,
        Caption,
        EndTurn,
    ]


def test_a_cough_ducks_the_voice_and_lets_it_up_again() -> None:
    floor = answering()
    assert floor.speech_started(3.0) == [Duck()]
    floor.speech_stopped(3.3)
    assert floor.final_transcript(3.5, "") == [Unduck()]
    assert floor.agent is AgentState.SPEAKING


def test_a_backchannel_does_not_stop_the_voice_even_when_it_is_long() -> None:
    floor = answering()
    floor.speech_started(3.0)
    assert floor.interim_transcript(3.4, "Mm-hmm.") == []
    assert floor.tick(3.6) == []
    floor.speech_stopped(3.8)
    assert floor.final_transcript(3.9, "Mm-hmm, right.") == [Unduck()]


def test_a_backchannel_that_outlasts_the_answer_is_not_answered() -> None:
    floor = answering()
    floor.speech_started(3.0)
    assert floor.voice_stopped(3.1) == [Unduck()]
    floor.speech_stopped(3.4)
    assert floor.final_transcript(3.5, "Okay.") == []
    assert floor.caller is CallerState.SILENT


def test_instant_barge_in_does_not_wait_for_words() -> None:
    floor = TurnStateMachine(instant=True)
    ask(floor, 1.0, "Where?")
    floor.voice_started(2.2)
    floor.voice_heard(2.3)
    assert kinds(floor.speech_started(3.0)) == [Interrupt, BeginTurn]


def test_who_went_on_before_the_answer_sounded_is_noticed_a_moment_too_late() -> None:
    floor = TurnStateMachine()
    ask(floor, 1.0, "Where did she study")
    floor.voice_started(3.0)
    floor.voice_heard(3.1)
    assert kinds(floor.speech_started(3.3, onset=3.2)) == [Interrupt, BeginTurn]
    assert kinds(floor.interim_transcript(3.5, "mathematics")) == [Caption]
    floor.speech_stopped(4.0)
    floor.final_transcript(4.1, "mathematics?")
    (*_, end) = floor.end_of_turn(4.1, 0.9)
    assert isinstance(end, EndTurn)
    assert end.question == "Where did she study mathematics?"
    assert end.continued, "the first half's answer is withdrawn"


def test_an_answer_does_not_begin_over_a_caller_who_goes_on_but_makes_way_once() -> None:
    floor = TurnStateMachine()
    ask(floor, 1.0, "Where did she study")
    floor.speech_started(2.9)
    assert kinds(floor.voice_started(3.0)) == [Interrupt, BeginTurn]
    floor.speech_stopped(3.4, speech_end=3.2)
    floor.end_of_turn(3.4, 0.9)
    (*_, end) = floor.final_transcript(3.5, "")
    assert isinstance(end, EndTurn), "a cough, too, and the question is asked again"
    assert (end.question, end.continued) == ("Where did she study", True)
    floor.speech_started(4.0)
    assert kinds(floor.voice_started(4.1)) == [Duck], "noise does not put it off again"


def test_going_on_before_the_answer_is_heard_takes_the_question_back() -> None:
    floor = TurnStateMachine()
    ask(floor, 1.0, "Where did she study")
    floor.speech_started(2.2)
    assert kinds(floor.interim_transcript(2.5, "mathematics, I mean")) == [
        Interrupt,
        BeginTurn,
        Caption,
    ]
    floor.speech_stopped(3.0, speech_end=2.8)
    floor.end_of_turn(3.0, 0.9)
    (*_, end) = floor.final_transcript(3.1, "mathematics, I mean?")
    assert end == EndTurn("Where did she study mathematics, I mean?", 2.8, 3.1, continued=True)


def test_the_voice_starts_quietly_when_the_caller_may_be_speaking() -> None:
    floor = TurnStateMachine()
    ask(floor, 1.0, "Where did she study?")
    assert floor.speech_started(2.1) == []
    floor.speech_paused(2.3, 0.1)
    assert floor.voice_started(2.3) == [Duck()]


def test_noise_that_stopped_the_voice_is_apologised_for() -> None:
    floor = answering()
    floor.speech_started(3.0)
    assert Interrupt in kinds(floor.tick(3.8))
    floor.speech_stopped(4.0)
    assert floor.final_transcript(4.2, "") == [DropTurn(), Say("not_heard")]


def test_a_transcript_that_never_comes_is_apologised_for() -> None:
    floor = TurnStateMachine(TurnTakingTimes(transcript=3.0))
    floor.speech_started(1.0)
    floor.speech_stopped(2.0, speech_end=1.8)
    assert floor.deadline == 4.8
    assert floor.tick(4.8) == [DropTurn(), Say("not_heard")]


def test_a_prompt_never_talks_over_a_caller_who_has_the_floor() -> None:
    floor = TurnStateMachine()
    floor.speech_started(1.0)
    assert kinds(floor.voice_started(1.1)) == [Interrupt]


def test_silence_is_asked_about_once_and_then_ends_the_call() -> None:
    floor = TurnStateMachine(TurnTakingTimes(silence=8.0, after_silence=6.0))
    floor.start_silence(0.0)
    assert floor.tick(7.9) == []
    assert floor.tick(8.0) == [Say("silence")]
    floor.voice_started(8.1)
    assert floor.deadline is None
    floor.voice_stopped(10.0)
    assert floor.tick(15.9) == []
    assert floor.tick(16.0) == [Say("goodbye")]


def test_an_answer_that_never_sounds_is_given_up() -> None:
    floor = TurnStateMachine(TurnTakingTimes(answer=20.0))
    ask(floor, 1.0, "Where did she study?")
    assert floor.deadline == 2.1 + 20.0
    assert floor.tick(22.1) == [Interrupt(), Say("fault")]


def test_a_closed_floor_hears_nothing() -> None:
    floor = answering()
    assert floor.close(3.0) == [Interrupt()]
    assert ask(floor, 4.0, "Wait!") == []
    assert floor.deadline is None


def recognised() -> TurnStateMachine:
    """A floor on which the recogniser says when a turn is over."""
    floor = TurnStateMachine(TurnTakingTimes(recogniser=2.0), ending="recogniser", preemptive=True)
    floor.start_silence(0.0)
    return floor


def test_a_recogniser_that_ends_turns_is_believed_without_a_wait() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    floor.interim_transcript(1.5, "where did")
    assert EndTurn not in kinds(floor.final_transcript(2.0, "Where did she study?"))
    assert kinds(floor.end_proposed(2.0)) == [Caption, EndTurn]
    assert floor.speech_stopped(2.1) == [], "voice activity may be later"


def test_a_recogniser_that_never_ends_the_turn_is_not_waited_for_for_ever() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    floor.speech_stopped(2.0)
    floor.final_transcript(2.1, "Where did she study?")
    assert floor.deadline == 4.1
    assert EndTurn in kinds(floor.tick(4.1))


def test_speech_that_goes_on_after_a_proposed_end_takes_the_question_back() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    floor.final_transcript(2.0, "Where did she study")
    floor.end_proposed(2.0)
    assert kinds(floor.interim_transcript(2.4, "mathematics")) == [Interrupt, BeginTurn, Caption]
    floor.final_transcript(2.8, "mathematics?")
    (*_, end) = floor.end_proposed(2.8)
    assert end == EndTurn("Where did she study mathematics?", 2.8, 2.8, continued=True)


def test_an_answer_is_begun_when_the_caller_pauses_and_again_when_they_said_more() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    assert Speculate not in kinds(floor.interim_transcript(1.5, "Where did"))
    assert floor.speech_paused(1.9) == [Speculate("Where did", continued=False)]
    assert Speculate("Where did she study", continued=False) in floor.interim_transcript(
        2.0, "Where did she study"
    )
    assert Speculate not in kinds(floor.interim_transcript(2.1, "Where did she study")), (
        "once a text"
    )
    floor.final_transcript(2.2, "Where did she study")
    (*_, end) = floor.end_proposed(2.2)
    assert isinstance(end, EndTurn)


def test_an_answer_is_begun_before_any_pause_when_a_whole_sentence_is_transcribed() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    assert Speculate not in kinds(floor.interim_transcript(1.5, "Where did she"))
    question = "Where did she study mathematics?"
    assert Speculate(question, continued=False) in floor.interim_transcript(1.8, question)
    assert floor.speech_paused(2.0) == [], "the same guess is not made again"
    floor.final_transcript(2.2, question)
    assert Speculate not in kinds(floor.end_proposed(2.2))


def test_a_turn_that_the_recogniser_ends_first_ended_with_its_last_word() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    floor.speech_paused(2.1, 0.1)
    floor.final_transcript(2.25, "Where did she study?")
    (*_, end) = floor.end_proposed(2.25)
    assert isinstance(end, EndTurn)
    assert end.speech_end == pytest.approx(2.0), "not when the recogniser said so"


def test_nothing_is_begun_early_while_the_voice_is_speaking() -> None:
    floor = recognised()
    floor.speech_started(1.0)
    floor.final_transcript(2.0, "Where?")
    floor.end_proposed(2.0)
    floor.voice_started(2.5)
    floor.voice_heard(2.6)
    floor.speech_started(3.0)
    floor.interim_transcript(3.2, "mm-hm")
    assert floor.speech_paused(3.3) == []


@given(
    st.sampled_from(
        [
            "Mm-hmm.",
            "Uh-huh",
            "yeah",
            "Okay, right.",
            "Yes, yes.",
            "",
            "Hmm…",
            "I see.",
            "Oh, got it",
        ]
    )
)
def test_signs_of_listening_are_backchannels(text: str) -> None:
    assert is_backchannel(text)


@given(
    st.sampled_from(
        ["Stop.", "Yes, but when?", "No.", "Wait", "okay okay okay okay stop", "1934", "I see Yale"]
    )
)
def test_words_with_content_are_not(text: str) -> None:
    assert not is_backchannel(text)


@given(st.text())
def test_no_text_is_both_a_backchannel_and_a_wish_to_speak(text: str) -> None:
    assert not (is_backchannel(text) and takes_floor(text))
    trails_off(text)


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [
        ("Her number is 020.", True),
        ("Her number is 020. Seven, nine, four, six,", True),
        ("Her number is 020 and then 7946.", True),
        ("Her number is 020, then 7946, and 0958.", False),
        ("It's 020.", True),
        ("020. 7946.", True),
        ("1943.", False),
        ("In 1943 and 1944.", False),
        ("My card is 4929 1234 5678.", True),
        ("My card is 4929 1234 5678 9012.", False),
        ("My phone number would be oh two oh", True),
        ("Her number is 020 7946 0958.", False),
        ("The account is double seven three,", True),
        ("What happened in 1952?", False),
        ("Who was number one?", False),
        ("How many lines of code were there in 1952?", False),
    ],
)
def test_a_number_that_is_dictated_in_groups_goes_on(text: str, goes_on: bool) -> None:
    assert trails_off(text) is goes_on


@pytest.mark.parametrize("guess", ["Er, um", "Ice", "Shui", "you guys", "Noted", ""])
def test_a_guess_at_half_a_word_shows_nothing_yet(guess: str) -> None:
    assert not takes_floor(guess)


class FloorMachine(RuleBasedStateMachine):
    """Any order of events, however unlikely, keeps the promises of turn taking."""

    ending: Ending = "model"

    def __init__(self) -> None:
        super().__init__()
        self.floor = TurnStateMachine(ending=self.ending, preemptive=True)
        self.now = 0.0
        self.turn_open = False
        self.ducked = False

    def follow(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case BeginTurn():
                    assert not self.turn_open, "a turn begins once"
                    self.turn_open = True
                case DropTurn() | EndTurn():
                    assert self.turn_open, "what was not begun cannot end"
                    self.turn_open = False
                    if isinstance(action, EndTurn):
                        assert action.question.strip(), "no turn without words"
                case Duck():
                    assert not self.ducked
                    self.ducked = True
                case Unduck():
                    assert self.ducked
                    self.ducked = False
                case Interrupt():
                    self.ducked = False

    @rule(secs=st.floats(0.0, 12.0))
    def time_passes(self, secs: float) -> None:
        self.now += secs
        self.follow(self.floor.tick(self.now))

    @rule()
    def speech_starts(self) -> None:
        self.follow(self.floor.speech_started(self.now))

    @rule()
    def speech_stops(self) -> None:
        self.follow(self.floor.speech_stopped(self.now))

    @rule(text=st.sampled_from(["", "mm-hm", "Ice", "when", "stop it"]))
    def an_interim_comes(self, text: str) -> None:
        self.follow(self.floor.interim_transcript(self.now, text))

    @rule(text=st.sampled_from(["", "Mm-hm.", "When was that?", "And then", "What was her"]))
    def a_final_comes(self, text: str) -> None:
        self.follow(self.floor.final_transcript(self.now, text))

    @rule(probability=st.floats(0.0, 1.0))
    def a_verdict_comes(self, probability: float) -> None:
        self.follow(self.floor.end_of_turn(self.now, probability))

    @rule()
    def the_recogniser_ends_the_turn(self) -> None:
        self.follow(self.floor.end_proposed(self.now))

    @rule()
    def the_voice_starts(self) -> None:
        self.follow(self.floor.voice_started(self.now))

    @rule()
    def the_voice_is_heard(self) -> None:
        self.follow(self.floor.voice_heard(self.now))

    @rule()
    def the_voice_stops(self) -> None:
        self.follow(self.floor.voice_stopped(self.now))

    @invariant()
    def somebody_will_speak(self) -> None:
        """The call never hangs: somebody is speaking, or time will move it."""
        floor = self.floor
        busy = floor.caller is CallerState.SPEAKING or floor.agent is AgentState.SPEAKING
        assert busy or floor.deadline is not None

    @invariant()
    def only_a_voice_is_ducked(self) -> None:
        assert not self.floor.ducked or self.floor.agent is AgentState.SPEAKING


class RecogniserMachine(FloorMachine):
    """The same, when the recogniser ends turns."""

    ending = "recogniser"


TestFloorMachine = FloorMachine.TestCase
TestRecogniserMachine = RecogniserMachine.TestCase


def question_of(actions: list[Action]) -> str:
    """What was asked, once a turn has ended."""
    (end,) = [action for action in actions if isinstance(action, EndTurn)]
    return end.question


def spoken_over(**times: float) -> TurnStateMachine:
    """A floor on which Viva has been speaking; the recogniser guesses once a second."""
    floor = TurnStateMachine(TurnTakingTimes(ask=0.2, **times))
    floor.start_silence(0.0)
    floor.voice_started(1.0)
    floor.voice_heard(1.5)
    return floor


def test_a_recogniser_that_guesses_seldom_is_asked_what_is_said_over_the_voice() -> None:
    floor = spoken_over()
    floor.speech_started(3.0)
    assert floor.deadline == 3.2
    assert floor.tick(3.2) == [TranscribeNow()]
    assert kinds(floor.final_transcript(3.3, "Wait,")) == [Interrupt, BeginTurn, Caption]
    floor.speech_stopped(4.0)
    floor.final_transcript(4.1, "when was that?")
    (*_, end) = floor.tick(floor.deadline or 0.0)
    assert end == EndTurn("Wait, when was that?", 4.0, 4.1, continued=False)


def test_it_is_asked_again_while_what_it_says_shows_nothing_and_the_wait_is_no_longer() -> None:
    floor = spoken_over(confirm=0.8)
    floor.speech_started(3.0)
    assert floor.tick(3.2) == [TranscribeNow()]
    assert floor.final_transcript(3.3, "") == []
    assert floor.tick(3.41) == [TranscribeNow()]
    assert floor.final_transcript(3.5, "The") == []
    assert floor.deadline == pytest.approx(3.6), "no backchannel, as far as is known"
    assert kinds(floor.tick(3.61)) == [Interrupt, BeginTurn]
    floor.speech_stopped(4.4)
    floor.final_transcript(4.5, "compiler")
    assert question_of(floor.tick(floor.deadline or 0.0)) == "The compiler"


def test_a_sign_of_listening_stays_one_though_it_was_asked_for_in_pieces() -> None:
    floor = spoken_over()
    floor.speech_started(3.0)
    assert floor.tick(3.2) == [TranscribeNow()]
    assert floor.final_transcript(3.3, "Mm") == []
    floor.speech_stopped(3.7)
    assert Interrupt not in kinds(floor.final_transcript(3.8, "hm."))
    floor.speech_started(5.0)
    assert Interrupt in kinds(floor.final_transcript(5.6, "What about Yale?"))
    floor.speech_stopped(6.0)
    floor.final_transcript(6.1, "")
    assert question_of(floor.tick(floor.deadline or 0.0)) == "What about Yale?", (
        "nothing is left of the sign of listening"
    )


def predicting() -> TurnStateMachine:
    """A floor whose recogniser ends turns, and says beforehand that it will."""
    floor = TurnStateMachine(ending="recogniser", preemptive=True, early_answers="predicted")
    floor.start_silence(0.0)
    floor.speech_started(1.0)
    assert Speculate not in kinds(floor.interim_transcript(1.5, "Where did she study?"))
    assert floor.speech_paused(1.9) == [], "a pause says nothing to who does not judge it"
    return floor


def test_an_answer_is_begun_when_the_end_is_predicted_and_the_turn_ends_when_it_comes() -> None:
    floor = predicting()
    assert kinds(floor.end_predicted(2.0, "Where did she study?")) == [Caption, Speculate]
    floor.speech_stopped(2.1)
    floor.final_transcript(2.2, "Where did she study?")
    assert EndTurn in kinds(floor.end_proposed(2.2))


def test_an_answer_begun_in_vain_is_thrown_away_and_the_turn_goes_on() -> None:
    floor = predicting()
    floor.end_predicted(2.0, "Where did she study?")
    floor.end_prediction_cancelled(2.3)
    went_on = floor.interim_transcript(2.5, "Where did she study mathematics?")
    assert kinds(went_on) == [Caption, CancelSpeculation]
    assert kinds(floor.interim_transcript(2.6, "Where did she study mathematics? I")) == [Caption]
    assert Speculate in kinds(floor.end_predicted(2.8, "Where did she study mathematics?"))


def test_a_last_syllable_after_the_predicted_end_throws_no_answer_away() -> None:
    floor = predicting()
    floor.end_predicted(2.0, "Where did she study?")
    assert floor.end_prediction_cancelled(2.1) == []
    assert kinds(floor.end_predicted(2.2, "Where did she study?")) == [Caption], "begun already"
    floor.speech_stopped(2.3)
    assert kinds(floor.final_transcript(2.4, "Where did she study?")) == [Caption]
    assert question_of(floor.end_proposed(2.4)) == "Where did she study?"


def judging() -> TurnStateMachine:
    """A floor with a turn model and a recogniser whose final words come within a pause."""
    floor = TurnStateMachine(preemptive=True, early_answers="judged")
    floor.start_silence(0.0)
    floor.speech_started(1.0)
    assert Speculate not in kinds(floor.interim_transcript(1.9, "Where did she study?"))
    assert floor.speech_paused(2.0, 0.1) == [], "its guess may lack the last words"
    return floor


@pytest.mark.parametrize("words_first", [True, False])
def test_an_answer_is_begun_once_the_pause_ends_the_turn_and_its_words_are_final(
    words_first: bool,
) -> None:
    floor = judging()
    if words_first:
        assert kinds(floor.final_transcript(2.01, "Where did she study?")) == [Caption]
        begun = floor.pause_judged(2.03, 0.9)
    else:
        assert floor.pause_judged(2.01, 0.9) == []
        begun = floor.final_transcript(2.03, "Where did she study?")
    assert begun[-1] == Speculate("Where did she study?", continued=False)
    floor.speech_stopped(2.1)
    floor.end_of_turn(2.1, 0.9)
    assert question_of(floor.final_transcript(2.1, "")) == "Where did she study?"


@pytest.mark.parametrize(
    ("said", "probability"), [("Where did she study?", 0.4), ("Her number is 020.", 0.9)]
)
def test_no_answer_is_begun_in_a_pause_that_ends_nothing(said: str, probability: float) -> None:
    floor = judging()
    assert floor.pause_judged(2.01, probability) == []
    assert kinds(floor.final_transcript(2.03, said)) == [Caption]


def test_who_goes_on_after_the_pause_throws_the_answer_away() -> None:
    floor = judging()
    floor.pause_judged(2.01, 0.9)
    floor.final_transcript(2.03, "Where did she study?")
    assert CancelSpeculation in kinds(floor.interim_transcript(2.5, "In"))
    floor.speech_paused(2.8, 0.1)
    assert kinds(floor.final_transcript(2.9, "In America?")) == [Caption], "not judged yet"
    (again,) = floor.pause_judged(2.95, 0.9)
    assert again == Speculate("Where did she study? In America?", continued=False)


def test_a_turn_that_the_recogniser_keeps_open_is_not_given_up_and_its_words_never_are() -> None:
    floor = predicting()
    floor.speech_stopped(2.0)
    assert floor.deadline == 2.0 + TurnTakingTimes().open_turn
    assert question_of(floor.tick(floor.deadline)) == "Where did she study?"


@pytest.mark.parametrize("said", ["Where did she study", "She studied at...", "Where did she"])
def test_no_answer_is_begun_to_half_a_sentence_though_its_end_is_predicted(said: str) -> None:
    floor = TurnStateMachine(ending="recogniser", preemptive=True, early_answers="predicted")
    floor.start_silence(0.0)
    floor.speech_started(1.0)
    assert Speculate not in kinds(floor.end_predicted(2.0, said))
    assert Speculate in kinds(floor.end_predicted(2.8, "Where did she study mathematics?"))


# --- What was shown, and the voice's own echo ------------------------------------------------


def test_words_that_were_shown_and_came_to_nothing_are_asked_for_again() -> None:
    floor = TurnStateMachine()
    floor.start_silence(0.0)
    floor.speech_started(1.0)
    assert kinds(floor.interim_transcript(1.5, "Howard Aiken")) == [Caption]
    floor.speech_stopped(2.0)
    assert floor.final_transcript(2.2, "") == [DropTurn(), Say("not_heard")]
    floor.speech_started(9.0)
    floor.speech_stopped(9.5)
    assert floor.final_transcript(9.7, "") == [DropTurn()], "a cough, later"


def test_a_hum_that_was_shown_needs_no_answer() -> None:
    floor = TurnStateMachine()
    floor.start_silence(0.0)
    floor.speech_started(1.0)
    floor.interim_transcript(1.4, "Mm-hm.")
    floor.speech_stopped(1.6)
    assert floor.final_transcript(1.8, "") == [DropTurn()]


def test_the_voices_echo_takes_no_floor_however_long_it_lasts() -> None:
    floor = answering()
    assert floor.speech_started(3.0) == [Duck()]
    assert floor.interim_transcript(3.3, "She earned", True) == [Unduck()]
    assert floor.deadline is None
    assert floor.interim_transcript(4.5, "She earned a doctorate", True) == []
    floor.speech_stopped(5.0)
    assert floor.final_transcript(5.2, "She earned a doctorate.", True) == []
    assert (floor.agent, floor.caller) == (AgentState.SPEAKING, CallerState.SILENT)


def test_a_caller_over_the_voices_echo_takes_the_floor() -> None:
    floor = answering()
    floor.speech_started(3.0)
    floor.interim_transcript(3.3, "She earned", True)
    assert kinds(floor.interim_transcript(4.0, "Wait, when was that?")) == [
        Interrupt,
        BeginTurn,
        Caption,
    ]


def test_the_echo_of_the_last_words_is_no_question() -> None:
    floor = answering()
    floor.speech_started(3.0)
    floor.voice_stopped(3.2)
    floor.speech_stopped(3.5)
    assert floor.final_transcript(3.7, "at Yale.", True) == []
    assert floor.agent is AgentState.QUIET


def test_a_caller_may_repeat_what_the_voice_has_said() -> None:
    floor = answering()
    floor.voice_stopped(3.0)
    floor.speech_started(4.0)
    floor.speech_stopped(4.8)
    floor.end_of_turn(4.85, 0.9)
    assert EndTurn in kinds(floor.final_transcript(4.9, "At Yale?", True))


def test_who_holds_the_button_has_the_floor_until_they_let_it_go() -> None:
    """Over the voice, through a pause however final it sounds, and past a proposal."""
    floor = TurnStateMachine(TurnTakingTimes(unfinished=0.9))
    floor.voice_started(0.5)
    assert kinds(floor.talk_pressed(1.0)) == [Interrupt, BeginTurn]
    assert floor.speech_started(1.2) == []
    floor.speech_stopped(2.2, speech_end=2.0)
    floor.end_of_turn(2.25, 0.99)
    assert kinds(floor.final_transcript(2.3, "Where did she study,")) == [Caption]
    assert (floor.end_proposed(2.4), floor.deadline, floor.tick(60.0)) == ([], None, [])
    floor.speech_started(61.0)
    assert floor.talk_released(62.0) == []
    (*_, end) = floor.final_transcript(62.3, "and when?")
    assert end == EndTurn("Where did she study, and when?", 62.0, 62.3, continued=False)


def test_a_button_let_go_after_the_words_ends_the_turn_at_once_and_without_any_none() -> None:
    floor = TurnStateMachine()
    assert kinds(floor.talk_pressed(1.0)) == [BeginTurn]
    assert kinds(floor.talk_released(1.5)) == [DropTurn]
    assert floor.talk_released(1.6) == [], "it was not held"
    floor.talk_pressed(2.0)
    assert ask(floor, 2.1, "", finished=0.99) == []
    assert EndTurn not in kinds(ask(floor, 4.0, "Where did she study?", finished=0.99))
    assert kinds(floor.talk_released(7.0)) == [Caption, EndTurn]
    assert kinds(ask(floor, 9.0, "And when?", finished=0.99))[-1] is EndTurn, "without it, as ever"
