"""Checks of turn taking, for any source of interruptions and any end of a call.

The caller, the brain and the voice are scripted; the conversation and the turn keeper are Viva's,
so the checks see the records that the ledger would get. There is no network and no engine, so the
checks run in virtual time.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    ControlFrame,
    DataFrame,
    EndFrame,
    Frame,
    InputTextRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    SystemFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import EndCallFrame, EndOfTurnFrame, SentenceFrame, TurnFrame
from conversation.records import TurnRecord
from conversation.turns import OUTPUT_SAMPLE_RATE, Conversation
from evals.conformance.check import Check
from evals.conformance.harness import NonconformanceError, NotApplicableError, StageHarness, made
from processors.contract import in_order
from processors.turns.contract import TurnTakingMaker
from processors.turns.keeper import TurnKeeper

QUESTION = "Where did she study mathematics?"
OTHER = "No, where did she work?"
SENTENCE = ("I would like to know", "where she studied.")
HESITATION = ("Please tell me, um,", "where she studied.")
NUMBER = ("Call zero two zero", "seven nine four six", "zero nine five eight.")
CONTINUED = ("Where did she study mathematics?", "And who taught her?")

TURN_SECS = 4.0
"""Maximum time from a turn's last word to its ``TurnFrame``."""

YIELD_SECS = 1.5
"""Maximum time for the voice to continue while a caller speaks over it."""

CLOSE_SECS = 5.0
"""Maximum time from the end or interruption of an answer to its turn's record."""

SETTLE_SECS = 4.0
"""How long to watch for frames that must not come."""

_CHUNK_SECS = 0.02
_ANSWER_SECS = 2.0
_NOTICED_SECS = 0.3  # from the end of speech to its transcript


def _no_frames() -> Sequence[Frame]:
    return ()


@dataclass(frozen=True, slots=True)
class TurnTaker:
    """Turn taking to check.

    Parameters:
        name: Its name.
        make: Makes the turn taking of one call.
        begin: Frames that a caller sends before speaking, such as a button pressed.
        end: Frames that a caller sends after speaking, such as the button released.
        judges: Whether it distinguishes a hesitation from the end of a turn.
    """

    name: str
    make: TurnTakingMaker
    begin: Callable[[], Sequence[Frame]] = _no_frames
    end: Callable[[], Sequence[Frame]] = _no_frames
    judges: bool = True


async def one_turn(taker: TurnTaker) -> str:
    """A question is one turn: begun once, answered, and closed once the answer was played."""
    async with _ScriptedCall(taker) as call:
        await call.ask(QUESTION)
        turn = await call.wait_for_turn(1)
        if turn.question.strip() != QUESTION:
            raise NonconformanceError(f"{QUESTION!r} was asked; the turn has {turn.question!r}")
        await call.wait_for_record(1)
        await asyncio.sleep(SETTLE_SECS)
        if (turns := len(call.turns)) != 1 or len(call.conversation.turns) != 1:
            raise NonconformanceError(f"one question made {turns} TurnFrames")
        if len(call.records) != 1:
            raise NonconformanceError(f"one turn was kept {len(call.records)} times")
        for direction, frames in (("down", call.harness.down), ("up", call.harness.up)):
            if not any(isinstance(frame, UserStoppedSpeakingFrame) for frame in frames):
                raise NonconformanceError(f"no UserStoppedSpeakingFrame went {direction}stream")
        if not call.harness.received(UserStartedSpeakingFrame):
            raise NonconformanceError("no UserStartedSpeakingFrame")
    return f"begun {1000 * call.begin_secs:.0f} ms after its transcript, closed once"


async def ends_here(taker: TurnTaker) -> str:
    """Frames of voice activity and transcripts end at turn taking."""
    kinds = (
        *(VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame, EndOfTurnFrame),
        *(InterimTranscriptionFrame, TranscriptionFrame),
    )
    async with _ScriptedCall(taker) as call:
        await call.ask(QUESTION)
        await call.wait_for_turn(1)
        passed = {type(frame).__name__ for _, frame in call.harness.received(*kinds)}
    if passed:
        raise NonconformanceError(f"it passes on {', '.join(sorted(passed))}")
    return "voice activity and transcripts end here"


async def passes_on(taker: TurnTaker) -> str:
    """Frames that it does not know pass in order, in both directions."""
    async with _ScriptedCall(taker) as call:
        return await passes_unknown(call.harness)


