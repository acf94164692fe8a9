"""ElevenLabs in the chain: an answer is one context of the multi-context WebSocket.

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

from processors.tts.elevenlabs.connection import ElevenLabsLine
from processors.tts.elevenlabs.errors import category_of
from processors.tts.elevenlabs.messages import Message, check_voice
from processors.tts.speech_timeline import Sentence, SpeechTimeline
from processors.tts.timed_speech import TimedSpeech

SAMPLE_RATE = 24_000
CLOSE_WAIT_SECS = 0.25
"""Longest an interruption waits for its ``close_context`` to be sent."""


@dataclass(slots=True)
class _Speech:
    """One answer, or one prompt.

    Parameters:
        context_id: Its name, here and at the vendor.
        timeline: What is to be said and what was.
        unsent: Sentences that the present connection has not been given.
        opened: The present connection has been told of it.
        ended: No more sentences will come.
        closing: The present connection has been told so.
        waits_since: When the vendor was last heard of, while it owes something.
        failures: How often the vendor has left it unsaid.
    """

    context_id: str
    timeline: SpeechTimeline
    unsent: list[Sentence]
    opened: bool = False
    ended: bool = False
    closing: bool = False
    waits_since: float | None = None
    failures: int = 0

    def begin_anew(self) -> None:
        """Say what is left on another connection, or in another context."""
        self.unsent = list(self.timeline.restart())
        self.opened = self.closing = False


class ElevenLabsTTS(TimedSpeech, ElevenLabsLine):
    """Speaks by ElevenLabs' multi-context WebSocket, one context an answer.

    Each ``SentenceFrame`` is sent as it comes, so the voice begins before the answer is complete
    and keeps all of it in view. See :class:`TimedSpeech` for what goes downstream.

    A ``TTSSpeakFrame`` is a context of its own. An interruption closes the contexts at the
    vendor, and nothing of them follows. A connection that drops is made again, and what was not
    begun to be said is sent again: no sentence twice, none left out.

    A refusal (key, quota, voice) and a vendor that stays silent for ``stall_secs`` make the
    service unusable (``is_usable``, ``on_usable_changed``): ``unspoken`` and ``hand_over`` give
    another voice the rest. Other errors are reported upstream and overcome.
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
        """Speak in one call.

        Args:
            api_key: The vendor's key.
            voice_id: The vendor's id of the voice.
            model: The vendor's id of the model.
            url: Where the vendor listens, ``wss://``, ``ws://``, ``https://`` or ``http://``.
            voice_settings: ``stability``, ``similarity_boost``, ``style`` (0 to 1), ``speed`` (0.7
                to 1.2), ``use_speaker_boost``; the voice's own where left out.
            language: ISO 639-1 code, to hold the model to a language.
            pronunciations: Words and their IPA; only ``eleven_flash_v2`` and ``eleven_turbo_v2``
                read them.
            trim_leading_silence: Leave out the silence before an answer's first audible sample.
            stall_secs: A vendor that owes audio and sends none for so long has failed.
            stall_retries: How often it is asked again on a new connection before it is given up.
            connect_timeout_secs: Longest wait for a connection.
            close_timeout_secs: Longest wait for the vendor to close the connection at the end.
            reconnect_wait_secs: Wait between attempts to connect again; the first is immediate.
            keepalive_secs: How often the vendor is told that the call goes on.
            inactivity_timeout_secs: After how long without that the vendor gives up, 1 to 180.
            context_idle_secs: An answer whose next sentence or end is not here after so long is
                stopped downstream; a sentence that comes later starts it anew.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A setting is not what it may be; the message names it.
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
            # A silent context is seen and reported here, by stall_secs.
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
        # Contexts have their own state here: the next answer need not wait for this one's audio.
        self._pause_frame_processing = False
        self._push_stop_frames = True
        self._trim = trim_leading_silence
        self._stall_secs = stall_secs
        self._stall_retries = stall_retries
        self._speeches: dict[str, _Speech] = {}
        self._sending = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    # What is asked.

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Send one sentence, or one utterance.

        Args:
            text: The text, pronunciations written into it.
            context_id: The answer that it belongs to.
        """
        frame, self._announcing = self._announcing, None
        if frame is None:
            return
        speech = self._speeches.get(context_id)
        if speech is None:
            timeline = SpeechTimeline(sample_rate=self.sample_rate, trim_leading_silence=self._trim)
            speech = self._speeches[context_id] = _Speech(context_id, timeline, [])
        sentence = Sentence(frame, text)
        speech.timeline.add(sentence)
        speech.unsent.append(sentence)
        if self._receive_task is None or self._receive_task.done():
            await self._connect()
        await self._send(speech)
        await self.start_tts_usage_metrics(text)
        self._expect(speech)
        yield None

    async def on_turn_context_completed(self) -> None:
        """Tell the vendor that the answer is complete."""
        speech = self._speeches.get(str(self._turn_context_id))
        self._turn_context_id = None
        if speech is not None:
            speech.ended = True
            await self._send(speech)
            self._expect(speech)

    async def _interrupt_audio_contexts(self) -> None:
        """Forget the contexts first: audio that still comes of them finds none."""
        kept = {key for key, context in self._tts_contexts.items() if not context.interruptible}
        dropped = [speech for key, speech in self._speeches.items() if key not in kept]
        for speech in dropped:
            del self._speeches[speech.context_id]
        await super()._interrupt_audio_contexts()
        for speech in dropped:
            if speech.opened and not speech.closing:
                await self._close_context(speech.context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Nothing more to do: the context is closed at the vendor in the one place."""
        self._begun.discard(context_id)

    # What is sent.

    async def _send(self, speech: _Speech) -> None:
        """Send all that the connection has not been given; without one, once there is one."""
        async with self._sending:
            try:
                while speech.unsent:
                    if not speech.opened:
                        await self._tell(speech, text=" ", **self._opening())
                        speech.opened = True
                    await self._tell(speech, text=speech.unsent[0].text.rstrip() + " ")
                    del speech.unsent[0]
                if speech.ended and speech.opened and not speech.closing:
                    await self._tell(speech, flush=True)
                    await self._tell(speech, close_context=True)
                    speech.closing = True
            except ConnectionClosed:
                return  # The receiving task sees it too, and makes another.

    def _opening(self) -> dict[str, Any]:
        return {"voice_settings": self._voice_settings} if self._voice_settings else {}

    async def _tell(self, speech: _Speech, **message: Any) -> None:
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
            pass  # A connection that is gone has no contexts.

    async def _send_keepalive(self) -> None:
        open_contexts = [s.context_id for s in self._speeches.values() if s.opened]
        if self._websocket is not None and self._websocket.state is State.OPEN:
            for context_id in open_contexts:
                await self._websocket.send(json.dumps({"text": "", "context_id": context_id}))
            if not open_contexts:
                await self._websocket.send(json.dumps({"text": ""}))

    # What comes.

    async def _receive_messages(self) -> None:
        try:
            async for message in self._get_websocket():
                try:
                    await self._hear(Message.model_validate_json(message))
                except (ValidationError, binascii.Error):
                    await self.push_error(
                        "ElevenLabs sent what is not its protocol", category=ErrorCategory.SERVER
                    )
        except ConnectionClosed as closed:
            if closed.rcvd is not None and (category := category_of("", closed.rcvd.reason)):
                await self._refused(closed.rcvd.reason, category)
            raise

    async def _hear(self, told: Message) -> None:
        if told.error or (told.message and not told.audio):
            if category := category_of(told.error or "", told.message or ""):
                await self._refused(f"{told.error}: {told.message}", category)
            elif told.error != "input_timeout_exceeded":
                error = f"ElevenLabs: {told.error}: {told.message}"
                await self.push_error(error, category=ErrorCategory.SERVER)
            return
        speech = self._speeches.get(told.context_id or "")
        if speech is None:
            return
        if told.alignment:
            begin_secs = [ms / 1000 for ms in told.alignment.begin_ms or ()]
            speech.timeline.align(told.alignment.chars or (), begin_secs)
        if told.audio:
            speech.waits_since = asyncio.get_running_loop().time()
            pcm = b64decode(told.audio, validate=True)
            await self.play(speech.context_id, speech.timeline.take(pcm))
            self._expect(speech)
        if told.is_final:
            await self._finished(speech)

    async def _finished(self, speech: _Speech) -> None:
        unsaid = "".join(s.text for s in speech.timeline.unsaid)
        silent = not speech.timeline.heard and any(map(str.isalnum, unsaid))
        if silent or (unsaid and not speech.closing):
            # Closed before it was said, as the vendor does with a context it finds idle.
            await self._left_unsaid(
                speech, "ended an answer unsaid", retries=max(1, self._stall_retries)
            )
            if self.is_usable:
                speech.begin_anew()
                await self._send(speech)
        elif not speech.closing:
            speech.begin_anew()
        else:
            del self._speeches[speech.context_id]
            await self.played(speech.context_id, speech.timeline.finish())

    # What goes wrong.

    def _expect(self, speech: _Speech) -> None:
        """Watch over what the vendor owes."""
        owes = bool(speech.timeline.unsaid) or speech.ended
        if not owes:
            speech.waits_since = None
        elif speech.waits_since is None:
            speech.waits_since = asyncio.get_running_loop().time()
        if owes and self.is_usable and (self._watching is None or self._watching.done()):
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
                what = f"sent no audio for {self._stall_secs:g} s"
                await self._left_unsaid(longest, what, retries=self._stall_retries)
                if self.is_usable and self._websocket is not None:
                    self._websocket.transport.abort()  # The receiving task makes another.

    async def _left_unsaid(self, speech: _Speech, what: str, *, retries: int) -> None:
        speech.failures += 1
        speech.waits_since = asyncio.get_running_loop().time()
        await self.push_error(
            f"ElevenLabs {what}",
            category=ErrorCategory.CONNECTIVITY,
            force_treat_as_permanent=speech.failures > retries,
        )

    async def _refused(self, why: str, category: ErrorCategory) -> None:
        await self.push_error(
            f"ElevenLabs refuses: {why}", category=category, force_treat_as_permanent=True
        )

    # The connection.

    async def resume(self) -> None:
        """Have said over the new connection what is unsaid."""
        async with self._sending:
            for speech in self._speeches.values():
                speech.begin_anew()
        for speech in list(self._speeches.values()):
            if speech.ended and not speech.unsent:
                # The connection took the rest of the last sentence with it.
                speech.closing = True
                await self._finished(speech)
            else:
                await self._send(speech)

    async def _disconnect(self) -> None:
        self._speeches.clear()
        if self._watching is not None:
            await self.cancel_task(self._watching)
            self._watching = None
        await super()._disconnect()
