"""A talker behind the caller is told by being softer, over the voice and in the caller's pauses."""

import numpy as np

from conversation.far_end import FarEnd
from processors.vad.caller_level import CallerLevel
from processors.vad.silero import WINDOW_SAMPLES, WINDOW_SECS


class Call:
    """A call of silence, speech and the voice, with a clock of its own."""

    def __init__(self) -> None:
        self.secs = 100.0
        self.far_end = FarEnd(lambda: self.secs, sample_rate=24_000)
        self.level = CallerLevel(self.far_end)

    def hear(self, dbfs: float, secs: float, *, voice: bool = False) -> bool:
        """Hear speech at a level; whether it is far at its end."""
        window = np.full(WINDOW_SAMPLES, 10 ** (dbfs / 20), np.float32)
        for _ in range(round(secs / WINDOW_SECS)):
            if voice:
                self.far_end.play(bytes(2 * round(24_000 * WINDOW_SECS)), self.secs)
            self.secs += WINDOW_SECS
            self.level.take(window)
            self.level.judge(0.9 if dbfs > -70 else 0.0)
        return self.level.is_far()

    def say(self, dbfs: float, secs: float = 1.0, *, voice: bool = False) -> None:
        """Be taken for the caller."""
        self.level.start()
        self.hear(dbfs, secs, voice=voice)
        self.level.stop()

    def wait(self, secs: float) -> None:
        self.hear(-80, secs)


def test_nobody_is_far_before_the_caller_has_spoken() -> None:
    call = Call()
    assert not call.hear(-45, 0.3, voice=True)
    call.say(-26, 0.3)
    call.wait(3)
    assert not call.hear(-45, 0.3, voice=True), "a word is too little to know how loud they are"


def test_who_is_15_db_softer_is_far_over_the_voice_and_the_caller_is_not() -> None:
    call = Call()
    call.say(-26)
    call.wait(3)
    assert call.hear(-41, 0.3, voice=True)
    call.wait(3)
    assert not call.hear(-30, 0.3, voice=True)


def test_who_is_softer_is_no_part_of_a_question_but_may_ask_one() -> None:
    call = Call()
    call.say(-26)
    call.wait(0.5)
    assert call.hear(-41, 0.3)
    call.wait(3)
    assert not call.hear(-41, 0.3), "a caller may have put their telephone down"


def test_who_spoke_over_the_voice_from_afar_is_no_question_once_it_ends() -> None:
    call = Call()
    call.say(-26)
    call.wait(3)
    assert call.hear(-41, 2.0, voice=True)
    assert call.hear(-41, 3.0), "they go on"
    call.wait(1.0)
    assert call.hear(-41, 3.0), "and after a breath"
    assert not call.hear(-30, 0.3), "the caller speaks"
    call.say(-30)
    call.wait(3)
    assert call.hear(-45, 0.3, voice=True)
    call.wait(2)
    assert not call.hear(-45, 0.3), "somebody begins anew"


def test_a_caller_who_moves_away_is_known_by_what_they_say_then() -> None:
    call = Call()
    call.say(-26)
    for _ in range(4):
        call.wait(3)
        call.say(-38)
    call.wait(3)
    assert not call.hear(-40, 0.3, voice=True)


def test_what_is_heard_beside_the_voice_tells_nothing_of_the_caller() -> None:
    call = Call()
    call.say(-10, voice=True)
    call.wait(3)
    assert not call.hear(-30, 0.3, voice=True)