async def interrupted_by_another(taker: TurnTaker) -> str:
    """Another processor's interruption closes the turn once, and the next turn works."""
    async with _ScriptedCall(taker) as call:
        await call.ask(QUESTION)
        await call.wait_for_audio()
        before = len(call.interruptions)
        await call.harness.push(InterruptionFrame())
        await call.harness.wait_for(
            lambda: len(call.interruptions) > before, 1.0, "it was not passed on"
        )
        record = await call.wait_for_record(1)
        if not record.interrupted:
            raise NonconformanceError("the interrupted turn's record does not say so")
        if (came := len(call.interruptions) - before) != 1:
            raise NonconformanceError(f"one InterruptionFrame became {came}")
        await call.ask(OTHER)
        await call.wait_for_turn(2)
        await call.wait_for_record(2)
        call.check_kept_once()
    return "kept once, as interrupted; the next turn is answered"


async def barge_in(taker: TurnTaker) -> str:
    """A caller who speaks over the voice stops it by one interruption and begins the next turn."""
    async with _ScriptedCall(taker) as call:
        await call.ask(QUESTION)
        await call.wait_for_audio()
        before = len(call.interruptions)
        began = call.now
        speaking = asyncio.create_task(call.ask(OTHER, secs=YIELD_SECS))
        try:
            await call.harness.wait_for(
                lambda: len(call.interruptions) > before, YIELD_SECS, "the voice did not yield"
            )
            took = call.now - began
            await speaking
        finally:
            speaking.cancel()
        turn = await call.wait_for_turn(2)
        if OTHER not in turn.question:
            raise NonconformanceError(f"the next turn's question is {turn.question!r}")
        if (came := len(call.interruptions) - before) != 1:
            raise NonconformanceError(f"one barge-in made {came} interruptions")
        record = await call.wait_for_record(1)
        if not record.interrupted:
            raise NonconformanceError("the interrupted turn's record does not say so")
        await call.wait_for_record(2)
        call.check_kept_once()
    return f"the voice yielded after {1000 * took:.0f} ms, by one interruption"


async def pause_in_a_sentence(taker: TurnTaker) -> str:
    """It waits for a caller who pauses in mid-sentence, where the turn model says so."""
    return await _in_one_turn(taker, SENTENCE, 0.6, finished=0.1)


async def hesitation(taker: TurnTaker) -> str:
    """It waits after an "um", though the turn model takes it for the end."""
    return await _in_one_turn(taker, HESITATION, 0.7, finished=0.8)


async def number_in_groups(taker: TurnTaker) -> str:
    """It waits for all groups of a number."""
    return await _in_one_turn(taker, NUMBER, 0.6, finished=0.2)


async def continued_question(taker: TurnTaker) -> str:
    """A question that is continued before its answer sounds is asked as a whole."""
    async with _ScriptedCall(taker, answer_after_secs=1.2) as call:
        await _speak(call, taker, CONTINUED, 1.2, finished=0.95)
        whole = " ".join(CONTINUED)
        try:
            await call.harness.wait_for(
                lambda: call.turns and call.turns[-1].question.strip() == whole, TURN_SECS, ""
            )
        except NonconformanceError:
            questions = " | ".join(turn.question for turn in call.turns) or "nothing"
            raise NonconformanceError(f"{whole!r} was said; asked was {questions!r}") from None
        count = len(call.turns)
        await call.wait_for_record(count)
        if heard := [record.question for record in call.records[:-1] if record.heard_text]:
            raise NonconformanceError(f"an answer to only {heard[0]!r} was heard")
        call.check_kept_once()
    return f"asked as a whole, after a pause of 1.2 s; begun {count} times"


async def _in_one_turn(
    taker: TurnTaker, pieces: Sequence[str], pause_secs: float, *, finished: float
) -> str:
    """Check that a sentence with pauses is one turn.

    Args:
        taker: The turn taking.
        pieces: What is said between pauses.
        pause_secs: The length of each.
        finished: The turn model's probability in a pause that the turn is over.
    """
    if not taker.judges:
        raise NotApplicableError("it does not judge pauses")
    async with _ScriptedCall(taker) as call:
        await _speak(call, taker, pieces, pause_secs, finished=finished)
        turn = await call.wait_for_turn(1)
        whole = " ".join(pieces)
        if turn.question.strip() != whole:
            raise NonconformanceError(f"{whole!r} was said; the turn has {turn.question!r}")
        await call.wait_for_record(1)
        if len(call.turns) != 1:
            raise NonconformanceError(f"one question made {len(call.turns)} TurnFrames")
    return f"one turn over pauses of {pause_secs:g} s"


