"""Sends a page everything besides the voice: captions, stages, decisions, turns."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from pipecat.frames.frames import (
    Frame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel

from conversation.frames import (
    CallerTextFrame,
    DecisionFrame,
    DuckFrame,
    FailoverFrame,
    SecondVoiceFrame,
    UnduckFrame,
)
from conversation.records import TurnRecord
from conversation.turns import Conversation
from transports.browser import messages
from transports.browser.page import Page, PageClosedError, PageStalledError

Ended = Callable[[str], None]
StageName = Literal["listening", "transcribing", "thinking", "speaking"]


class Announcer:
    """Sends the events of a call to its page; keeps no state of turns or money.

    If the page has gone or has stopped reading, the call ends; nothing is raised.

    Parameters:
        page: The page's socket.
        conversation: The call's turns.
        ended: Called with a reason when the page cannot be reached any more.
        stage_vendors: Name of each stage's vendor.
    """

    def __init__(
        self,
        page: Page,
        conversation: Conversation,
        *,
        ended: Ended,
        stage_vendors: Mapping[str, str],
    ) -> None:
        self._page = page
        self._conversation = conversation
        self._ended = ended
        self._stage_vendors = dict(stage_vendors)

    async def audio(self, chunk: bytes) -> None:
        """Send audio: PCM s16le, mono, 24 kHz."""
        await self._send(chunk)

    async def frame(self, frame: Frame) -> None:
        """Send the page the message of a frame, if it has one."""
        match frame:
            case CallerTextFrame():
                await self._caller_text(frame)
            case UserStartedSpeakingFrame():
                await self._send(rtvi.UserStartedSpeakingMessage())
                await self.stage("transcribing")
            case UserStoppedSpeakingFrame():
                await self._send(rtvi.UserStoppedSpeakingMessage())
            case DuckFrame():
                await self._send(messages.Duck(on=True))
            case UnduckFrame():
                await self._send(messages.Duck(on=False))
            case SecondVoiceFrame():
                await self._send(messages.SecondVoice())
            case DecisionFrame():
                await self._decision(frame)
            case FailoverFrame():
                await self._failover(frame)
            case _:
                pass

    async def sentence(
        self, turn: int, start: int, text: str, sections: tuple[str, ...], lines: tuple[int, ...]
    ) -> None:
        """Announce the sentence of the audio that follows, with its sources."""
        await self._send(
            messages.Sentence(
                turn=turn,
                epoch=self._conversation.playback.epoch,
                start=start,
                text=text,
                sections=list(sections),
                lines=list(lines),
            )
        )
        data = rtvi.BotOutputMessageData(
            text=text, output_type="sentence", will_be_spoken=True, spoken_status="new"
        )
        await self._send(rtvi.BotOutputMessage(data=data))

    async def voice_started(self) -> None:
        """Tell the page that the voice starts."""
        await self._send(rtvi.BotStartedSpeakingMessage())
        await self.stage("speaking")

    async def voice_stopped(self) -> None:
        """Tell the page that all of the voice has been played."""
        await self._send(rtvi.BotStoppedSpeakingMessage())
        await self.stage("listening")

    async def interrupted(self, *, voicing: bool) -> None:
        """Tell the page to drop what it has of the voice."""
        await self._send(rtvi.BotInterruptedMessage())
        if voicing:
            await self._send(rtvi.BotStoppedSpeakingMessage())

    async def rest(self) -> None:
        """Send what a codec holds back of the voice, which is complete."""
        await self._reach(self._page.send_rest())

    async def stage(self, stage: StageName) -> None:
        """Tell the page which stage is at work."""
        turn = self._conversation.turn
        await self._send(
            messages.Stage(
                stage=stage,
                turn=turn.number if turn else 0,
                vendor=self._stage_vendors.get(stage, ""),
            )
        )

    async def turn(self, record: TurnRecord | None) -> None:
        """Send the page the record of a turn that is over, if there is one."""
        if record is not None:
            await self._send(messages.Turn.from_record(record))
            await self.money()

    async def money(self) -> None:
        """Tell the page what the call has cost."""
        await self._send(messages.Cost.from_money(self._conversation.money))

    async def _caller_text(self, frame: CallerTextFrame) -> None:
        data = rtvi.UserTranscriptionMessageData(
            text=frame.text,
            user_id="caller",
            timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
            final=frame.final,
        )
        await self._send(rtvi.UserTranscriptionMessage(data=data))
        if frame.final:
            await self.stage("thinking")

    async def _failover(self, frame: FailoverFrame) -> None:
        for stage, vendor in self._stage_vendors.items():
            if vendor == frame.failed:
                self._stage_vendors[stage] = frame.vendor
        await self._send(
            messages.Failover(stage=frame.stage, failed=frame.failed, vendor=frame.vendor)
        )

    async def _decision(self, frame: DecisionFrame) -> None:
        turns = self._conversation.turns
        if not 1 <= frame.turn <= len(turns):
            return
        await self._send(
            messages.Decision(
                turn=frame.turn,
                question=turns[frame.turn - 1].question,
                decision=frame.decision,
                confidence=frame.confidence,
                sections=list(frame.sections),
                lines=list(frame.lines),
                answer=frame.text,
                reason=frame.reason,
                checks=[
                    messages.DecisionCheck(
                        name=check.name, passed=check.passed, detail=check.detail
                    )
                    for check in frame.checks
                ],
                brain=frame.brain,
                looked_up=[
                    messages.LookedUp(section=found.section, title=found.title, text=found.text)
                    for found in frame.looked_up
                ],
            )
        )

    async def _send(self, message: BaseModel | bytes) -> None:
        if isinstance(message, bytes):
            await self._reach(self._page.send_audio(message))
        elif isinstance(message, messages.Payload):
            await self._reach(self._page.send(message))
        else:
            await self._reach(self._page.send_rtvi(message))

    async def _reach(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except PageClosedError:
            self._ended("disconnected")
        except PageStalledError:
            self._ended("stalled")
