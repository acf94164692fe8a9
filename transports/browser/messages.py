"""The text messages of the wire: RTVI 2.x, and Viva's own messages inside it.

RTVI's own messages are pipecat's models (``pipecat.processors.frameworks.rtvi.models``). Viva's own
are the payloads of RTVI's ``server-message`` and ``client-message``, one model each, below.
docs/protocol.md shows each with an example, and a test holds that page against this module.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json

from conversation.records import StageCost, TurnRecord
from conversation.turns import Money

MAX_TEXT_BYTES = 16_384
"""Maximum size of a page's text message, in bytes."""

MAX_AUDIO_BYTES = 64_000
"""Maximum size of a page's audio message, in bytes: two seconds at 16 kHz."""


MAX_TYPED_CHARACTERS = 500
"""Maximum length of a typed question: about what a caller says in half a minute."""

MAX_SAMPLES = 2**53 - 1
"""Greatest number of samples that a page may name: the greatest integer that JavaScript counts."""


MIN_LEAD_SECS, MAX_LEAD_SECS = 0.2, 2.0
"""Least and greatest lead of the voice that a page may ask for, in seconds."""

MAX_LATE_SECS = 60.0
"""By how much the caller's voice may come late at most, as a page says, in seconds."""

Codec = Literal["pcm", "opus"]
"""How audio comes: PCM as it is, or Opus."""

CODECS: tuple[Codec, ...] = ("pcm", "opus")
"""What Viva can send and understand."""

MAX_TOKEN_CHARACTERS = 100
"""Maximum length of a call's id, and of a token that resumes it."""


class MessageError(ValueError):
    """A message from the page is invalid; the text says why."""


def _in_one_line(text: str) -> str:
    """The words alone: no line breaks, no characters that cannot be seen."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    if not words:
        raise ValueError("it has no words")
    return " ".join(words)


_LOOKED_UP: Any = Field(
    default=[],
    description="Of the cited sections, those that tools gave; absent if none did.",
    exclude_if=lambda given: not given,
)


class Payload(BaseModel):
    """Payload of one of Viva's own messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sentence(Payload):
    """The sentence whose audio follows, and the document's lines it rests on."""

    type: Literal["sentence"] = "sentence"
    turn: int = Field(description="The caller's turn it answers, from 1; 0 outside a turn.")
    epoch: int = Field(description="How many `bot-interrupted` came before it.")
    start: int = Field(description="Sample of this epoch at which its audio starts, at 24 kHz.")
    text: str
    sections: list[str] = Field(description="Ids of the sections it rests on.")
    lines: list[int] = Field(description="Source lines to light, from 1.")


class DecisionCheck(Payload):
    """One check that code made on a decision."""

    name: str
    passed: bool
    detail: str = ""


class LookedUp(Payload):
    """What a tool gave, as the answer cites it; it stands in no document."""

    section: str
    title: str
    text: str = Field(description="What the answer was checked against.")


class Decision(Payload):
    """What was decided on a turn, complete."""

    type: Literal["decision"] = "decision"
    turn: int
    question: str
    decision: Literal["respond", "escalate"]
    confidence: Literal["high", "medium", "low"] | None
    sections: list[str]
    lines: list[int]
    answer: str
    reason: str = Field(description="Why it was handed to a human; empty for an answer.")
    checks: list[DecisionCheck]
    brain: str
    looked_up: list[LookedUp] = _LOOKED_UP


class Amount(Payload):
    """What something cost, in micro-dollars, by stage."""

    stt: int
    brain: int
    tts: int
    total: int

    @classmethod
    def from_stages(cls, cost: StageCost) -> Self:
        """Create the message."""
        return cls(stt=cost.stt, brain=cost.brain, tts=cost.tts, total=cost.total)


class TakenOver(Payload):
    """One vendor took over from another."""

    stage: str
    failed: str
    vendor: str