async def _speak(
    call: "_ScriptedCall",
    taker: TurnTaker,
    pieces: Sequence[str],
    pause_secs: float,
    *,
    finished: float,
) -> None:
    await call.harness.push(*taker.begin())
    for piece in pieces[:-1]:
        await call.speak(piece, finished=finished)
        await asyncio.sleep(pause_secs - _NOTICED_SECS)
    await call.speak(pieces[-1])
    await call.harness.push(*taker.end())


async def typed_question(taker: TurnTaker) -> str:
    """A question that is typed over the voice stops it, is one turn, and goes no further."""
    async with _ScriptedCall(taker) as call:
        await call.ask(QUESTION)
        await call.wait_for_audio()
        before = len(call.interruptions)
        await call.harness.push(InputTextRawFrame(OTHER))
        turn = await call.wait_for_turn(2)
        if turn.question != OTHER:
            raise NonconformanceError(f"{OTHER!r} was typed; the turn has {turn.question!r}")
        if (came := len(call.interruptions) - before) != 1:
            raise NonconformanceError(f"one typed question made {came} interruptions")
        if call.harness.received(InputTextRawFrame):
            raise NonconformanceError("it is passed on, and would be spoken")
        await call.wait_for_record(2)
        call.check_kept_once()
    return "the voice stopped; one turn"


async def no_words(taker: TurnTaker) -> str:
    """Speech without words, such as a cough, makes no turn."""
    async with _ScriptedCall(taker) as call:
        await call.ask("")
        await asyncio.sleep(SETTLE_SECS)
        if call.turns or call.conversation.turns:
            raise NonconformanceError("a cough was taken for a question")
    return "no turn"


async def no_money(taker: TurnTaker) -> str:
    """A turn that the budget does not cover is closed unanswered."""
    async with _ScriptedCall(taker) as call:
        call.conversation.affordable = lambda: False
        await call.ask(QUESTION)
        await asyncio.sleep(SETTLE_SECS)
        if any(isinstance(frame, TurnFrame) for frame in call.harness.down):
            raise NonconformanceError("it pushed a TurnFrame that the budget does not cover")
        await call.wait_for_record(1)
    return "closed unanswered"


async def last_words(taker: TurnTaker) -> str:
    """At the end of a call the last words are spoken, and no later turn is answered."""
    async with _ScriptedCall(taker) as call:
        await call.harness.push(EndCallFrame(reason="cap", last_words="Goodbye."))
        await call.harness.wait_for(
            lambda: call.harness.received(EndCallFrame), 1.0, "no EndCallFrame"
        )
        said = [
            frame.text if isinstance(frame, TTSSpeakFrame) else ""
            for frame in call.harness.down
            if isinstance(frame, (TTSSpeakFrame, EndCallFrame))
        ]
        if said != ["Goodbye.", ""]:
            raise NonconformanceError("the last words do not precede the EndCallFrame")
        await call.ask(QUESTION)
        await asyncio.sleep(SETTLE_SECS)
        if call.turns:
            raise NonconformanceError("a turn after the last words was answered")
    return "spoken; no turn after them is answered"


async def end_of_call(taker: TurnTaker) -> str:
    """However a call ends, the open turn is closed and no task is left running."""
    for end in (EndFrame, CancelFrame):
        async with _ScriptedCall(taker) as call:
            await call.ask(QUESTION)
            await call.wait_for_audio()
            if end is EndFrame:
                await call.harness.push(EndFrame())
                await call.harness.wait_for(
                    lambda: call.harness.received(EndFrame), 2.0, "no EndFrame"
                )
        if [record.number for record in call.records] != [1]:
            raise NonconformanceError(f"the open turn has no record after {end.__name__}")
    return "EndFrame and CancelFrame close the open turn"


