"""What becomes of a turn between the voice and the transport, reported to the conversation."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import DecisionFrame, FailoverFrame, SentenceFrame, shown_text
from conversation.turns import OUTPUT_SAMPLE_RATE, Conversation
from processors.audio import forward_audio


class TurnKeeper(FrameProcessor):
    """Stands between the voice and the transport, so that no transport has to keep books.

    It reports to the conversation what was decided and used, and every ``InterruptionFrame``,
    whoever sent it; and it stops the sentences and the audio of turns that are stale. Everything
    else passes.

    Where the transport does not report what it plays
    (:attr:`~conversation.turns.Conversation.playback_is_reported`), audio is taken to be played in
    real time from the moment at which it passes: an answer was heard so far as its audio would have
    been played, and its turn closes when all of it would have been. Of such a transport nothing is
    asked but what pipecat's transports do: to play, and to push ``BotStartedSpeakingFrame``,
    ``BotSpeakingFrame`` and ``BotStoppedSpeakingFrame`` upstream for turn taking.

    It runs in direct mode: no frame waits here, and audio passes by a plain call.

    Parameters:
        conversation: The call's turns.
    """

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation
        self._turn_of: dict[str, int] = {}  # the turn that each audio context answers
        self._turn = 0  # that of the sentence whose voice is coming
        self._open = True  # audio may be of a live answer
        self._answering = False  # more sentences of the answer are to come
        self._flowing = False  # more audio of the utterance is to come
        self._said: tuple[int, str, str] | None = None  # a sentence of which no audio has come
        self._closing: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report a frame, and pass it on unless it is of a stale turn."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self._interrupted(frame)
        elif direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
            return
        match frame:
            case TTSAudioRawFrame():
                await self.take_audio(frame)
                return
            case AggregatedTextFrame() if not self._announced(frame):
                return
            case TTSStartedFrame():
                self._open = not self._is_stale(frame.context_id)
                self._flowing = True
            case LLMFullResponseStartFrame():
                self._answering = True
            case DecisionFrame():
                self._conversation.decided(frame)
            case FailoverFrame():
                self._conversation.failed_over(frame)
            case MetricsFrame():
                self._conversation.metrics(frame)
            case _:
                pass
        await self.push_frame(frame, direction)
        if not self._conversation.playback_is_reported:
            await self._reckon(frame)

    async def cleanup(self) -> None:
        """Stop waiting."""
        await super().cleanup()
        await self._stop_closing()

    def take_audio(self, frame: TTSAudioRawFrame) -> Coroutine[Any, Any, None]:
        """Hand a piece of the voice to the transport, if it is of a live answer."""
        if not self._open or self._is_stale(frame.context_id):
            return _drop()
        self._conversation.audio_came(self._turn)
        if not self._conversation.playback_is_reported:
            samples = len(frame.audio) // (2 * frame.num_channels)
            self._conversation.sent(samples * OUTPUT_SAMPLE_RATE // frame.sample_rate)
            self._said = None
        return forward_audio(self, frame)

    def _announced(self, frame: AggregatedTextFrame) -> bool:
        """Note which turn the audio that follows answers; whether it is a live one."""
        if isinstance(frame, TTSTextFrame):  # a word
            if frame.pts is not None and not self._conversation.playback_is_reported:
                self._conversation.playback.word(frame.text.strip())
            return True
        turn = frame.turn if isinstance(frame, SentenceFrame) else 0
        if frame.context_id:
            self._turn_of[frame.context_id] = turn
        if self._conversation.is_stale(turn):
            return False
        self._turn = turn
        said = (turn, shown_text(frame), frame.text.strip())
        if not self._conversation.playback_is_reported and said != self._said:
            self._said = said  # a voice that takes over announces it once more
            self._conversation.playback.begin_sentence(*said)
        return True

    def _is_stale(self, context: str | None) -> bool:
        return self._conversation.is_stale(self._turn_of.get(context or "", 0))

    def _interrupted(self, frame: InterruptionFrame) -> None:
        self._conversation.interrupted(frame)
        self._open = self._flowing = self._answering = False
        self._turn = 0

    # For a transport that does not say what it plays.

    async def _reckon(self, frame: Frame) -> None:
        match frame:
            case InterruptionFrame():
                await self._stop_closing()
                self._conversation.drop_unplayed()
            case TTSStoppedFrame():
                self._flowing = False
                self._close_when_played()
            case LLMFullResponseEndFrame():
                self._answering = False
                await self._end_answer()
            case EndFrame() | CancelFrame():
                await self._stop_closing()
                self._conversation.cut_off(voicing=self._unplayed_secs > 0)
            case _:
                pass

    @property
    def _unplayed_secs(self) -> float:
        return self._conversation.playback.remaining_secs(self._conversation.clock())

    async def _end_answer(self) -> None:
        """An answer that made no sound must not leave the caller waiting."""
        if not self._flowing and not self._unplayed_secs and self._conversation.is_silent():
            self._conversation.voice_stopped()
            await self.push_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)
        else:
            self._close_when_played()

    def _close_when_played(self) -> None:
        if self._closing is None and not self._flowing and not self._answering:
            self._closing = self.create_task(self._close_played())

    async def _close_played(self) -> None:
        while (wait := self._unplayed_secs) > 0:
            await asyncio.sleep(wait)
        self._closing = None
        if not self._flowing and not self._answering:
            self._conversation.close_heard()

    async def _stop_closing(self) -> None:
        if self._closing is not None:
            closing, self._closing = self._closing, None
            await self.cancel_task(closing)


async def _drop() -> None:
    """Nothing of a stale turn goes on."""
