"""Who has the floor: the rules of turn taking, without I/O.

:class:`TurnStateMachine` is told what happens (speech starts, a transcript comes, the voice stops
…) with the time at which it happened, and answers with what to do. It never waits and never looks
at a clock; ``deadline`` says when it wants to be told that time has passed. So every rule can be
tested, and replayed, in no time at all.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from conversation.utterance import is_backchannel, only_listens, same_words, takes_floor, trails_off
from processors.turns.actions import (
    Action,
    BeginTurn,
    Caption,
    DropTurn,
    Duck,
    EndTurn,
    Interrupt,
    Say,
    Speculate,
    Transcribe,
    Unduck,
    Withdraw,
)

Ending = Literal["model", "transcript", "recogniser"]
"""What ends a turn: the turn model's verdict, the transcript, or the recogniser's proposal."""

_SENTENCE_ENDS = (".", "?", "!")


class Agent(Enum):
    """What Viva is doing."""

    QUIET = "quiet"
    THINKING = "thinking"
    SPEAKING = "speaking"


class Caller(Enum):
    """What the caller is doing."""

    SILENT = "silent"
    SPEAKING = "speaking"
    PENDING = "pending"  # their speech has stopped; its transcript has not come
    PAUSING = "pausing"  # their speech is transcribed; the turn may not be over


@dataclass(frozen=True, slots=True)
class TurnTakingTimes:
    """The waits of turn taking, in seconds.

    Parameters:
        confirm: Speech over the voice that is taken for an interruption whatever was said.
        words: The same, when what was said is not clear, but sounds like no backchannel.
        backchannel: The same, when all that was said is a backchannel.
        breath: Added to each, when the speech has paused and may be over.
        ask: Speech over the voice after which its words are asked for, and again after as much
            more, for a recogniser that guesses too seldom to tell in time; ``None`` to wait until
            it does.
        turn_model: Longest wait for the turn model's verdict after the transcript.
        recogniser: Longest wait for the recogniser's proposal after the transcript.
        unfinished: Silence after speech that sounded unfinished, before it is answered.
        transcript: Longest wait for a transcript.
        open_turn: The same, when the recogniser ends turns and has heard words: it may think that
            the caller has not finished.
        answer: Longest wait for the first sound of an answer.
        silence: Silence of both before the caller is asked whether they are there.
        after_silence: Silence after that before the call ends.
    """

    confirm: float = 0.8
    words: float = 0.6
    backchannel: float = 1.0
    breath: float = 0.15
    ask: float | None = None
    turn_model: float = 0.35
    recogniser: float = 2.0
    unfinished: float = 0.9
    transcript: float = 3.0
    open_turn: float = 8.0
    answer: float = 20.0
    silence: float = 8.0
    after_silence: float = 8.0


class TurnStateMachine:
    """The state machine of turn taking between one caller and one agent.

    Parameters:
        times: The waits.
        instant: Stop the voice at the onset of speech, without ducking first.
        ending: What ends the caller's turn.
        preemptive: Ask for an answer to be begun at a pause, or at a whole sentence in speech.
        foretold: Ask for it only when the recogniser itself expects the end of the turn.
    """

    def __init__(
        self,
        times: TurnTakingTimes | None = None,
        *,
        instant: bool = False,
        ending: Ending = "model",
        preemptive: bool = False,
        foretold: bool = False,
    ) -> None:
        self._times = times or TurnTakingTimes()
        self.foretold = foretold
        self._instant = instant
        self.ending = ending
        self._preemptive = preemptive
        self.agent = Agent.QUIET
        self.caller = Caller.SILENT
        self.ducked = False
        self._overlap = False  # speech over the agent that is not yet confirmed
        self._onset = 0.0
        self._speech_end = 0.0
        self._transcribed = 0.0
        self._texts: list[str] = []
        self._interim = ""
        self._paused = False  # in their speech, or after it
        self._speculated = ""
        self._asked: float | None = None  # when, for the words of the speech over the agent
        self._finished: float | None = None  # the turn model's probability
        self._begun = False  # BeginTurn was said
        self._answering = ""  # the question being answered, until a word of it is heard
        self._continued = False
        self._yielded = False  # the voice was stopped for this turn
        self._prompted = False
        self._closed = False
        self._quiet_since = 0.0

    # What happens. Once the floor is closed, nothing does.

    def close(self, now: float) -> list[Action]:
        """Viva has the last word: whoever is speaking is stopped, and nothing moves any more."""
        if self._closed:
            return []
        self._closed = True
        busy = self.agent is not Agent.QUIET
        self.agent = Agent.QUIET
        return [Interrupt()] if busy else []

    def speech_started(self, now: float, *, onset: float | None = None) -> list[Action]:
        """The caller's voice has started; ``onset`` is when, if earlier than now."""
        if self._closed:
            return []
        self._prompted = False
        was = self.caller
        self.caller = Caller.SPEAKING
        self._paused = False
        self._finished = None
        self._interim = ""
        self._asked = None
        self._onset = now if onset is None else onset
        if was in (Caller.PENDING, Caller.PAUSING) and not self._overlap:
            return []  # the same turn goes on after a pause
        if self.agent is Agent.QUIET and not self._overlap:
            return self._begin()
        self._overlap = True
        if self._instant:
            return self._confirm()
        if self.agent is Agent.SPEAKING and not self.ducked:
            self.ducked = True
            return [Duck()]
        return []

    def speech_paused(self, now: float, pause_secs: float = 0.0) -> list[Action]:
        """The caller's voice has paused, and may go on; ``pause_secs`` is its silence so far."""
        self._paused = self.caller is Caller.SPEAKING
        self._speech_end = now - pause_secs
        return self._perhaps_speculate()

    def speech_stopped(self, now: float, *, speech_end: float | None = None) -> list[Action]:
        """The caller's voice has stopped; ``speech_end`` is when, if earlier than now."""
        if self._closed or self.caller is not Caller.SPEAKING:
            return []
        self.caller = Caller.PENDING
        self._paused = True
        self._speech_end = now if speech_end is None else speech_end
        return []

    def interim(self, now: float, text: str) -> list[Action]:
        """A first guess at what is being said."""
        if self._closed or not text.strip():
            return []
        actions: list[Action] = []
        if self.caller not in (Caller.SPEAKING, Caller.PENDING):
            if self.ending != "recogniser":
                return []
            # It ended the turn too early: the same speech goes on.
            actions = self.speech_started(now)
        self._interim = text.strip()
        if self._overlap:
            listening = self.agent is Agent.SPEAKING and not self._answering
            if is_backchannel(text) or (listening and not takes_floor(text)):
                return actions
            actions += self._confirm()
        return [*actions, self._caption(final=False), *self._perhaps_speculate()]

    def final(self, now: float, text: str) -> list[Action]:
        """The transcript of the speech that stopped; empty when it held no words."""
        if self._closed:
            return []
        text = text.strip()
        self._transcribed = now
        guess, self._interim = self._interim, ""
        actions: list[Action] = []
        if self._overlap or (self.agent is not Agent.QUIET and not self._begun):
            if self._undecided(text):
                self._texts += filter(None, [text])
                return []
            asked_for = [] if self._begun else self._texts
            whole = " ".join([*asked_for, *filter(None, [text])])
            if only_listens(whole, guess if self.agent is Agent.SPEAKING else ""):
                return self._let_pass(now) if self.caller is not Caller.SPEAKING else []
            actions = self._confirm()
        if text:
            self._texts.append(text)
            if not self._begun:  # a late transcript of speech that was given up
                actions += self._begin()
            actions.append(self._caption(final=False))
        if self.caller is Caller.SPEAKING:
            return actions
        if not self._texts:
            return [*actions, *self._drop(now)]
        self.caller = Caller.PAUSING
        return [*actions, *(self._perhaps_end(now) or self._perhaps_speculate())]

    def end_of_turn(self, now: float, probability: float) -> list[Action]:
        """The turn model's verdict on the speech that stopped."""
        if self.caller in (Caller.PENDING, Caller.PAUSING):
            self._finished = probability
        return self._perhaps_end(now)

    def end_expected(self, now: float, text: str) -> list[Action]:
        """The recogniser expects that the turn ends here; ``text`` is all of it so far."""
        actions = self.interim(now, text)
        if self.caller not in (Caller.SPEAKING, Caller.PENDING):
            return actions
        self._paused = True
        return [*actions, *self._speculate()]

    def end_withdrawn(self, now: float) -> list[Action]:
        """What the recogniser expected was wrong: the caller goes on."""
        self._paused = self._paused and self.caller is not Caller.SPEAKING
        speculated, self._speculated = self._speculated, ""
        return [Withdraw()] if speculated and not self._closed else []

    def end_proposed(self, now: float) -> list[Action]:
        """The recogniser itself says that the turn is over."""
        if self._closed or self.caller is Caller.SILENT:
            return []
        if self._overlap:
            return self._let_pass(now)
        if not self._texts:
            return []
        if self.caller is Caller.SPEAKING and not self._paused:
            self._speech_end = now
        return self._end(now)

    def voice_started(self, now: float) -> list[Action]:
        """The first sample of something Viva says is on its way."""
        if self._closed:
            return []
        self.agent = Agent.SPEAKING
        if self._begun:  # the caller took the floor first
            return self._confirm()
        if self._overlap and not self.ducked:
            self.ducked = True
            return [Duck()]
        return []

    def voice_heard(self, now: float) -> list[Action]:
        """A word of the answer has been heard: its question is closed."""
        self._answering = ""
        return []

    def voice_stopped(self, now: float) -> list[Action]:
        """Everything Viva said has been played, or the answer ended without a sound."""
        if self.agent is Agent.QUIET:
            return []
        self.agent = Agent.QUIET
        self._answering = ""
        self._quiet_since = now
        ducked, self.ducked = self.ducked, False
        return [Unduck()] if ducked else []

    def tick(self, now: float) -> list[Action]:
        """Time has passed; due waits are over."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        if self._overlap and self.caller is Caller.SPEAKING:
            if now < self._confirmed_at():
                self._asked = now
                return [Transcribe()]
            return self._confirm()
        if self.caller is Caller.PENDING:
            return self._give_up(now)
        if self.caller is Caller.PAUSING:
            return self._end(now)
        self._quiet_since = now
        if self.agent is Agent.THINKING:
            self.agent = Agent.QUIET
            return [Interrupt(), Say("fault")]
        was_prompted, self._prompted = self._prompted, True
        return [Say("goodbye" if was_prompted else "silence")]

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` should be called at the latest, ``None`` if it need not be."""
        times = self._times
        if self._closed:
            return None
        if self.caller is Caller.SPEAKING:
            if not self._overlap:
                return None
            return min(self._confirmed_at(), self._ask_at())
        if self.caller is Caller.PENDING:
            open_turn = self.ending == "recogniser" and self._interim
            return self._speech_end + (times.open_turn if open_turn else times.transcript)
        if self.caller is Caller.PAUSING:
            return self._end_deadline()
        if self.agent is Agent.THINKING:
            return self._quiet_since + times.answer
        if self.agent is Agent.QUIET:
            return self._quiet_since + (times.after_silence if self._prompted else times.silence)
        return None

    def begin_waiting(self, now: float) -> None:
        """Count silence from now."""
        self._quiet_since = now

    # What follows.

    def _confirmed_at(self) -> float:
        """When speech over the agent is taken for an interruption, whatever was said."""
        return self._onset + self._patience() + (self._times.breath if self._paused else 0.0)

    def _ask_at(self) -> float:
        ask = self._times.ask
        if ask is None or self._interim or self._paused:
            return float("inf")
        return (self._onset if self._asked is None else self._asked) + ask

    def _undecided(self, text: str) -> bool:
        """Whether words that were asked for in the midst of speech do not show what it is yet."""
        if self._asked is None or self.caller is not Caller.SPEAKING:
            return False
        listening = self.agent is Agent.SPEAKING and not self._answering
        return listening and not takes_floor(" ".join([*self._texts, text]))

    def _patience(self) -> float:
        asked_for = [] if self._asked is None else self._texts
        guess = " ".join([*asked_for, *filter(None, [self._interim])])
        if not guess:
            return self._times.confirm
        if is_backchannel(guess):
            return self._times.backchannel
        return min(self._times.words, self._times.confirm)

    def _begin(self) -> list[Action]:
        if self._begun:
            return []
        self._begun = True
        return [BeginTurn()]

    def _caption(self, *, final: bool) -> Caption:
        return Caption(" ".join([*self._texts, *filter(None, [self._interim])]), final)

    def _perhaps_speculate(self) -> list[Action]:
        return [] if self.foretold else self._speculate()

    def _speculate(self) -> list[Action]:
        question = self._caption(final=False).text
        idle = self.agent is Agent.QUIET and not self._overlap and not self._closed
        # A whole sentence is worth a guess though its last word is still being said.
        likely = self._paused or question.endswith(_SENTENCE_ENDS)
        wanted = self._preemptive and likely and idle and question
        if not wanted or same_words(question, self._speculated):
            return []
        self._speculated = question
        return [Speculate(question, self._continued)]

    def _confirm(self) -> list[Action]:
        """The caller really is speaking: the agent yields."""
        self._overlap = self.ducked = False
        if self.agent is Agent.QUIET:
            return self._begin()
        self.agent = Agent.QUIET
        self._yielded = True
        if self._answering:  # not a word of the answer was heard: they are still asking
            self._texts.insert(0, self._answering)
            self._continued = True
            self._answering = ""
        return [Interrupt(), *self._begin()]

    def _let_pass(self, now: float) -> list[Action]:
        """It was a cough or a backchannel: the agent goes on."""
        self._overlap = False
        self.caller = Caller.SILENT
        if not self._begun:
            self._texts.clear()  # words that were asked for, of what was no interruption
        ducked, self.ducked = self.ducked, False
        return [Unduck()] if ducked else []

    def _give_up(self, now: float) -> list[Action]:
        """A transcript that should have come did not."""
        if self._overlap:
            return self._let_pass(now)
        if self.ending == "recogniser" and self._interim:
            self._texts.append(self._interim)  # it never said that these are final
            self._interim = ""
        if self._texts:
            self._transcribed = now
            return self._end(now)
        self._yielded = True
        return self._drop(now)

    def _drop(self, now: float) -> list[Action]:
        """There were no words; a voice that was stopped for them says so."""
        self.caller = Caller.SILENT
        self._quiet_since = now
        actions: list[Action] = [DropTurn()] if self._begun else []
        if self._yielded:
            actions.append(Say("not_heard"))
        self._begun = self._yielded = False
        return actions

    def _perhaps_end(self, now: float) -> list[Action]:
        waiting = self.caller is Caller.PAUSING and not (self._closed or self._overlap)
        return self._end(now) if waiting and now >= self._end_deadline() else []

    def _end_deadline(self) -> float:
        times = self._times
        if self.ending == "transcript":
            return self._transcribed
        if self.ending == "recogniser":
            return self._transcribed + times.recogniser
        if trails_off(" ".join(self._texts)):
            return self._speech_end + times.unfinished
        if self._finished is None:
            return self._transcribed + times.turn_model
        if self._finished >= 0.5:
            return self._transcribed
        return self._speech_end + times.unfinished

    def _end(self, now: float) -> list[Action]:
        caption = self._caption(final=True)
        end = EndTurn(caption.text, self._speech_end, self._transcribed, self._continued)
        self._texts.clear()
        self._interim = ""
        self._begun = self._continued = self._yielded = self._paused = False
        self._finished = None
        self._speculated = ""
        self._quiet_since = now
        self.caller = Caller.SILENT
        self.agent = Agent.THINKING
        self._answering = end.question
        return [caption, end]
