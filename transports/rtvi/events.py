"""Translates Viva's messages for pipecat's own clients into RTVI's full vocabulary.

Viva's page uses a few of RTVI's messages, and Viva's own inside ``server-message``. Pipecat's
client SDKs, and the interfaces built on them, have callbacks for more: the answer as the language
model's text and as the voice's, the life of each spoken segment, metrics. The page's messages hold
all of that; this module translates them. No I/O.

Source: ``pipecat.processors.frameworks.rtvi`` 1.14 (protocol 2.2.0) and ``@pipecat-ai/client-js``
1.13 (protocol 2.1.0).
"""

from pipecat.pipeline.capabilities import BotCapabilities
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel

from transports.browser import messages

TROUBLES = frozenset({"capacity", "protocol", "stalled", "fault", "shutdown"})
"""Reasons for an end that RTVI clients get as a fatal error, for RTVI has no other message."""


class EventTranslator:
    """Translates each message for Viva's page into messages for an RTVI client, in order."""

    def __init__(self) -> None:
        self._legacy_version = ""
        self._question = ""
        self._thinking = False
        self._voicing = False
        self._segment = 0
        self._spoken: rtvi.BotOutputMessageData | None = None

    def client_version(self, version: str) -> str:
        """Set the client's protocol version, from its ``client-ready``.

        Returns:
            What is wrong with it; empty if nothing is. The call continues anyway, as pipecat's
            does.
        """
        major = version.partition(".")[0]
        if major == str(rtvi.LEGACY_SUPPORTED_MAJOR):
            self._legacy_version = version
        elif major != rtvi.PROTOCOL_VERSION.partition(".")[0]:
            return f"RTVI version is {version!r}; this is {rtvi.PROTOCOL_VERSION}"
        return ""

    def translate(self, message: BaseModel) -> list[BaseModel]:
        """The messages to send for one message for the page."""
        match message:
            case rtvi.BotReady():
                return [self._ready(message)]
            case rtvi.UserTranscriptionMessage():
                self._question = message.data.text if message.data.final else self._question
                return [message]
            case rtvi.UserStoppedSpeakingMessage():
                return [message, *self._asked()]
            case messages.Decision():
                return [*self._decided(message.answer), message]
            case rtvi.BotOutputMessage():
                return self._speaks(message.data)
            case rtvi.BotStoppedSpeakingMessage():
                return [*self._segment_over(), *self._voice_over(), message]
            case rtvi.BotInterruptedMessage():
                self._spoken = None
                return [message, *self._thinking_over(), *self._voice_over()]
            case messages.Turn():
                return [message, *_metrics(message)]
            case messages.End() if message.reason in TROUBLES:
                return [message, rtvi.Error(data=rtvi.ErrorData(error=message.message, fatal=True))]
            case _:
                return [message]

    def _ready(self, message: rtvi.BotReady) -> rtvi.BotReady:
        media = BotCapabilities(audio_in=True, audio_out=True, video_in=False, video_out=False)
        told = {
            "version": self._legacy_version or message.data.version,
            "capabilities": media.model_copy(update={"metrics": True}),
        }
        return message.model_copy(update={"data": message.data.model_copy(update=told)})

    # The answer as the language model's text.

    def _asked(self) -> list[BaseModel]:
        question, self._question = self._question, ""
        if not question:
            return []
        over = self._thinking_over()
        self._thinking = True
        asked = rtvi.UserLLMTextMessage(data=rtvi.TextMessageData(text=question))
        return [*over, asked, rtvi.BotLLMStartedMessage()]

    def _decided(self, answer: str) -> list[BaseModel]:
        if not self._thinking:
            return []
        text = rtvi.BotLLMTextMessage(data=rtvi.TextMessageData(text=answer))
        return [text, *self._thinking_over()]

    def _thinking_over(self) -> list[BaseModel]:
        thinking, self._thinking = self._thinking, False
        return [rtvi.BotLLMStoppedMessage()] if thinking else []

    # The answer as the voice's.

    def _speaks(self, data: rtvi.BotOutputMessageData) -> list[BaseModel]:
        told: list[BaseModel] = [*self._segment_over()]
        if not self._voicing:
            self._voicing = True
            told.append(rtvi.BotTTSStartedMessage())
        self._segment += 1
        text = rtvi.TextMessageData(text=data.text)
        progress = rtvi.SpokenProgressData(accumulated_text="", remaining_text=data.text)
        self._spoken = data.model_copy(
            update={
                "segment_id": self._segment,
                "spoken_progress": progress,
                "spoken": True if self._legacy_version else None,
            }
        )
        return [
            *told,
            rtvi.BotOutputMessage(data=self._spoken),
            rtvi.BotTTSTextMessage(data=text),
            rtvi.BotTranscriptionMessage(data=text),
        ]

    def _segment_over(self) -> list[BaseModel]:
        """Complete the segment of the previous sentence, which has been spoken to its end."""
        spoken, self._spoken = self._spoken, None
        if spoken is None or self._legacy_version:
            return []
        progress = rtvi.SpokenProgressData(accumulated_text=spoken.text, remaining_text="")
        over = {"spoken_status": "completed", "spoken_progress": progress}
        return [rtvi.BotOutputMessage(data=spoken.model_copy(update=over))]

    def _voice_over(self) -> list[BaseModel]:
        voicing, self._voicing = self._voicing, False
        return [rtvi.BotTTSStoppedMessage()] if voicing else []


def _metrics(turn: messages.Turn) -> list[BaseModel]:
    kinds = {
        "ttfb": {"brain": turn.llm_ttft, "tts": turn.tts_ttfb},
        "processing": {"stt": turn.transcription_delay, "turn": turn.end_of_turn_delay},
    }
    data = {
        kind: [
            {"processor": name, "value": secs} for name, secs in took.items() if secs is not None
        ]
        for kind, took in kinds.items()
    }
    return [rtvi.MetricsMessage(data=data)] if any(data.values()) else []
