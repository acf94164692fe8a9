"""What turn taking must do, whoever sends an interruption and however a call ends.

Around the stage stand a script in place of caller, brain and voice, and Viva's own conversation and
turn keeper: what is looked at is what the ledger would have. There is no network and no engine
here, so the checks run in virtual time.
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
from evals.conformance.bench import Check
from evals.conformance.line import Line, NonconformanceError, NotApplicableError
from processors.contract import in_order
from processors.turns.contract import TurnTakingMaker
from processors.turns.keeper import TurnKeeper

QUESTION = "Where did she study mathematics?"
OTHER = "No, where did she work?"
FIRST_HALF, SECOND_HALF = "I would like to know", "where she studied."

TURN_SECS = 4.0
"""Longest wait for a turn after its last word."""

YIELD_SECS = 1.5
"""Longest that the voice may go on over a caller who speaks."""

CLOSE_SECS = 5.0
"""Longest until a turn is kept whose answer was played, or cut short."""

SETTLE_SECS = 4.0
"""How long is waited for what must not come."""

_CHUNK_SECS = 0.02
_ANSWER_SECS = 2.0


def _no_frames() -> Sequence[Frame]:
    return ()


@dataclass(frozen=True, slots=True)
class TurnTaker:
    """Turn taking to be checked.

    Parameters:
        name: Its name.
        make: Makes one call's.
        begin: The frames of a caller who begins a turn, ahead of their speech: a button pressed.
        end: Those of one who has finished: the button let go.
        judges: Whether it claims to tell a hesitation from the end of a turn.
    """

    name: str
    make: TurnTakingMaker
    begin: Callable[[], Sequence[Frame]] = _no_frames
    end: Callable[[], Sequence[Frame]] = _no_frames
    judges: bool = True


async def one_turn(taker: TurnTaker) -> str:
    """A question is one turn: begun once, answered, and closed when the answer was played."""
    async with _Scene(taker) as scene:
        await scene.ask(QUESTION)
        turn = await scene.turn(1)
        if turn.question.strip() != QUESTION:
            raise NonconformanceError(f"the turn's question is {turn.question!r}: {QUESTION!r} was")
        await scene.closed(1)
        await asyncio.sleep(SETTLE_SECS)
        if (turns := len(scene.turns)) != 1 or len(scene.conversation.turns) != 1:
            raise NonconformanceError(f"one question made {turns} TurnFrames")
        if len(scene.kept) != 1:
            raise NonconformanceError(f"one turn was kept {len(scene.kept)} times")
        for direction, frames in (("down", scene.line.down), ("up", scene.line.up)):
            if not any(isinstance(frame, UserStoppedSpeakingFrame) for frame in frames):
                raise NonconformanceError(f"no UserStoppedSpeakingFrame went {direction}stream")
        if not scene.line.of(UserStartedSpeakingFrame):
            raise NonconformanceError("no UserStartedSpeakingFrame")
    return f"begun {1000 * scene.took:.0f} ms after its transcript, closed once"


async def ends_here(taker: TurnTaker) -> str:
    """What only informs turn taking, voice activity and transcripts, goes no further."""
    kinds = (
        *(VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame, EndOfTurnFrame),
        *(InterimTranscriptionFrame, TranscriptionFrame),
    )
    async with _Scene(taker) as scene:
        await scene.ask(QUESTION)
        await scene.turn(1)
        passed = {type(frame).__name__ for _, frame in scene.line.of(*kinds)}
    if passed:
        raise NonconformanceError(f"it passes on {', '.join(sorted(passed))}")
    return "voice activity and transcripts end here"


async def passes_on(taker: TurnTaker) -> str:
    """What it does not know is passed on in order, in both directions."""
    async with _Scene(taker) as scene:
        return await passes_unknown(scene.line)


async def interrupted_by_another(taker: TurnTaker) -> str:
    """Whoever sends an interruption, its turn is closed once, and the next can be asked."""
    async with _Scene(taker) as scene:
        await scene.ask(QUESTION)
        await scene.sounding()
        before = len(scene.interruptions)
        await scene.line.push(InterruptionFrame())
        await scene.line.until(
            lambda: len(scene.interruptions) > before, 1.0, "it was not passed on"
        )
        record = await scene.closed(1)
        if not record.interrupted:
            raise NonconformanceError("the turn that was cut short is kept as if it were not")
        if (came := len(scene.interruptions) - before) != 1:
            raise NonconformanceError(f"one InterruptionFrame became {came}")
        await scene.ask(OTHER)
        await scene.turn(2)
        await scene.closed(2)
        scene.kept_once()
    return "kept once, as interrupted; the next turn was answered"


async def barge_in(taker: TurnTaker) -> str:
    """A caller who speaks over the voice stops it, by one interruption, and asks the next turn."""
    async with _Scene(taker) as scene:
        await scene.ask(QUESTION)
        await scene.sounding()
        before = len(scene.interruptions)
        began = scene.now
        speaking = asyncio.create_task(scene.ask(OTHER, secs=YIELD_SECS))
        try:
            await scene.line.until(
                lambda: len(scene.interruptions) > before, YIELD_SECS, "the voice did not yield"
            )
            took = scene.now - began
            await speaking
        finally:
            speaking.cancel()
        turn = await scene.turn(2)
        if OTHER not in turn.question:
            raise NonconformanceError(f"the next turn's question is {turn.question!r}")
        if (came := len(scene.interruptions) - before) != 1:
            raise NonconformanceError(f"one caller interrupted {came} times")
        record = await scene.closed(1)
        if not record.interrupted:
            raise NonconformanceError("the turn that was cut short is kept as if it were not")
        await scene.closed(2)
        scene.kept_once()
    return f"the voice yielded after {1000 * took:.0f} ms, by one interruption"


async def hesitation(taker: TurnTaker) -> str:
    """A caller who hesitates in mid-sentence is waited for."""
    if not taker.judges:
        raise NotApplicableError("it does not judge whether a turn is over")
    async with _Scene(taker) as scene:
        await scene.line.push(*taker.begin())
        await scene.speak(FIRST_HALF, finished=0.1)
        await asyncio.sleep(0.3)
        await scene.speak(SECOND_HALF)
        await scene.line.push(*taker.end())
        turn = await scene.turn(1)
        whole = f"{FIRST_HALF} {SECOND_HALF}"
        if turn.question.strip() != whole:
            raise NonconformanceError(f"{turn.question!r} was answered: {whole!r} was said")
        await scene.closed(1)
        if len(scene.turns) != 1:
            raise NonconformanceError(f"one question made {len(scene.turns)} TurnFrames")
    return "one turn, with what was said before and after a pause of 0.6 s"


async def no_words(taker: TurnTaker) -> str:
    """Speech without words, such as a cough, leaves no turn."""
    async with _Scene(taker) as scene:
        await scene.ask("")
        await asyncio.sleep(SETTLE_SECS)
        if scene.turns or scene.conversation.turns:
            raise NonconformanceError("a cough was taken for a question")
    return "no turn"


async def no_money(taker: TurnTaker) -> str:
    """What may not be paid for is not asked: the turn is closed unanswered."""
    async with _Scene(taker) as scene:
        scene.conversation.affordable = lambda: False
        await scene.ask(QUESTION)
        await asyncio.sleep(SETTLE_SECS)
        if any(isinstance(frame, TurnFrame) for frame in scene.line.down):
            raise NonconformanceError("it had a turn answered that may not be paid for")
        await scene.closed(1)
    return "closed unanswered"


async def last_words(taker: TurnTaker) -> str:
    """At the end of a call its last words are said, and nothing after them is answered."""
    async with _Scene(taker) as scene:
        await scene.line.push(EndCallFrame(reason="cap", last_words="Goodbye."))
        await scene.line.until(lambda: scene.line.of(EndCallFrame), 1.0, "no EndCallFrame")
        said = [
            frame.text if isinstance(frame, TTSSpeakFrame) else ""
            for frame in scene.line.down
            if isinstance(frame, (TTSSpeakFrame, EndCallFrame))
        ]
        if said != ["Goodbye.", ""]:
            raise NonconformanceError("the last words do not go ahead of the EndCallFrame")
        await scene.ask(QUESTION)
        await asyncio.sleep(SETTLE_SECS)
        if scene.turns:
            raise NonconformanceError("what was said after the last words was answered")
    return "said, and nothing was answered after them"


async def end_of_call(taker: TurnTaker) -> str:
    """However a call ends, the turn that is open is closed, and no task is left behind."""
    for end in (EndFrame, CancelFrame):
        async with _Scene(taker) as scene:
            await scene.ask(QUESTION)
            await scene.sounding()
            if end is EndFrame:
                await scene.line.push(EndFrame())
                await scene.line.until(lambda: scene.line.of(EndFrame), 2.0, "no EndFrame")
        if [record.number for record in scene.kept] != [1]:
            raise NonconformanceError(f"{end.__name__} left the open turn out of the records")
    return "the open turn is closed by EndFrame and by CancelFrame"


TURN_CHECKS: tuple[Check[TurnTaker], ...] = (
    Check("one turn", one_turn, 60.0, "blocks", "questions are not answered, or twice"),
    Check("ends here", ends_here, 60.0, "degrades", "later stages act on what is not theirs"),
    Check("passes on", passes_on, 60.0, "blocks", "frames of other stages are lost"),
    Check(
        "interrupted by another", interrupted_by_another, 60.0, "degrades",
        "the ledger lacks turns that others interrupt",
    ),
    Check("barge-in", barge_in, 60.0, "degrades", "callers cannot interrupt"),
    Check("hesitation", hesitation, 60.0, "degrades", "callers are answered in mid-sentence"),
    Check("no words", no_words, 60.0, "degrades", "noises are answered"),
    Check("no money", no_money, 60.0, "blocks", "a call spends more than it may"),
    Check("last words", last_words, 60.0, "degrades", "calls end without a word, or go on"),
    Check("end of the call", end_of_call, 60.0, "degrades", "the ledger lacks the last turn"),
)  # fmt: skip


async def passes_unknown(line: Line) -> str:
    """Check that frames which nobody knows come through a line in order, up and down."""
    downward = [kind(number) for number in range(5) for kind in _UNKNOWN]
    await line.push(*downward)
    await line.push_up(*(kind(number) for number in range(5) for kind in _UNKNOWN))
    for direction in ("down", "up"):
        for kind in _UNKNOWN:
            numbers = partial(_numbers, line, direction, kind)
            what = f"not every {kind.base} frame that it does not know goes {direction}stream"
            await line.until(lambda numbers=numbers: len(numbers()) >= 5, 2.0, what)  # type: ignore[misc]
            if numbers() != list(range(5)):
                raise NonconformanceError(f"{kind.base} frames go {direction}stream out of order")
    return "data, control and system frames, in order, in both directions"


def _numbers(line: Line, direction: str, kind: "type[_Unknown]") -> list[int]:
    frames: list[Frame] = line.down if direction == "down" else line.up
    return [frame.number for frame in frames if isinstance(frame, kind)]


class _Unknown:
    """A numbered frame that no stage can know."""

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


class _Scene:
    """One call of a turn taking, with a scripted caller in front and a scripted answer behind."""

    def __init__(self, taker: TurnTaker) -> None:
        self._taker = taker
        self.kept: list[TurnRecord] = []
        self.conversation = Conversation(kept=self.kept.append)
        self.took = 0.0
        self._said_at = 0.0
        stages = (
            taker.make(self.conversation),
            _Answers(),
            TurnKeeper(self.conversation),
        )
        self.line = Line(*in_order(*stages))

    async def __aenter__(self) -> "_Scene":
        await self.line.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.line.__aexit__(*raised)  # type: ignore[arg-type]

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def turns(self) -> list[TurnFrame]:
        """Those to be answered, not those that may be."""
        return [frame for _, frame in self.line.of(TurnFrame) if not frame.speculation]

    @property
    def interruptions(self) -> list[Frame]:
        return [frame for _, frame in self.line.of(InterruptionFrame)]

    async def ask(self, text: str, *, secs: float = 0.8) -> None:
        """Say a whole turn."""
        await self.line.push(*self._taker.begin())
        await self.speak(text, secs=secs)
        await self.line.push(*self._taker.end())

    async def speak(self, text: str, *, secs: float = 0.8, finished: float = 0.95) -> None:
        """Say something and fall silent, as voice activity and a recogniser tell of it."""
        await self.line.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(0.25)
        if text:
            await self.line.push(InterimTranscriptionFrame(text, "caller", ""))
        await asyncio.sleep(secs - 0.25)
        await self.line.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await self.line.push(EndOfTurnFrame(probability=finished))
        await asyncio.sleep(0.1)
        self._said_at = self.now
        await self.line.push(TranscriptionFrame(text, "caller", "", finalized=True))

    async def turn(self, number: int) -> TurnFrame:
        """Wait for a turn to begin."""

        def begun() -> TurnFrame | None:
            return next((turn for turn in self.turns if turn.turn == number), None)

        turn = await self.line.until(begun, TURN_SECS, f"no TurnFrame with number {number}")
        self.took = self.now - self._said_at
        return turn

    async def sounding(self) -> None:
        """Wait for the answer to sound."""
        before = len(self.line.of(TTSAudioRawFrame))
        await self.line.until(
            lambda: len(self.line.of(TTSAudioRawFrame)) > before + 25, TURN_SECS, "no TurnFrame"
        )

    async def closed(self, number: int) -> TurnRecord:
        """Wait for a turn's record."""
        try:
            async with asyncio.timeout(CLOSE_SECS):
                while not (kept := [record for record in self.kept if record.number == number]):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            late = f"turn {number} was not closed within {CLOSE_SECS:g} s"
            raise NonconformanceError(late) from None
        return kept[0]

    def kept_once(self) -> None:
        """Check that no turn has two records."""
        numbers = [record.number for record in self.kept]
        if len(set(numbers)) != len(numbers):
            raise NonconformanceError(f"a turn was closed twice: {numbers}")


