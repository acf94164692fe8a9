"""Reports to the conversation what passes between the voice and the transport."""

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
    """Tracks each turn between the voice and the transport, so that transports need not.

    Reports decisions, usage and every ``InterruptionFrame`` to the conversation, drops the
    sentences and audio of stale turns, and passes everything else on.

    If the transport does not report playback
    (:attr:`~conversation.turns.Conversation.playback_is_reported`), audio counts as played in real
    time from when it passes: an answer was heard as far as its audio would have been played, and
    its turn closes when all of it would have been. Such a transport needs to do no more than
    pipecat's do: play audio, and push ``BotStartedSpeakingFrame``, ``BotSpeakingFrame`` and
    ``BotStoppedSpeakingFrame`` upstream for turn taking.

    Runs in direct mode: no frame is queued, and audio passes by a plain call.

    Parameters:
        conversation: The call's turns.
    """

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation
        self._turn_of: dict[str, int] = {}  # by audio context
        self._turn = 0  # turn of the sentence whose audio is arriving
        self._open = True  # whether audio may belong to an answer that is not stale
        self._answering = False  # whether the answer has more sentences to come
        self._flowing = False  # whether the utterance has more audio to come
        self._announced: tuple[int, str, str] | None = None  # the sentence without audio so far
        self._closing: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report a frame, and pass it on unless it belongs to a stale turn."""
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
            case AggregatedTextFrame() if not self._track_text(frame):
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
            await self._estimate_playback(frame)

    async def cleanup(self) -> None:
        """Cancel the processor's task."""
        await super().cleanup()
        await self._cancel_closing()

    def take_audio(self, frame: TTSAudioRawFrame) -> Coroutine[Any, Any, None]:
        """Forward a piece of the voice's audio, unless it belongs to a stale turn."""
        if not self._open or self._is_stale(frame.context_id):
            return _discard()
        self._conversation.audio_came(self._turn)
        if not self._conversation.playback_is_reported:
            samples = len(frame.audio) // (2 * frame.num_channels)
            self._conversation.sent(samples * OUTPUT_SAMPLE_RATE // frame.sample_rate)
            self._announced = None
        return forward_audio(self, frame)

    def _track_text(self, frame: AggregatedTextFrame) -> bool:
        """Note the turn of the audio that follows; return whether to pass the frame on."""
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
        sentence = (turn, shown_text(frame), frame.text.strip())
        # After a failover, the next voice announces the same sentence again.
        if not self._conversation.playback_is_reported and sentence != self._announced:
            self._announced = sentence
            self._conversation.playback.begin_sentence(*sentence)
        return True

    def _is_stale(self, context: str | None) -> bool:
        return self._conversation.is_stale(self._turn_of.get(context or "", 0))

    def _interrupted(self, frame: InterruptionFrame) -> None:
        self._conversation.interrupted(frame)
        self._open = self._flowing = self._answering = False
        self._turn = 0

    # For transports that do not report playback.

    async def _estimate_playback(self, frame: Frame) -> None:
        match frame:
            case InterruptionFrame():
                await self._cancel_closing()
                self._conversation.drop_unplayed()
            case TTSStoppedFrame():
                self._flowing = False
                self._close_when_played()
            case LLMFullResponseEndFrame():
                self._answering = False
                await self._end_answer()
            case EndFrame() | CancelFrame():
                await self._cancel_closing()
                self._conversation.cut_off(voicing=self._unplayed_secs > 0)
            case _:
                pass

    @property
    def _unplayed_secs(self) -> float:
        return self._conversation.playback.remaining_secs(self._conversation.clock())

    async def _end_answer(self) -> None:
        """Close the turn after its audio; at once, if the answer had none."""
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

    async def _cancel_closing(self) -> None:
        if self._closing is not None:
            closing, self._closing = self._closing, None
            await self.cancel_task(closing)


async def _discard() -> None:
    """Take the place of :func:`forward_audio` for audio of a stale turn."""
