"""Deepgram's Flux as a pipecat service: a recogniser that also detects the end of the turn.

Built on Deepgram's SDK (``/v2/listen``) instead of pipecat's service for Flux. pipecat's does not
use the SDK, drops the audio of an outage, sends silence by its own clock, and does not detect a
stream that stays open without messages (https://github.com/pipecat-ai/pipecat/issues/5735).
:class:`~processors.stt.deepgram.connection.DeepgramConnection` handles all of this, as for Nova.

Messages: https://developers.deepgram.com/docs/flux/state and
https://developers.deepgram.com/docs/flux/configuration.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.listen.v2.types import ListenV2FatalError, ListenV2TurnInfo, ListenV2Warning
from loguru import logger
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    ProposedUserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.time import time_now_iso8601

from processors.stt.deepgram.connection import (
    SAMPLE_RATE,
    ConnectionTimes,
    Lost,
    keyterms_within_limit,
)
from processors.stt.deepgram.session import DeepgramService, bytes_of, now

MULTILINGUAL = "flux-general-multi"

# Flux has given the last word of some audio by the time it has processed this much more.
_SETTLED = bytes_of(0.3)
_LOOK_SECS = 0.1  # how often a lost turn's silence is looked at


class DeepgramFluxSTT(DeepgramService):
    """Transcribes one call with Flux, which also ends the caller's turns.

    Pushes downstream, each with Flux's message as ``result``:

    * ``InterimTranscriptionFrame`` with all words of the turn so far, some four times a second;
    * ``EagerTranscriptionFrame`` when Flux predicts the end of the turn (``EagerEndOfTurn``), and
      ``EagerEndOfTurnCancelFrame`` when the caller continues instead (``TurnResumed``);
    * at ``EndOfTurn``, a ``TranscriptionFrame`` and a ``ProposedUserStoppedSpeakingFrame``;
    * an empty ``TranscriptionFrame`` for speech that voice activity detected and Flux has no words
      for, or whose connection was lost after its first words.
    """

    def __init__(
        self,
        *,
        client: AsyncDeepgramClient,
        model: str = "flux-general-en",
        language: str = "en",
        keyterms: Sequence[str] = (),
        eot_threshold: float = 0.7,
        eager_eot_threshold: float | None = None,
        eot_timeout_ms: int = 5000,
        times: ConnectionTimes | None = None,
        name: str | None = None,
    ) -> None:
        """Create the recogniser of one call.

        Args:
            client: From :func:`processors.stt.deepgram.connection.create_client`.
            model: The Flux model.
            language: A BCP-47 tag, or "multi"; a hint to the multilingual model.
            keyterms: Names that callers may say, the most useful first; see
                :func:`~processors.stt.deepgram.connection.keyterms_within_limit`.
            eot_threshold: Confidence from which the turn is over, 0.5 to 1.
            eager_eot_threshold: Confidence from which the end of the turn is predicted, 0.3 to 0.9
                and at most ``eot_threshold``; ``None`` for no predictions.
            eot_timeout_ms: Silence after which the turn is over in any case, 500 to 60000.
            times: The connection's timeouts and waits.
            name: pipecat's name for the processor.

        Raises:
            ValueError: An argument is out of range.
        """
        if not 0.5 <= eot_threshold <= 1:
            raise ValueError(f"eot_threshold is {eot_threshold}: it must be 0.5 to 1")
        if eager_eot_threshold is not None and not (
            0.3 <= eager_eot_threshold <= min(0.9, eot_threshold)
        ):
            raise ValueError(
                f"eager_eot_threshold is {eager_eot_threshold}: it must be 0.3 to 0.9 and at most "
                f"eot_threshold={eot_threshold}"
            )
        if not 500 <= eot_timeout_ms <= 60_000:
            raise ValueError(f"eot_timeout_ms is {eot_timeout_ms}: it must be 500 to 60000")
        query: dict[str, Any] = {
            "model": model,
            "encoding": "linear16",
            "sample_rate": str(SAMPLE_RATE),
            "eot_threshold": f"{eot_threshold:g}",
            "eot_timeout_ms": str(eot_timeout_ms),
        }
        if eager_eot_threshold is not None:
            query["eager_eot_threshold"] = f"{eager_eot_threshold:g}"
        if kept := keyterms_within_limit(keyterms):
            query["keyterm"] = list(kept)
        if model == MULTILINGUAL and language != "multi":
            query["language_hint"] = [language.partition("-")[0]]
        super().__init__(
            client=client,
            query=query,
            version="v2",
            language=language,
            times=times or ConnectionTimes(),
            name=name,
        )
        self._forget_secs = (times or ConnectionTimes()).forget
        self._vad_speaking = False
        self._awaiting = False  # whether speech has ended without any words
        self._speech_ended = 0  # position in the audio, in bytes
        self._speech_ended_at = 0.0  # on the event loop's clock
        self._lost_turn: asyncio.Task[None] | None = None
        self._dropped = False  # whether a turn's words were given up
        self._turn_ended = 0  # position in the audio, in bytes
        self._turn = ""  # words of the turn so far
        self._predicted = False  # whether the end of this turn was predicted

    async def _on_speech_frame(self, frame: Frame) -> None:
        match frame:
            case VADUserStartedSpeakingFrame():
                self._vad_speaking = True
                unheard = self._dropped or self._awaiting
                if unheard and now() - self._speech_ended_at >= self._forget_secs:
                    self._connection.discard_audio()
                self._awaiting = self._dropped = False
                self._connection.expect_words(True)
            case VADUserStoppedSpeakingFrame():
                self._vad_speaking = False
                self._speech_ended = self._connection.untranscribed.end
                self._speech_ended_at = now()
                over = self._turn_ended >= self._speech_ended - _SETTLED
                self._awaiting = not (over or self._turn)
                self._connection.expect_words(not over)

    async def _on_message(self, event: Any) -> None:
        match event:
            case ListenV2TurnInfo():
                await self._turn_info(event)
            case ListenV2FatalError():
                # Deepgram closes after it, and DeepgramConnection reconnects.
                await self.push_error(
                    f"Deepgram reports {event.code}: {str(event.description)[:200]}"
                )
            case ListenV2Warning():
                logger.warning(f"{self}: Deepgram warns: {event.code}: {event.description}")

    async def _on_connected(self) -> None:
        await self._end_lost_turn()
        self._turn = ""
        await self._cancel_prediction()
        await super()._on_connected()

    async def _on_lost(self, lost: Lost) -> None:
        await super()._on_lost(lost)
        if self._turn and self._lost_turn is None:
            self._lost_turn = self.create_task(self._drop_turn(), "lost turn")

    async def cleanup(self) -> None:
        """Disconnect and cancel the processor's tasks."""
        await super().cleanup()
        await self._end_lost_turn()

    async def _end_lost_turn(self) -> None:
        task, self._lost_turn = self._lost_turn, None
        if task is not None:
            await self.cancel_task(task)

    async def _drop_turn(self) -> None:
        """Give up the words of a turn while the connection is lost: they are only its beginning.

        The caller is told that they were not understood, and what they say next is heard alone.
        """
        while self._vad_speaking or now() - self._speech_ended_at < self._forget_secs:
            await asyncio.sleep(_LOOK_SECS)
        self._turn = ""
        self._dropped = True
        await self._cancel_prediction()
        await self._push_final("", finalized=True, result=None)

    async def _turn_info(self, message: ListenV2TurnInfo) -> None:
        text = message.transcript.strip()
        upto = self._connection.origin + bytes_of(message.audio_window_end)
        if message.event == "EndOfTurn":
            await self._end_of_turn(text, upto, message)
            return
        if message.event == "TurnResumed":
            await self._cancel_prediction()
        if text and not self._turn:
            self._awaiting = False
            self._connection.expect_words(True)
        if text != self._turn:
            self._turn = text
            if text and message.event != "EagerEndOfTurn":
                await self._push_interim(text, result=message)
        if message.event == "EagerEndOfTurn":
            self._predicted = True
            await self.push_frame(
                EagerTranscriptionFrame(
                    text,
                    self._user_id,
                    time_now_iso8601(),
                    self._spoken_language,
                    result=message,
                )
            )
        elif not text and self._awaiting and upto >= self._speech_ended + _SETTLED:
            await self._without_words(message)

    async def _end_of_turn(self, text: str, upto: int, message: ListenV2TurnInfo) -> None:
        self._turn, self._turn_ended = "", upto
        self._predicted = False
        self._connection.untranscribed.mark_transcribed(upto)
        if not text:
            await self._without_words(message)
            return
        self._awaiting = False
        self._connection.expect_words(self._vad_speaking)
        await self._push_final(text, finalized=True, result=message)
        await self.push_frame(ProposedUserStoppedSpeakingFrame())

    async def _without_words(self, message: ListenV2TurnInfo) -> None:
        if self._awaiting:
            self._awaiting = False
            self._connection.expect_words(self._vad_speaking)
            await self._push_final("", finalized=True, result=message)

    async def _cancel_prediction(self) -> None:
        if self._predicted:
            self._predicted = False
            await self.push_frame(EagerEndOfTurnCancelFrame())