class Turn(Payload):
    """A turn that is over: what was heard of it, what it used, and how long each stage took.

    Times are seconds, ``null`` where the stage did not run.
    """

    type: Literal["turn"] = "turn"
    turn: int
    at: float = Field(description="When the caller's speech ended, Unix seconds.")
    question: str
    decision: Literal["respond", "escalate"] | None = Field(
        description="`null` when the caller went on before it was complete."
    )
    reason: str = Field(description="Why it was handed to a human; empty for an answer.")
    confidence: Literal["high", "medium", "low"] | None
    sections: list[str]
    lines: list[int]
    checks: list[DecisionCheck]
    answer: str
    heard_text: str = Field(description="The part of the answer that was played out.")
    interrupted: bool
    withdrawn: bool
    transcription_delay: float | None = Field(description="Speech end → final transcript.")
    end_of_turn_delay: float | None = Field(description="Speech end → end of turn.")
    llm_ttft: float | None = Field(description="End of turn → brain's first token.")
    llm_ttfs: float | None = Field(description="End of turn → first checked sentence.")
    tts_ttfb: float | None = Field(description="First sentence → first audio of it.")
    e2e_latency: float | None = Field(
        description="What the caller waited: speech end → first audible sample."
    )
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    wasted_tokens: int = Field(description="Of those, spent on answers begun too early.")
    characters: int
    audio_seconds: float
    cost: Amount
    vendors: dict[str, str] = Field(description="By stage: `stt`, `brain`, `tts`.")
    models: dict[str, str] = Field(description="By stage, where the vendor has several.")
    errors: list[str]
    failovers: list[TakenOver]
    looked_up: list[LookedUp] = _LOOKED_UP

    @classmethod
    def from_record(cls, record: TurnRecord) -> Self:
        """Create the message from a turn's record."""
        values = record.as_dict()
        used = values.pop("used")
        del values["call"]
        return cls.model_validate(
            {
                **values,
                **used,
                "turn": values.pop("number"),
                "cost": Amount.from_stages(record.cost),
            },
            extra="ignore",
        )


class Cost(Payload):
    """What the call has cost so far, and what it and the day may cost, in micro-dollars."""

    type: Literal["cost"] = "cost"
    call: Amount
    call_cap: int | None = Field(description="`null` without a cap.")
    day: int | None = Field(description="All calls of the day (UTC), this one included.")
    day_cap: int | None

    @classmethod
    def from_money(cls, money: Money) -> Self:
        """Create the message."""
        return cls(
            call=Amount.from_stages(money.call),
            call_cap=money.call_cap,
            day=money.day,
            day_cap=money.day_cap,
        )


class Admitted(Payload):
    """The call is admitted and its money is set aside: the microphone may be opened."""

    type: Literal["admitted"] = "admitted"
    codecs: list[Codec] = Field(
        default=list(CODECS), description="What the audio of both sides may come in."
    )


class Clock(Payload):
    """The answer to a page's `clock`: the time here, to reckon the difference from."""

    type: Literal["clock"] = "clock"
    sent: float = Field(description="The page's own time, as it sent it.")
    now: float = Field(description="Seconds on the server's clock.")


class Stage(Payload):
    """Which stage is at work now."""

    type: Literal["stage"] = "stage"
    stage: Literal["loading", "listening", "transcribing", "thinking", "speaking"]
    turn: int = 0
    vendor: str = Field(default="", description="Who is doing it.")
    detail: str = Field(default="", description="In words, while loading.")
    progress: float | None = Field(default=None, description="0 to 1, while loading.")


class Failover(Payload):
    """A vendor failed for good, and another has taken over its stage."""

    type: Literal["failover"] = "failover"
    stage: str = Field(description="`stt`, `brain` or `tts`.")
    failed: str = Field(description="The vendor that failed.")
    vendor: str = Field(description="The vendor that took over.")