class _Answers(FrameProcessor):
    """Answers every turn with two seconds of voice in real time, until it is interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self._answering: asyncio.Task[None] | None = None
        self._sounding = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame() if not _is_own(frame):
                return  # The line takes audio for played as soon as it has come.
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
        await super().cleanup()
        await self._stop()

    async def _answer(self, turn: int) -> None:
        context = f"answer-{turn}"
        sentence = SentenceFrame("She studied at Vassar and at Yale.", turn=turn)
        sentence.context_id = context
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(sentence)
        await self.push_frame(TTSStartedFrame(context_id=context))
        self._sounding = True
        await self._tell(BotStartedSpeakingFrame())
        pcm = b"\1\0" * round(_CHUNK_SECS * OUTPUT_SAMPLE_RATE)
        for piece in range(round(_ANSWER_SECS / _CHUNK_SECS)):
            audio = TTSAudioRawFrame(pcm, OUTPUT_SAMPLE_RATE, 1, context_id=context)
            await self.push_frame(audio)
            if piece % 10 == 0:
                await self._tell(BotSpeakingFrame())
            await asyncio.sleep(_CHUNK_SECS)
        await self.push_frame(TTSStoppedFrame(context_id=context))
        await self.push_frame(LLMFullResponseEndFrame())
        await self._fall_silent()

    async def _fall_silent(self) -> None:
        if self._sounding:
            self._sounding = False
            await self._tell(BotStoppedSpeakingFrame())

    async def _tell(self, frame: Frame) -> None:
        """Tell turn taking how the voice stands, from another task, as a transport does."""
        frame.metadata["answers"] = True
        await self.queue_frame(frame, FrameDirection.UPSTREAM)

    async def _stop(self) -> None:
        if self._answering is not None:
            answering, self._answering = self._answering, None
            await self.cancel_task(answering)


def _is_own(frame: Frame) -> bool:
    return "answers" in frame.metadata