TURN_CHECKS: tuple[Check[TurnTaker], ...] = (
    Check("one turn", one_turn, 60.0, "blocks", "questions are unanswered, or answered twice"),
    Check("ends here", ends_here, 60.0, "degrades", "later stages act on frames not for them"),
    Check("passes on", passes_on, 60.0, "blocks", "frames of other stages are lost"),
    Check(
        "interrupted by another", interrupted_by_another, 60.0, "degrades",
        "the ledger lacks turns that other processors interrupt",
    ),
    Check("barge-in", barge_in, 60.0, "degrades", "callers cannot interrupt"),
    Check(
        "pause in a sentence", pause_in_a_sentence, 60.0, "degrades",
        "callers who pause are answered in mid-sentence",
    ),
    Check("hesitation", hesitation, 60.0, "degrades", "callers are cut off in mid-sentence"),
    Check(
        "number in groups", number_in_groups, 60.0, "degrades",
        "callers who dictate a number are answered after its first digits",
    ),
    Check(
        "continued question", continued_question, 60.0, "degrades",
        "only the last part of a question is answered",
    ),
    Check("typed question", typed_question, 60.0, "degrades", "callers who type are not answered"),
    Check("no words", no_words, 60.0, "degrades", "noises are answered"),
    Check("no money", no_money, 60.0, "blocks", "calls exceed their budget"),
    Check("last words", last_words, 60.0, "degrades", "calls end without last words, or continue"),
    Check("end of the call", end_of_call, 60.0, "degrades", "the ledger lacks the last turn"),
)  # fmt: skip


async def passes_unknown(harness: StageHarness) -> str:
    """Check that unknown frames pass in order, upstream and downstream."""
    downward = [kind(number) for number in range(5) for kind in _UNKNOWN]
    await harness.push(*downward)
    await harness.push_up(*(kind(number) for number in range(5) for kind in _UNKNOWN))
    for direction in ("down", "up"):
        for kind in _UNKNOWN:
            numbers = partial(_numbers, harness, direction, kind)
            what = f"not every unknown {kind.base} frame passes {direction}stream"
            await harness.wait_for(lambda numbers=numbers: len(numbers()) >= 5, 2.0, what)  # type: ignore[misc]
            if numbers() != list(range(5)):
                raise NonconformanceError(f"{kind.base} frames pass {direction}stream out of order")
    return "data, control and system frames, in order, in both directions"


def _numbers(harness: StageHarness, direction: str, kind: "type[_Unknown]") -> list[int]:
    frames: list[Frame] = harness.down if direction == "down" else harness.up
    return [frame.number for frame in frames if isinstance(frame, kind)]


class _Unknown:
    """A numbered frame of a type that no stage knows."""

    base = ""
    number: int


@dataclass
class _UnknownData(DataFrame, _Unknown):
    base = "data"
    number: int = 0


@dataclass
class _UnknownControl(ControlFrame, _Unknown):
    base = "control"
    number: int = 0


@dataclass
class _UnknownSystem(SystemFrame, _Unknown):
    base = "system"
    number: int = 0


_UNKNOWN = (_UnknownData, _UnknownControl, _UnknownSystem)


class _ScriptedCall:
    """A call with the turn taking under test, a scripted caller and scripted answers."""

    def __init__(self, taker: TurnTaker, *, answer_after_secs: float = 0.0) -> None:
        self._taker = taker
        self.records: list[TurnRecord] = []
        self.conversation = Conversation(kept=self.records.append)
        self.begin_secs = 0.0
        self._said_at = 0.0
        stages = (
            made(taker.make, self.conversation),
            Answers(answer_after_secs),
            TurnKeeper(self.conversation),
        )
        self.harness = StageHarness(*in_order(*stages))

    async def __aenter__(self) -> "_ScriptedCall":
        await self.harness.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.harness.__aexit__(*raised)  # type: ignore[arg-type]

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def turns(self) -> list[TurnFrame]:
        """The turns to answer, without those begun early."""
        return [frame for _, frame in self.harness.received(TurnFrame) if not frame.speculation]

    @property
    def interruptions(self) -> list[Frame]:
        return [frame for _, frame in self.harness.received(InterruptionFrame)]

    async def ask(self, text: str, *, secs: float = 0.8) -> None:
        """Say a whole turn."""
        await self.harness.push(*self._taker.begin())
        await self.speak(text, secs=secs)
        await self.harness.push(*self._taker.end())

    async def speak(self, text: str, *, secs: float = 0.8, finished: float = 0.95) -> None:
        """Push the frames of voice activity and a recogniser for one stretch of speech.

        Args:
            text: The words; empty for a noise.
            secs: The length of the speech.
            finished: The turn model's probability that the turn is over.
        """
        await self.harness.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(0.25)
        if text:
            await self.harness.push(InterimTranscriptionFrame(text, "caller", ""))
        await asyncio.sleep(secs - 0.25)
        await self.harness.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await self.harness.push(EndOfTurnFrame(probability=finished))
        await asyncio.sleep(0.1)
        self._said_at = self.now
        await self.harness.push(TranscriptionFrame(text, "caller", "", finalized=True))

    async def wait_for_turn(self, number: int) -> TurnFrame:
        """Wait for a turn's ``TurnFrame``."""

        def begun() -> TurnFrame | None:
            return next((turn for turn in self.turns if turn.turn == number), None)

        turn = await self.harness.wait_for(begun, TURN_SECS, f"no TurnFrame with number {number}")
        self.begin_secs = self.now - self._said_at
        return turn

    async def wait_for_audio(self) -> None:
        """Wait for half a second of the answer's audio."""
        before = len(self.harness.received(TTSAudioRawFrame))
        await self.harness.wait_for(
            lambda: len(self.harness.received(TTSAudioRawFrame)) > before + 25,
            TURN_SECS,
            "no answer",
        )

    async def wait_for_record(self, number: int) -> TurnRecord:
        """Wait for a turn's record."""
        try:
            async with asyncio.timeout(CLOSE_SECS):
                while not (kept := [record for record in self.records if record.number == number]):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            late = f"turn {number} has no record within {CLOSE_SECS:g} s"
            raise NonconformanceError(late) from None
        return kept[0]

    def check_kept_once(self) -> None:
        """Check that no turn has two records."""
        numbers = [record.number for record in self.records]
        if len(set(numbers)) != len(numbers):
            raise NonconformanceError(f"a turn has two records: {numbers}")