class Duck(Payload):
    """Lower the voice at once (30 ms ramp), or bring it back up."""

    type: Literal["duck"] = "duck"
    on: bool


class SecondVoice(Payload):
    """A second voice takes turns: the page may offer its caller a button to hold."""

    type: Literal["second-voice"] = "second-voice"


class Cap(Payload):
    """The call's time limit: at the start, and again when the end is near."""

    type: Literal["cap"] = "cap"
    limit_secs: float
    left_secs: float


class Resume(Payload):
    """By what a page resumes its call on another socket, and for how long it may."""

    type: Literal["resume"] = "resume"
    token: str = Field(description="Works once; another comes with each socket.")
    place: str = Field(description="What the socket's address says behind `resume=`.")
    secs: float = Field(description="How long the call is held for a page that is gone.")
    typed: int = Field(description="How many typed questions have come.")


class Recorded(Payload):
    """Whether the call is being recorded: at the start, and when a recording ends before it."""

    type: Literal["recorded"] = "recorded"
    on: bool


class End(Payload):
    """The call is over; the socket closes behind this message."""

    type: Literal["end"] = "end"
    reason: Literal[
        "hangup",
        "silence",
        "cap",
        "call_budget",
        "capacity",
        "budget",
        "daily_calls",
        "open_calls",
        "protocol",
        "stalled",
        "fault",
        "shutdown",
        "lost",
    ]
    message: str = Field(description="Why, in a sentence for the caller.")


ServerPayload = Annotated[
    Sentence
    | Decision
    | Turn
    | Cost
    | Stage
    | Failover
    | Duck
    | SecondVoice
    | Cap
    | Admitted
    | Clock
    | Resume
    | Recorded
    | End,
    Field(discriminator="type"),
]


class Playback(Payload):
    """How much of the voice has been played out."""

    epoch: int = Field(
        ge=0, le=MAX_SAMPLES, description="How many `bot-interrupted` the page had seen."
    )
    samples: int = Field(
        ge=0, le=MAX_SAMPLES, description="Samples played since the last one, at 24 kHz."
    )
    final: bool = Field(default=False, description="The rest of this epoch was dropped.")


class Hangup(Payload):
    """The caller has pressed hang up."""


class Typing(Payload):
    """The caller is typing a question: their silence is not to be minded."""


class Talk(Payload):
    """The caller has pressed the button that they hold to talk, or let it go."""

    on: bool = Field(description="Whether it is held from now on.")


class Typed(BaseModel):
    """A question that the caller has typed: RTVI's ``send-text``.

    Its options are not minded: it is answered at once, and aloud.
    """

    model_config = ConfigDict(frozen=True)

    content: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TYPED_CHARACTERS),
        AfterValidator(_in_one_line),
    ] = Field(description="The question.")


class ClockAsked(Payload):
    """Asks for the time on the server's clock."""

    sent: float = Field(
        allow_inf_nan=False, description="The page's own time; it comes back in the answer."
    )
    received: int | None = Field(
        default=None,
        ge=0,
        le=MAX_SAMPLES,
        description="How many messages have come behind the first `resume`.",
    )
    late: float | None = Field(
        default=None,
        ge=0,
        le=MAX_LATE_SECS,
        allow_inf_nan=False,
        description="By how much later than it is spoken the caller's voice comes, in seconds.",
    )


class Resumed(Payload):
    """On a socket of its own, before anything else: a page resumes its call."""

    call: str = Field(max_length=MAX_TOKEN_CHARACTERS, description="The call's id.")
    token: str = Field(max_length=MAX_TOKEN_CHARACTERS, description="Of the last `resume`.")
    received: int = Field(
        ge=0, le=MAX_SAMPLES, description="How many messages have come behind the first `resume`."
    )


class Lead(Payload):
    """How far ahead of what was played the voice is to be sent, for this page's network."""

    secs: float = Field(ge=MIN_LEAD_SECS, le=MAX_LEAD_SECS, description="Maximum lead.")


