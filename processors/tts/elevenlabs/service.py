"""ElevenLabs as a pipecat service: each answer is a context of the multi-context WebSocket.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

import asyncio
import binascii
import json
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import Frame
from pipecat.utils.errors import ErrorCategory
from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from processors.tts.elevenlabs.connection import ElevenLabsConnection
from processors.tts.elevenlabs.errors import category_of
from processors.tts.elevenlabs.messages import Message, check_voice
from processors.tts.speech_timeline import SpeechTimeline, TimedSentence
from processors.tts.timed_speech import TimedSpeech

SAMPLE_RATE = 24_000
CLOSE_WAIT_SECS = 0.25
"""Maximum wait of an interruption for its ``close_context`` to be sent."""


@dataclass(slots=True)
class _Speech:
    """One answer or prompt.

    Parameters:
        context_id: Its id, here and at the vendor.
        timeline: Its sentences and their audio.
        unsent: Sentences not sent on the current connection.
        opened: Whether its context was opened on the current connection.
        ended: Whether it has no more sentences to come.
        closing: Whether the vendor was told so on the current connection.
        waits_since: Since when audio is outstanding; ``None`` if none is.
        failures: How often the vendor failed to speak it.
    """

    context_id: str
    timeline: SpeechTimeline
    unsent: list[TimedSentence]
    opened: bool = False
    ended: bool = False
    closing: bool = False
    waits_since: float | None = None
    failures: int = 0

    def restart(self) -> None:
        """Prepare to send the unspoken sentences in a new context."""
        self.unsent = list(self.timeline.restart())
        self.opened = self.closing = False


class ElevenLabsTTS(TimedSpeech, ElevenLabsConnection):
    """Speaks over ElevenLabs' multi-context WebSocket, in one context per answer.

    Sends each ``SentenceFrame`` as it arrives, so the voice starts before the answer is complete,
    and the vendor still knows the preceding sentences. See :class:`TimedSpeech` for the frames
    pushed downstream.

    A ``TTSSpeakFrame`` is a context of its own. An interruption closes the contexts at the vendor,
    and none of their audio follows. When the connection drops, it is renewed, and the sentences
    whose audio had not started are sent again: none is spoken twice, none is left out.

    A refusal (key, quota, voice), and ``stall_secs`` without outstanding audio, make the service
    unusable (``is_usable``, ``on_usable_changed``); ``unspoken`` and ``hand_over`` give another
    voice the rest. After other errors, which are reported upstream, it recovers.
    """

    def __init__(
        self,
        *,
        api_key: str,
        voice_id: str,
        model: str = "eleven_flash_v2_5",
        url: str = "wss://api.elevenlabs.io",
        voice_settings: Mapping[str, float | bool] | None = None,
        language: str | None = None,
        pronunciations: Mapping[str, str] | None = None,
        trim_leading_silence: bool = True,
        stall_secs: float = 3.0,
        stall_retries: int = 0,
        connect_timeout_secs: float = 5.0,
        close_timeout_secs: float = 1.0,
        reconnect_wait_secs: float = 0.25,
        keepalive_secs: float = 10.0,
        inactivity_timeout_secs: int = 60,
        context_idle_secs: float = 10.0,
        name: str | None = None,
    ) -> None:
        """Create the voice of one call.

        Args:
            api_key: The vendor's key.
            voice_id: The vendor's id of the voice.
            model: The vendor's id of the model.
            url: The vendor's address: ``wss://``, ``ws://``, ``https://`` or ``http://``.
            voice_settings: ``stability``, ``similarity_boost``, ``style`` (0 to 1), ``speed`` (0.7
                to 1.2), ``use_speaker_boost``; by default those of the voice.
            language: ISO 639-1 code that restricts the model to a language.
            pronunciations: Words and their IPA; only ``eleven_flash_v2`` and ``eleven_turbo_v2``
                support them.
            trim_leading_silence: Remove the silence before an answer's first audible sample.
            stall_secs: How long outstanding audio may be missing before the vendor has failed.
            stall_retries: Retries on a new connection before the service becomes unusable.
            connect_timeout_secs: Timeout of the handshake.
            close_timeout_secs: Timeout of the closing handshake.
            reconnect_wait_secs: Delay between attempts to reconnect; the first is immediate.
            keepalive_secs: Interval of keepalive messages.
            inactivity_timeout_secs: When the vendor closes a context without messages, 1 to 180.
            context_idle_secs: An answer without a next sentence or end for this long is stopped
                downstream; a later sentence starts it again.
            name: pipecat's name for the processor.

        Raises:
            ValueError: An argument is invalid; the message names it.
        """
        check_voice(voice_id, voice_settings or {})
        super().__init__(
            name=name,
            api_key=api_key,
            url=url,
            connect_timeout_secs=connect_timeout_secs,
            close_timeout_secs=close_timeout_secs,
            reconnect_wait_secs=reconnect_wait_secs,
            keepalive_secs=keepalive_secs,
            inactivity_timeout_secs=inactivity_timeout_secs,
            sample_rate=SAMPLE_RATE,
            auto_mode=True,
            stop_frame_timeout_s=context_idle_secs,
            # Silent contexts are detected by stall_secs instead.
            max_consecutive_zero_audio_contexts=0,
            settings=self.Settings(
                voice=voice_id,
                model=model,
                language=language,
                **dict[str, Any](voice_settings or {}),
            ),
            text_transforms=[("*", self.pronunciation_transform_ipa(pronunciations))]
            if pronunciations
            else None,
        )
        # Each context has its own state, so the next answer need not wait for this one's audio.
        self._pause_frame_processing = False
        self._push_stop_frames = True
        self._trim = trim_leading_silence
        self._stall_secs = stall_secs
        self._stall_retries = stall_retries
        self._speeches: dict[str, _Speech] = {}
        self._sending = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    # Requests.

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Send a sentence or prompt.

        Args:
            text: The text, with pronunciations inserted.
            context_id: The context of its answer.
        """
        frame, self._announcing = self._announcing, None
        if frame is None:
            return
        speech = self._speeches.get(context_id)
        if speech is None:
            timeline = SpeechTimeline(sample_rate=self.sample_rate, trim_leading_silence=self._trim)
            speech = self._speeches[context_id] = _Speech(context_id, timeline, [])
        sentence = TimedSentence(frame, text)
        speech.timeline.add(sentence)
        speech.unsent.append(sentence)
        if self._receive_task is None or self._receive_task.done():
            await self._connect()
        await self._send(speech)
        await self.start_tts_usage_metrics(text)
        self._expect_audio(speech)
        yield None

    async def on_turn_context_completed(self) -> None:
        """Tell the vendor that the answer is complete."""
        speech = self._speeches.get(str(self._turn_context_id))
        self._turn_context_id = None
        if speech is not None:
            speech.ended = True
            await self._send(speech)
            self._expect_audio(speech)

    async def _interrupt_audio_contexts(self) -> None:
        """Drop the contexts first, so that audio that still arrives for them is ignored."""
        kept = {key for key, context in self._tts_contexts.items() if not context.interruptible}
        dropped = [speech for key, speech in self._speeches.items() if key not in kept]
        for speech in dropped:
            del self._speeches[speech.context_id]
        await super()._interrupt_audio_contexts()
        for speech in dropped:
            if speech.opened and not speech.closing:
                await self._close_context(speech.context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Drop the context's state; ``_interrupt_audio_contexts`` closes it at the vendor."""
        self._begun.discard(context_id)

    # Sending.

    async def _send(self, speech: _Speech) -> None:
        """Send what the current connection has not been sent; without one, :meth:`resume` does."""
        async with self._sending:
            try:
                while speech.unsent:
                    if not speech.opened:
                        await self._send_message(speech, text=" ", **self._context_settings())
                        speech.opened = True
                    await self._send_message(speech, text=speech.unsent[0].text.rstrip() + " ")
                    del speech.unsent[0]
                if speech.ended and speech.opened and not speech.closing:
                    await self._send_message(speech, flush=True)
                    await self._send_message(speech, close_context=True)
                    speech.closing = True
            except ConnectionClosed:
                return  # The receiving task notices it, too, and reconnects.

    def _context_settings(self) -> dict[str, Any]:
        return {"voice_settings": self._voice_settings} if self._voice_settings else {}

    async def _send_message(self, speech: _Speech, **message: Any) -> None:
        if self._websocket is None:
            raise ConnectionClosed(None, None)
        await self._websocket.send(json.dumps({**message, "context_id": speech.context_id}))

    async def _close_context(self, context_id: str) -> None:
        try:
            if self._websocket is not None:
                async with asyncio.timeout(CLOSE_WAIT_SECS):
                    message = {"context_id": context_id, "close_context": True}
                    await self._websocket.send(json.dumps(message))
        except (ConnectionClosed, TimeoutError):
            pass  # The contexts ended with the connection.

    async def _send_keepalive(self) -> None:
        open_contexts = [s.context_id for s in self._speeches.values() if s.opened]
        if self._websocket is not None and self._websocket.state is State.OPEN:
            for context_id in open_contexts:
                await self._websocket.send(json.dumps({"text": "", "context_id": context_id}))
            if not open_contexts:
                await self._websocket.send(json.dumps({"text": ""}))

    # Receiving.

    async def _receive_messages(self) -> None:
        try:
            async for message in self._get_websocket():
                try:
                    await self._handle(Message.model_validate_json(message))
                except (ValidationError, binascii.Error):
                    await self.push_error(
                        "ElevenLabs sent a malformed message", category=ErrorCategory.SERVER
                    )
        except ConnectionClosed as closed:
            if closed.rcvd is not None and (category := category_of("", closed.rcvd.reason)):
                await self._refused(closed.rcvd.reason, category)
            raise

    async def _handle(self, message: Message) -> None:
        if message.error or (message.message and not message.audio):
            if category := category_of(message.error or "", message.message or ""):
                await self._refused(f"{message.error}: {message.message}", category)
            elif message.error != "input_timeout_exceeded":
                error = f"ElevenLabs: {message.error}: {message.message}"
                await self.push_error(error, category=ErrorCategory.SERVER)
            return
        speech = self._speeches.get(message.context_id or "")
        if speech is None:
            return
        if message.alignment:
            begin_secs = [ms / 1000 for ms in message.alignment.begin_ms or ()]
            speech.timeline.align(message.alignment.chars or (), begin_secs)
        if message.audio:
            speech.waits_since = asyncio.get_running_loop().time()
            pcm = b64decode(message.audio, validate=True)
            await self.play(speech.context_id, speech.timeline.add_audio(pcm))
            self._expect_audio(speech)
        if message.is_final:
            await self._context_closed(speech)

    async def _context_closed(self, speech: _Speech) -> None:
        unspoken = "".join(s.text for s in speech.timeline.unspoken)
        silent = not speech.timeline.has_audio and any(map(str.isalnum, unspoken))
        if silent or (unspoken and not speech.closing):
            # The vendor closes idle contexts, even ones it has not spoken yet.
            await self._failed(
                speech, "closed an answer without speaking it", retries=max(1, self._stall_retries)
            )
            if self.is_usable:
                speech.restart()
                await self._send(speech)
        elif not speech.closing:
            speech.restart()
        else:
            del self._speeches[speech.context_id]
            await self.finish(speech.context_id, speech.timeline.finish())

    # Failures.

    def _expect_audio(self, speech: _Speech) -> None:
        """Update since when audio is outstanding, and watch for its timeout."""
        outstanding = bool(speech.timeline.unspoken) or speech.ended
        if not outstanding:
            speech.waits_since = None
        elif speech.waits_since is None:
            speech.waits_since = asyncio.get_running_loop().time()
        if outstanding and self.is_usable and (self._watching is None or self._watching.done()):
            self._watching = self.create_task(self._watch(), name="watch")

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while self.is_usable:
            waiting = [s for s in self._speeches.values() if s.waits_since is not None]
            if not waiting:
                return
            longest = min(waiting, key=lambda s: s.waits_since or 0.0)
            left = (longest.waits_since or 0.0) + self._stall_secs - loop.time()
            if left > 0:
                await asyncio.sleep(left)
            else:
                failure = f"sent no audio for {self._stall_secs:g} s"
                await self._failed(longest, failure, retries=self._stall_retries)
                if self.is_usable and self._websocket is not None:
                    self._websocket.transport.abort()  # The receiving task reconnects.

    async def _failed(self, speech: _Speech, failure: str, *, retries: int) -> None:
        speech.failures += 1
        speech.waits_since = asyncio.get_running_loop().time()
        await self.push_error(
            f"ElevenLabs {failure}",
            category=ErrorCategory.CONNECTIVITY,
            force_treat_as_permanent=speech.failures > retries,
        )

    async def _refused(self, why: str, category: ErrorCategory) -> None:
        await self.push_error(
            f"ElevenLabs refuses the request: {why}",
            category=category,
            force_treat_as_permanent=True,
        )

    # The connection.

    async def resume(self) -> None:
        """Send the unspoken sentences on the new connection."""
        async with self._sending:
            for speech in self._speeches.values():
                speech.restart()
        for speech in list(self._speeches.values()):
            if speech.ended and not speech.unsent:
                # The rest of the last sentence's audio was lost with the connection.
                speech.closing = True
                await self._context_closed(speech)
            else:
                await self._send(speech)

    async def _disconnect(self) -> None:
        self._speeches.clear()
        if self._watching is not None:
            await self.cancel_task(self._watching)
            self._watching = None
        await super()._disconnect()
