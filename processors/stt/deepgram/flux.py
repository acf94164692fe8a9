"""Deepgram's Flux in the chain: a recogniser that says itself when the caller's turn is over.

Built on Deepgram's SDK (``/v2/listen``). pipecat has a service for Flux, too. It throws away the
audio of a connection that is down, sends silence by a clock of its own, has no answer to a stream
that stays open and says nothing (https://github.com/pipecat-ai/pipecat/issues/5735), and takes the
place of the SDK. :class:`~processors.stt.deepgram.connection.DeepgramLine` does all of that, as for
Nova.

The messages: https://developers.deepgram.com/docs/flux/state and
https://developers.deepgram.com/docs/flux/configuration.
"""

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

from processors.stt.deepgram.connection import SAMPLE_RATE, LineTimes, keyterms_within_limit
from processors.stt.deepgram.session import DeepgramService, bytes_of

MULTILINGUAL = "flux-general-multi"

# A word that was the last of the audio is known by then, if there was one.
_SETTLED = bytes_of(0.3)


class DeepgramFluxSTT(DeepgramService):
    """Transcribes one call with Flux, which ends its turns.

    Downstream go ``InterimTranscriptionFrame`` with all words of the turn so far, some four times
    a second; ``EagerTranscriptionFrame`` when Flux expects the turn to end there
    (``EagerEndOfTurn``), and ``EagerEndOfTurnCancelFrame`` when it does not after all
    (``TurnResumed``); at ``EndOfTurn`` one ``TranscriptionFrame`` and
    ``ProposedUserStoppedSpeakingFrame``. Speech that voice activity has heard and Flux has no word
    for is a ``TranscriptionFrame`` without text. ``result`` is Flux's own message.
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
        times: LineTimes | None = None,
        name: str | None = None,
    ) -> None:
        """Listen to one call.

        Args:
            client: From :func:`processors.stt.deepgram.connection.connect_to`.
            model: Flux's model.
            language: What is spoken; a hint to the model for several languages.
            keyterms: Names that may be said, the most useful first; see
                :func:`~processors.stt.deepgram.connection.keyterms_within_limit`.
            eot_threshold: Confidence from which a turn is over, 0.5 to 1.
            eager_eot_threshold: Confidence from which its end is foretold, 0.3 to 0.9 and at most
                ``eot_threshold``; ``None`` for never.
            eot_timeout_ms: Silence after which it is over in any case, 500 to 60000.
            times: The connection's waits.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A number is out of its range.
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
            times=times or LineTimes(),
            name=name,
        )
        self._vad_speaking = False
        self._awaiting = False  # speech has ended for which there is no word yet
        self._speech_ended = 0  # where in the audio, in bytes
        self._turn_ended = 0
        self._turn = ""  # the words of the turn so far
        self._foretold = False

    async def _follow(self, frame: Frame) -> None:
        match frame:
            case VADUserStartedSpeakingFrame():
                self._vad_speaking = True
                self._awaiting = False
                self._line.expect(True)
            case VADUserStoppedSpeakingFrame():
                self._vad_speaking = False
                self._speech_ended = self._line.untranscribed.end
                over = self._turn_ended >= self._speech_ended - _SETTLED
                self._awaiting = not (over or self._turn)
                self._line.expect(not over)

    async def _heard(self, event: Any) -> None:
        match event:
            case ListenV2TurnInfo():
                await self._turn_info(event)
            case ListenV2FatalError():
                # The connection ends with it, and the line makes another.
                await self.push_error(
                    f"Deepgram reports {event.code}: {str(event.description)[:200]}"
                )
            case ListenV2Warning():
                logger.warning(f"{self}: Deepgram warns: {event.code}: {event.description}")

    async def _connected(self) -> None:
        self._turn = ""
        await self._withdraw()
        await super()._connected()

    async def _turn_info(self, told: ListenV2TurnInfo) -> None:
        text = told.transcript.strip()
        upto = self._line.origin + bytes_of(told.audio_window_end)
        if told.event == "EndOfTurn":
            await self._end_of_turn(text, upto, told)
            return
        if told.event == "TurnResumed":
            await self._withdraw()
        if text and not self._turn:
            self._awaiting = False
            self._line.expect(True)
        if text != self._turn:
            self._turn = text
            if text and told.event != "EagerEndOfTurn":
                await self._guess(text, result=told)
        if told.event == "EagerEndOfTurn":
            self._foretold = True
            await self.push_frame(
                EagerTranscriptionFrame(
                    text,
                    self._user_id,
                    time_now_iso8601(),
                    self._spoken_language,
                    result=told,
                )
            )
        elif not text and self._awaiting and upto >= self._speech_ended + _SETTLED:
            await self._without_words(told)

    async def _end_of_turn(self, text: str, upto: int, told: ListenV2TurnInfo) -> None:
        self._turn, self._turn_ended = "", upto
        self._foretold = False
        self._line.untranscribed.heard(upto)
        if not text:
            await self._without_words(told)
            return
        self._awaiting = False
        self._line.expect(self._vad_speaking)
        await self._final(text, finalized=True, result=told)
        await self.push_frame(ProposedUserStoppedSpeakingFrame())

    async def _without_words(self, told: ListenV2TurnInfo) -> None:
        if self._awaiting:
            self._awaiting = False
            self._line.expect(self._vad_speaking)
            await self._final("", finalized=True, result=told)

    async def _withdraw(self) -> None:
        if self._foretold:
            self._foretold = False
            await self.push_frame(EagerEndOfTurnCancelFrame())