class Answers(FrameProcessor):
    """Answers each turn with two seconds of audio at real-time pace, unless interrupted.

    Parameters:
        after_secs: From a turn to its answer's first sound.
    """

    def __init__(self, after_secs: float = 0.0) -> None:
        super().__init__()
        self._after_secs = after_secs
        self._answering: asyncio.Task[None] | None = None
        self._sounding = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer turns, stop at interruptions, and pass everything on."""
        await super().process_frame(frame, direction)
        match frame:
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame() if not _is_own(frame):
                return  # The harness's, which counts audio as played at once.
            case InterruptionFrame() | EndFrame() | CancelFrame():
                await self._stop()
            case _:
                pass
        await self.push_frame(frame, direction)
        match frame:
            case InterruptionFrame() if direction is FrameDirection.DOWNSTREAM:
                await self._fall_silent()
            case TurnFrame(speculation=False):
                await self._stop()
                self._answering = self.create_task(self._answer(frame.turn), "answer")
            case _:
                pass

    async def cleanup(self) -> None:
        """Stop answering."""
        await super().cleanup()
        await self._stop()

    async def _answer(self, turn: int) -> None:
        context = f"answer-{turn}"
        sentence = SentenceFrame("She studied at Vassar and at Yale.", turn=turn)
        sentence.context_id = context
        await self.push_frame(LLMFullResponseStartFrame())
        await asyncio.sleep(self._after_secs)
        await self.push_frame(sentence)
        await self.push_frame(TTSStartedFrame(context_id=context))
        self._sounding = True
        await self._report(BotStartedSpeakingFrame())
        pcm = b"\1\0" * round(_CHUNK_SECS * OUTPUT_SAMPLE_RATE)
        for piece in range(round(_ANSWER_SECS / _CHUNK_SECS)):
            audio = TTSAudioRawFrame(pcm, OUTPUT_SAMPLE_RATE, 1, context_id=context)
            await self.push_frame(audio)
            if piece % 10 == 0:
                await self._report(BotSpeakingFrame())
            await asyncio.sleep(_CHUNK_SECS)
        await self.push_frame(TTSStoppedFrame(context_id=context))
        await self.push_frame(LLMFullResponseEndFrame())
        await self._fall_silent()

    async def _fall_silent(self) -> None:
        if self._sounding:
            self._sounding = False
            await self._report(BotStoppedSpeakingFrame())

    async def _report(self, frame: Frame) -> None:
        """Report the voice's state to turn taking from another task, as a transport does."""
        frame.metadata["answers"] = True
        await self.queue_frame(frame, FrameDirection.UPSTREAM)

    async def _stop(self) -> None:
        if self._answering is not None:
            answering, self._answering = self._answering, None
            await self.cancel_task(answering)


def _is_own(frame: Frame) -> bool:
    return "answers" in frame.metadata
