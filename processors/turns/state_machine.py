"""The rules of turn taking, without I/O: who has the floor, and when it changes.

:class:`TurnStateMachine` gets events (speech starts, a transcript arrives, the voice stops …) with
their times, and returns actions. It never waits and reads no clock:
:attr:`TurnStateMachine.deadline` is when the next :meth:`TurnStateMachine.tick` is due. So every
rule can be tested and replayed without waiting. All times are in seconds, on any one clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from conversation.utterance import is_backchannel, only_listens, same_words, takes_floor, trails_off
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

Ending = Literal["model", "transcript", "recogniser"]
"""What ends a turn: the turn model's probability, the transcript, or the recogniser's proposal."""

EarlyAnswers = Literal["pauses", "predicted", "judged"]
"""When an answer is begun early, as in :class:`pipeline.vendor.Vendor`.

* ``pauses``: at a pause, and after a complete sentence
* ``predicted``: after a complete sentence, when the recogniser predicts the end of the turn
* ``judged``: at a pause, once its words are final and the turn model takes it for the end
"""

_MOMENTS: Mapping[EarlyAnswers, tuple[EarlyAnswers, ...]] = {
    "pauses": ("pauses", "predicted"),
    "predicted": ("predicted",),
    "judged": ("judged",),
}

_ECHO_SECS = 0.3
"""How long after the end of the voice its echo may be taken for the onset of speech."""

_FINISHED = 0.5
"""The turn model's probability from which a turn is over: the model's own threshold."""

_REACTION_SECS = 0.2
"""Nobody reacts to what they hear sooner than this."""

# In all languages that Flux writes: also the full-width marks, and Hindi's danda.
_SENTENCE_ENDS = (".", "?", "!", "\u3002", "\uff1f", "\uff01", "\u0964")


class AgentState(Enum):
    """What the agent is doing."""

    QUIET = "quiet"
    THINKING = "thinking"
    SPEAKING = "speaking"


class CallerState(Enum):
    """What the caller is doing."""

    SILENT = "silent"
    SPEAKING = "speaking"
    PENDING = "pending"  # speech has stopped, and its transcript is outstanding
    PAUSING = "pausing"  # speech is transcribed, and the turn may not be over


@dataclass(frozen=True, slots=True)
class TurnTakingTimes:
    """Timeouts and waits of turn taking, in seconds.

    Parameters:
        confirm: Speech over the voice that counts as an interruption whatever the words.
        words: The same, if there are words that are unclear, but are no backchannel.
        backchannel: The same, if all words are a backchannel.
        breath: Added to each of these when the speech has paused and may be over.
        ask: Speech over the voice after which its words are requested, and again after as much
            more, for recognisers whose interim results are too rare; ``None`` for no requests.
        turn_model: Timeout of the turn model, from the transcript.
        recogniser: Timeout of the recogniser's proposal, from the transcript.
        unfinished: Silence after which speech that sounded unfinished is answered.
        transcript: Timeout of a transcript.
        open_turn: The same if the recogniser ends turns and has given words: it may judge that the
            caller has not finished.
        answer: Timeout of the first audio of an answer.
        silence: Silence of both sides after which the caller is asked whether they are there.
        after_silence: Further silence after which the call ends.
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
        times: Timeouts and waits.
        instant: Stop the voice at the onset of speech, without ducking first.
        ending: What ends the caller's turn.
        preemptive: Speculate.
        early_answers: When.
    """

    def __init__(
        self,
        times: TurnTakingTimes | None = None,
        *,
        instant: bool = False,
        ending: Ending = "model",
        preemptive: bool = False,
        early_answers: EarlyAnswers = "pauses",
    ) -> None:
        self._times = times or TurnTakingTimes()
        self.early_answers = early_answers
        self._instant = instant
        self.ending = ending
        self._preemptive = preemptive
        self.agent = AgentState.QUIET
        self.caller = CallerState.SILENT
        self.ducked = False
        self._overlap = False  # the caller speaks over the agent; not yet an interruption
        self.onset = 0.0
        self._speech_end = 0.0
        self._transcribed = 0.0
        self._texts: list[str] = []
        self._interim = ""
        self._paused = False  # the caller's speech has paused or stopped
        self._speculated = ""  # the question of the answer started early
        self._requested_at: float | None = None  # the words of speech over the agent
        self._finished: float | None = None  # the turn model's probability
        self._pause_ends = False  # the turn model takes the present pause for the end of the turn
        self._begun = False  # BeginTurn was returned
        self._answering = ""  # the question being answered, until its answer has been heard
        self._heard_at: float | None = None  # when some of that answer was first heard
        self._continued = False
        self._made_way = False  # an answer to this question was stopped as it began
        self._yielded = False  # the voice was stopped for this turn
        self._captioned = False  # words of this turn were shown
        self._echo = False  # what is heard over the agent is its own voice
        self._superseded = False  # the present speech: a question was typed meanwhile
        self._holding = False  # the caller holds the button to talk
        self._released = False  # they let it go: their turn is over once it is transcribed
        self._prompted = False
        self._closed = False
        self._quiet_since = 0.0

    # Events. Once the machine is closed, they have no effect.

    def close(self, now: float) -> list[Action]:
        """Close the floor to the caller: stop the voice, and ignore further events."""
        if self._closed:
            return []
        self._closed = True
        busy = self.agent is not AgentState.QUIET
        self.agent = AgentState.QUIET
        return [Interrupt()] if busy else []

    def speech_started(self, now: float, *, onset: float | None = None) -> list[Action]:
        """The caller has started to speak, at ``onset`` if that is earlier than now."""
        if self._closed:
            return []
        self._prompted = False
        was = self.caller
        self.caller = CallerState.SPEAKING
        self._paused = self._pause_ends = self._released = False
        self._finished = None
        self._interim = ""
        self._echo = self._superseded = False
        self._requested_at = None
        self.onset = now if onset is None else onset
        if was in (CallerState.PENDING, CallerState.PAUSING) and not self._overlap:
            return []  # the turn continues after a pause
        if self.agent is AgentState.QUIET and not self._overlap:
            return self._begin_turn()
        self._overlap = True
        if self._instant:
            return self._interrupt()
        if self.agent is AgentState.SPEAKING and self._goes_on():
            self._made_way = True
            return self._interrupt()
        if self.agent is AgentState.SPEAKING and not self.ducked:
            self.ducked = True
            return [Duck()]
        return []

    def speech_paused(self, now: float, pause_secs: float = 0.0) -> list[Action]:
        """The caller has paused; ``pause_secs`` is the silence so far."""
        self._paused = self.caller is CallerState.SPEAKING
        self._pause_ends = False
        self._speech_end = now - pause_secs
        return self._speculate_at("pauses")

    def pause_judged(self, now: float, probability: float) -> list[Action]:
        """The turn model has judged the pause, before the caller counts as having stopped."""
        self._pause_ends = self._paused and probability >= _FINISHED
        return self._speculate_at("judged")

    def speech_stopped(self, now: float, *, speech_end: float | None = None) -> list[Action]:
        """The caller has stopped speaking, at ``speech_end`` if that is earlier than now."""
        if self._closed or self.caller is not CallerState.SPEAKING:
            return []
        self.caller = CallerState.PENDING
        self._paused = True
        self._speech_end = now if speech_end is None else speech_end
        return []

    def interim_transcript(self, now: float, text: str, echo: bool = False) -> list[Action]:
        """An interim transcript of the current speech has arrived.

        ``echo`` tells that its words are those that the agent was speaking meanwhile.
        """
        if self._closed or self._superseded or not text.strip():
            return []
        actions: list[Action] = []
        if self.caller not in (CallerState.SPEAKING, CallerState.PENDING):
            if self.ending != "recogniser":
                return []
            # The recogniser ended the turn too early: the same speech continues.
            actions = self.speech_started(now)
        self._echo = echo and self._over_the_voice()
        if self._echo:
            ducked, self.ducked = self.ducked, False
            return [*actions, Unduck()] if ducked else actions
        self._interim = text.strip()
        if self._overlap:
            listening = self.agent is AgentState.SPEAKING and not self._unheard
            if is_backchannel(text) or (listening and not takes_floor(text)):
                return actions
            actions += self._interrupt()
        # A hum that turns out to be a cough needs no answer.
        self._captioned = self._captioned or not is_backchannel(text)
        more = [*self._cancel_overtaken(), *self._speculate_at("pauses")]
        return [*actions, self._caption(final=False), *more]

    def final_transcript(self, now: float, text: str, echo: bool = False) -> list[Action]:
        """The transcript of the ended speech has arrived; empty if it had no words.

        ``echo`` is as in :meth:`interim_transcript`.
        """
        if self._closed:
            return []
        if self._superseded:
            self._superseded = False
            return []
        text = text.strip()
        if echo and self._over_the_voice():
            text = ""
        self._transcribed = now
        interim, self._interim = self._interim, ""
        actions: list[Action] = []
        if self._overlap or (self.agent is not AgentState.QUIET and not self._begun):
            if self._undecided(text):
                self._texts += filter(None, [text])
                return []
            requested = [] if self._begun else self._texts
            whole = " ".join([*requested, *filter(None, [text])])
            if only_listens(whole, interim if self.agent is AgentState.SPEAKING else ""):
                return self._resume_voice(now) if self.caller is not CallerState.SPEAKING else []
            actions = self._interrupt()
        if text:
            self._texts.append(text)
            if not self._begun:  # the transcript arrived after its timeout
                actions += self._begin_turn()
            actions.append(self._caption(final=False))
            actions += self._cancel_overtaken()
        if self.caller is CallerState.SPEAKING:
            return [*actions, *self._speculate_at("judged")]
        if not self._texts and self._holding:
            self.caller = CallerState.SILENT
            return actions
        if not self._texts:
            return [*actions, *self._drop_turn(now)]
        self.caller = CallerState.PAUSING
        return [*actions, *(self._end_if_due(now) or self._speculate_at("pauses"))]

    def end_of_turn(self, now: float, probability: float) -> list[Action]:
        """The turn model has judged the ended speech; ``probability`` is 0 to 1."""
        if self.caller in (CallerState.PENDING, CallerState.PAUSING):
            self._finished = probability
        return self._end_if_due(now)

    def end_predicted(self, now: float, text: str) -> list[Action]:
        """The recogniser predicts that the turn ends here; ``text`` is all of the turn so far."""
        actions = self.interim_transcript(now, text)
        if self.caller not in (CallerState.SPEAKING, CallerState.PENDING):
            return actions
        self._paused = True
        return [*actions, *self._speculate_at("predicted")]

    def end_prediction_cancelled(self, now: float) -> list[Action]:
        """The recogniser's prediction was wrong: the caller continues.

        An early answer is thrown away by their next words, not by a last syllable of those that it
        answers.
        """
        self._paused = self._paused and self.caller is not CallerState.SPEAKING
        return []

    def end_proposed(self, now: float) -> list[Action]:
        """The recogniser proposes that the turn is over."""
        if self._closed or self._holding or self.caller is CallerState.SILENT:
            return []
        if self._overlap:
            return self._resume_voice(now)
        if not self._texts:
            return []
        if self.caller is CallerState.SPEAKING and not self._paused:
            self._speech_end = now
        return self._end_turn(now)

    def question_typed(self, now: float, text: str) -> list[Action]:
        """The caller has typed a question: a whole turn, which the voice makes way for.

        What they were saying meanwhile is dropped: who types in a noisy place means what they type.
        """
        text = text.strip()
        if self._closed or not text:
            return []
        self._prompted = self._echo = False
        if self._heard_at is not None:
            self._answering = ""
        self._superseded = self.caller in (CallerState.SPEAKING, CallerState.PENDING)
        actions = self._interrupt()
        # A question of which nothing was answered yet is asked along with it, as when it is spoken.
        self._texts = [*(self._texts[:1] if self._continued else []), text]
        self._interim = ""
        self._requested_at = None
        self._speech_end = self._transcribed = now
        return [*actions, *self._end_turn(now)]

    def typing(self, now: float) -> list[Action]:
        """The caller is typing: their silence begins anew."""
        if self.agent is AgentState.QUIET:
            self._quiet_since = now
        self._prompted = False
        return []

    def talk_pressed(self, now: float) -> list[Action]:
        """The caller holds the button to talk: the voice makes way, and no pause ends the turn."""
        if self._closed:
            return []
        self._holding = True
        self._released = self._prompted = self._echo = False
        return self._interrupt()

    def talk_released(self, now: float) -> list[Action]:
        """The caller has let the button go: the turn is over once its words are known."""
        if self._closed or not self._holding:
            return []
        self._holding, self._released = False, True
        if self.caller is CallerState.SPEAKING:  # voice activity has yet to notice the silence
            return self.speech_stopped(now)
        if self.caller is CallerState.PENDING:
            return []
        return self._end_turn(now) if self._texts else self._drop_turn(now)

    def voice_started(self, now: float) -> list[Action]:
        """The voice has started to speak."""
        if self._closed:
            return []
        self.agent = AgentState.SPEAKING
        if self._begun:  # the caller took the floor first
            return self._interrupt()
        if self._overlap and self._goes_on():
            self._made_way = True
            return self._interrupt()
        if self._overlap and not self.ducked:
            self.ducked = True
            return [Duck()]
        return []

    def voice_heard(self, now: float) -> list[Action]:
        """The caller hears the answer, so what they begin to say from now on is about that."""
        if self._heard_at is None:
            self._heard_at = now
        return []

    def voice_stopped(self, now: float) -> list[Action]:
        """The voice has been played to its end, or the answer had no audio."""
        if self.agent is AgentState.QUIET:
            return []
        self.agent = AgentState.QUIET
        self._answering = ""
        self._quiet_since = now
        ducked, self.ducked = self.ducked, False
        return [Unduck()] if ducked else []

    def tick(self, now: float) -> list[Action]:
        """Act on a deadline that has passed."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        if self._overlap and self.caller is CallerState.SPEAKING:
            if now < self._confirmed_at():
                self._requested_at = now
                return [TranscribeNow()]
            return self._interrupt()
        if self.caller is CallerState.PENDING:
            return self._transcript_timed_out(now)
        if self.caller is CallerState.PAUSING:
            return self._end_turn(now)
        self._quiet_since = now
        if self.agent is AgentState.THINKING:
            self.agent = AgentState.QUIET
            return [Interrupt(), Say("fault")]
        was_prompted, self._prompted = self._prompted, True
        return [Say("goodbye" if was_prompted else "silence")]

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` is due; ``None`` if it is not."""
        times = self._times
        if self._closed or self._holding:
            return None
        if self.caller is CallerState.SPEAKING:
            if not self._overlap:
                return None
            due = min(self._confirmed_at(), self._request_at())
            return due if due < float("inf") else None
        if self.caller is CallerState.PENDING:
            open_turn = self.ending == "recogniser" and self._interim
            return self._speech_end + (times.open_turn if open_turn else times.transcript)
        if self.caller is CallerState.PAUSING:
            return self._end_deadline()
        if self.agent is AgentState.THINKING:
            return self._quiet_since + times.answer
        if self.agent is AgentState.QUIET:
            return self._quiet_since + (times.after_silence if self._prompted else times.silence)
        return None

    def start_silence(self, now: float) -> None:
        """Measure the silence of both sides from now."""
        self._quiet_since = now

    # Consequences.

    @property
    def _unheard(self) -> str:
        """The question being answered, if the present speech is no reaction to its answer."""
        heard = self._heard_at is not None and self.onset >= self._heard_at + _REACTION_SECS
        return "" if heard else self._answering

    def _goes_on(self) -> bool:
        """Whether the caller goes on with the question whose answer begins to sound.

        Noise is no reason to ask it again and again: a question makes way once.
        """
        speaking = self.caller is CallerState.SPEAKING and not self._paused
        return speaking and bool(self._unheard) and not self._made_way

    def _over_the_voice(self) -> bool:
        """Whether the present speech began while the voice was played, or its last echo was."""
        lately = self.onset < self._quiet_since + _ECHO_SECS
        return self._overlap or self.agent is AgentState.SPEAKING or lately

    def _confirmed_at(self) -> float:
        """When speech over the agent becomes an interruption, given its words so far."""
        if self._echo:
            return float("inf")
        return self.onset + self._confirm_secs() + (self._times.breath if self._paused else 0.0)

    def _request_at(self) -> float:
        ask = self._times.ask
        if ask is None or self.agent is not AgentState.SPEAKING or self._paused or self._echo:
            return float("inf")
        return (self.onset if self._requested_at is None else self._requested_at) + ask

    def _undecided(self, text: str) -> bool:
        """Whether words requested while the caller speaks may still be a backchannel."""
        if self._requested_at is None or self.caller is not CallerState.SPEAKING:
            return False
        listening = self.agent is AgentState.SPEAKING and not self._unheard
        return listening and not takes_floor(" ".join([*self._texts, text]))

    def _confirm_secs(self) -> float:
        requested = [] if self._requested_at is None else self._texts
        words = " ".join([*requested, *filter(None, [self._interim])])
        if not words:
            return self._times.confirm
        if is_backchannel(words):
            return self._times.backchannel
        return min(self._times.words, self._times.confirm)

    def _begin_turn(self) -> list[Action]:
        if self._begun:
            return []
        self._begun = True
        return [BeginTurn()]

    def _caption(self, *, final: bool) -> Caption:
        return Caption(" ".join([*self._texts, *filter(None, [self._interim])]), final)

    def _speculate_at(self, moment: EarlyAnswers) -> list[Action]:
        """Begin an answer early, at a moment of its kind, if the turn is likely to be over."""
        if not self._preemptive or moment not in _MOMENTS[self.early_answers]:
            return []
        question = self._caption(final=False).text
        idle = self.agent is AgentState.QUIET and not self._overlap and not self._closed
        if not idle or not question or same_words(question, self._speculated):
            return []
        if not self._is_likely_whole(question):
            return []
        self._speculated = question
        return [Speculate(question, self._continued)]

    def _is_likely_whole(self, question: str) -> bool:
        # After a complete sentence, speculate even while its last word is still being said.
        complete = question.endswith(_SENTENCE_ENDS) and not trails_off(question)
        match self.early_answers:
            case "pauses":
                return complete or self._paused
            case "predicted":
                return complete
            case "judged":
                return self._pause_ends and not self._interim and not trails_off(question)

    def _cancel_overtaken(self) -> list[Action]:
        """Throw away an early answer to fewer words than there are by now."""
        if self.early_answers == "pauses" or not self._speculated:
            return []  # the next guess replaces it
        if same_words(self._caption(final=False).text, self._speculated):
            return []
        self._speculated = ""
        return [CancelSpeculation()]

    def _interrupt(self) -> list[Action]:
        """Give the caller the floor, and stop the agent if it has it."""
        self._overlap = self.ducked = False
        if self.agent is AgentState.QUIET:
            return self._begin_turn()
        self.agent = AgentState.QUIET
        self._yielded = True
        if self._unheard:  # said without knowing the answer, so the question continues
            self._texts.insert(0, self._unheard)
            self._continued = True
        self._answering = ""
        return [Interrupt(), *self._begin_turn()]

    def _resume_voice(self, now: float) -> list[Action]:
        """Let the agent continue after a cough or a backchannel."""
        self._overlap = self._echo = False
        self.caller = CallerState.SILENT
        if not self._begun:
            self._texts.clear()  # words requested while the caller spoke over the voice
        ducked, self.ducked = self.ducked, False
        return [Unduck()] if ducked else []

    def _transcript_timed_out(self, now: float) -> list[Action]:
        """Go on without the outstanding transcript."""
        if self._overlap:
            return self._resume_voice(now)
        if self.ending == "recogniser" and self._interim:
            self._texts.append(self._interim)  # the recogniser never made these words final
            self._interim = ""
        if self._texts:
            self._transcribed = now
            return self._end_turn(now)
        self._yielded = True
        return self._drop_turn(now)

    def _drop_turn(self, now: float) -> list[Action]:
        """Drop a turn without words; say so if the voice was stopped, or words shown, for it."""
        self.caller = CallerState.SILENT
        self._quiet_since = now
        actions: list[Action] = [DropTurn()] if self._begun else []
        if self._yielded or self._captioned:
            actions.append(Say("not_heard"))
        self._begun = self._yielded = self._captioned = self._released = False
        return actions

    def _end_if_due(self, now: float) -> list[Action]:
        open_floor = not (self._closed or self._overlap or self._holding)
        waiting = self.caller is CallerState.PAUSING and open_floor
        return self._end_turn(now) if waiting and now >= self._end_deadline() else []

    def _end_deadline(self) -> float:
        times = self._times
        if self.ending == "transcript" or self._released:
            return self._transcribed
        if self.ending == "recogniser":
            return self._transcribed + times.recogniser
        if trails_off(" ".join(self._texts)):
            return self._speech_end + times.unfinished
        if self._finished is None:
            return self._transcribed + times.turn_model
        if self._finished >= _FINISHED:
            return self._transcribed
        return self._speech_end + times.unfinished

    def _end_turn(self, now: float) -> list[Action]:
        caption = self._caption(final=True)
        end = EndTurn(caption.text, self._speech_end, self._transcribed, self._continued)
        self._texts.clear()
        self._interim = ""
        self._begun = self._continued = self._yielded = self._paused = False
        self._captioned = self._released = False
        self._finished = None
        self._speculated = ""
        self._quiet_since = now
        self.caller = CallerState.SILENT
        self.agent = AgentState.THINKING
        self._answering = end.question
        self._made_way = self._made_way and end.continued
        self._heard_at = None
        return [caption, end]