class Audible(Payload):
    """The first audible sample of an answer came out of the loudspeaker."""

    epoch: int = Field(
        ge=0, le=MAX_SAMPLES, description="How many `bot-interrupted` the page had seen."
    )
    sample: int = Field(
        ge=0, le=MAX_SAMPLES, description="Which sample of the epoch it was, at 24 kHz."
    )
    at: float = Field(allow_inf_nan=False, description="When, in seconds on the server's clock.")


CLIENT_PAYLOADS: Mapping[
    str, type[Playback | Hangup | ClockAsked | Audible | Typing | Talk | Resumed | Lead]
] = {
    "playback": Playback,
    "typing": Typing,
    "talk": Talk,
    "hangup": Hangup,
    "clock": ClockAsked,
    "audible": Audible,
    "resume": Resumed,
    "lead": Lead,
}


class ReadyData(rtvi.ClientReadyData):
    """RTVI's data, with Viva's own fields."""

    record: bool = Field(default=False, description="The caller agrees to be recorded.")
    address: bool = Field(default=False, description="The caller can leave an address here.")
    resume: bool = Field(default=False, description="The page can resume its call.")
    microphone: Codec = Field(default="pcm", description="What the caller's voice comes in.")
    voice: Codec = Field(default="pcm", description="What Viva's voice is to come in.")


class ClientReady(BaseModel):
    """The page is ready to play audio: the call starts."""

    id: str
    data: ReadyData


ClientMessage = (
    ClientReady | Playback | Hangup | ClockAsked | Audible | Typing | Talk | Typed | Resumed | Lead
)
SERVER_PAYLOAD: TypeAdapter[Any] = TypeAdapter(ServerPayload)


def server_message(payload: BaseModel) -> str:
    """Encode a payload as a ``server-message``."""
    return json.dumps(
        {"label": rtvi.MESSAGE_LABEL, "type": "server-message", "data": payload.model_dump()}
    )


def rtvi_message(message: BaseModel) -> str:
    """Encode one of RTVI's own messages."""
    return message.model_dump_json(exclude_none=True)


def parse_client_message(text: str) -> ClientMessage:
    """Parse a page's text message.

    Raises:
        MessageError: The message is invalid; the text names the field and what is allowed.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise MessageError(f"text message of {len(text)} characters; {MAX_TEXT_BYTES} at most")
    try:
        # Unlike json.loads, it refuses NaN, half of a surrogate pair, and nesting that would exceed
        # the recursion limit later on: none of them can be sent back or recorded.
        message = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise MessageError(f"text message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise MessageError("text message is not a JSON object")
    if message.get("label") != rtvi.MESSAGE_LABEL:
        raise MessageError(f"label is {_shown(message.get('label'))}; it must be 'rtvi-ai'")
    kind = message.get("type")
    data = message.get("data")
    try:
        if kind == "client-ready":
            return ClientReady.model_validate({"id": message.get("id"), "data": data})
        if kind == "disconnect-bot":
            return Hangup()
        if kind == "send-text":
            return Typed.model_validate(data)
        if kind == "client-message":
            if not isinstance(data, dict) or not isinstance(data.get("t"), str):
                raise MessageError("client-message needs data.t, a text")
            payload = CLIENT_PAYLOADS.get(data["t"])
            if payload is None:
                allowed = ", ".join(CLIENT_PAYLOADS)
                raise MessageError(f"data.t is {_shown(data['t'])}; allowed: {allowed}")
            return payload.model_validate(data.get("d") or {}, strict=True)
    except ValidationError as error:
        trouble = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in trouble["loc"]) or "data"
        raise MessageError(
            f"{kind}: {field} is {_shown(trouble['input'])}; {trouble['msg']}"
        ) from None
    raise MessageError(
        f"type is {_shown(kind)}; allowed: client-ready, client-message, send-text, disconnect-bot"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
