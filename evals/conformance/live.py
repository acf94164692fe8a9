"""Makes a small call to each real vendor, and compares its messages with the documented ones.

``viva vendors check --live`` tells anyone with keys whether the simulators, which are written from
documents, are right. The vendors' own clients make the calls, through a
:class:`~evals.conformance.wiretap.Wiretap`, and :mod:`simulators.grammar` checks each message.
"""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipecat.frames.frames import (
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import SpeechPauseFrame
from conversation.records import MICROS, Used
from evals.conformance.harness import NonconformanceError, StageHarness
from evals.conformance.wiretap import Exchange, Wiretap
from knowledge.loading.document import Document
from ledger.money.prices import Prices
from pipeline.choice import Choice
from pipeline.data_dir import PRIVATE_FOLDER, private_opener
from pipeline.vendors import Context, Stage, Vendor
from processors.brain.bounded_usage import bounds_of
from processors.brain.contract import Question, ToolStart, events_of
from processors.daemon import in_thread
from settings import Settings
from simulators.grammar import GRAMMARS, Difference

SENTENCE = "This is a short test of the voice."
"""What a voice is asked to say."""

CALL_SECS = 30.0
"""Longest that one vendor's call may take."""

ANSWER_SECS = 15.0
"""Longest wait for a vendor's answer."""

LISTENING_SECS = 12.0
"""Audio that a recogniser may be sent, and charge for: the sentence, and the silence around it."""

_SHOWN = 160  # characters of a text in the file; audio is longer


@dataclass(frozen=True, slots=True)
class LiveCall:
    """The result of one vendor's call.

    Parameters:
        vendor: The vendor's name in settings.
        model: Its model.
        outcome: What it did, as text; empty if the call failed.
        problem: Why the call failed; empty if it did not.
        exchanges: Its requests and connections.
        differences: How its messages differ from the documented ones, and how often.
    """

    vendor: str
    model: str
    outcome: str
    problem: str
    exchanges: tuple[Exchange, ...]
    differences: tuple[tuple[Difference, int], ...]

    @property
    def messages(self) -> int:
        """How many messages the vendor sent."""
        return sum(len(exchange.received) for exchange in self.exchanges)


def callable_live(choices: Mapping[Stage, Choice]) -> list[Vendor]:
    """The chosen vendors, reserves included, that have a grammar of their messages."""
    chosen = [vendor for choice in choices.values() for vendor in choice.vendors]
    return [vendor for vendor in chosen if vendor.name in GRAMMARS]


def most_cost(
    vendors: Sequence[Vendor], settings: Settings, document: Document, prices: Prices
) -> dict[str, int | None]:
    """What each call may cost, in micro-dollars; ``None`` where no price is known."""
    costs: dict[str, int | None] = {}
    for vendor in vendors:
        model = vendor.model_of(settings)
        if vendor.stage == "brain":
            worst = bounds_of(document, token_ratio=vendor.token_ratio(model))(_question(document))
            used = Used(
                output_tokens=worst.worst.output_tokens,
                cache_write_tokens=worst.worst.cache_write_tokens,
            )
        elif vendor.stage == "stt":
            used = Used(audio_seconds=LISTENING_SECS)
        else:
            used = Used(characters=2 * len(SENTENCE))  # It may have to be asked twice.
        known = prices.price(vendor.name, model) is not None
        costs[vendor.name] = prices.cost(vendor.name, model, used) if known else None
    return costs


def in_dollars(costs: Mapping[str, int | None]) -> str:
    """Costs in a sentence, shown before the calls are confirmed."""
    priced = [
        f"{name} {'at a price that is not known' if micros is None else f'{micros / MICROS:.4f}'}"
        for name, micros in costs.items()
    ]
    known = sum(micros or 0 for micros in costs.values())
    return f"At most {known / MICROS:.4f} USD: {', '.join(priced)}."


async def call_all(
    vendors: Sequence[Vendor],
    settings: Settings,
    document: Document,
    *,
    speech: bytes,
    tell: Callable[[str], None] = lambda _: None,
) -> list[LiveCall]:
    """Call each vendor once, one after another.

    Args:
        vendors: From :func:`callable_live`.
        settings: The settings.
        document: What brains are asked about.
        speech: What recognisers hear, 16 kHz mono 16-bit.
        tell: Called with progress messages.
    """
    calls = []
    for vendor in vendors:
        tell(f"calling {vendor.label}")
        calls.append(await call(vendor, settings, document, speech=speech))
    return calls


async def call(
    vendor: Vendor, settings: Settings, document: Document, *, speech: bytes
) -> LiveCall:
    """Call one vendor once."""
    setting, _ = vendor.address
    address = urlsplit(vendor.address_in(settings))
    outcome, problem = "", ""
    async with Wiretap(f"{address.scheme}://{address.netloc}") as tap:
        tapped = settings.model_copy(update={setting: tap.url + address.path})
        try:
            async with asyncio.timeout(CALL_SECS):
                outcome = await _do(vendor, Context(tapped, document), speech)
        except NonconformanceError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"it did not end within {CALL_SECS:g} s"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    exchanges = tuple(tap.exchanges)
    found = Counter(_differences(vendor.name, exchanges))
    model = vendor.model_of(settings)
    return LiveCall(vendor.name, model, outcome, problem, exchanges, tuple(found.items()))


async def _do(vendor: Vendor, context: Context, speech: bytes) -> str:
    loaded = await in_thread(lambda: vendor.load(context, lambda _label, _share: None))
    try:
        return await _CALLS[vendor.stage](vendor.build(loaded, context), context.document, speech)
    finally:
        close = getattr(loaded, "close", None)
        if close is not None and inspect.isawaitable(closing := close()):
            await closing


async def _hear(recogniser: Any, _document: Document, speech: bytes) -> str:
    async with StageHarness(recogniser) as harness:
        harness.listen()
        await harness.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await harness.say(speech)
        await harness.push(SpeechPauseFrame(pause_secs=0.096))
        await harness.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))

        def words() -> str:
            said = [frame.text for _, frame in harness.received(TranscriptionFrame)]
            return " ".join(text for text in said if text.strip())

        heard = await harness.wait_for(words, ANSWER_SECS, "no words came")
    return f"heard {heard!r}"


async def _decide(brain: Any, document: Document, _speech: bytes) -> str:
    tools = [
        event.name
        async for event in events_of(brain, _question(document))
        if isinstance(event, ToolStart)
    ]
    if not tools:
        raise NonconformanceError("it called no tool")
    return f"called {', '.join(tools)}"


async def _speak(voice: Any, _document: Document, _speech: bytes) -> str:
    async with StageHarness(voice) as harness:
        await harness.push(TTSSpeakFrame(SENTENCE))
        await harness.wait_for(
            lambda: harness.received(TTSStoppedFrame), ANSWER_SECS, "it did not speak to an end"
        )
        audio = [frame for _, frame in harness.received(TTSAudioRawFrame)]
    secs = sum(len(frame.audio) / 2 / frame.sample_rate for frame in audio)
    if not secs:
        raise NonconformanceError(f"it sent no audio{harness.reported}")
    return f"spoke for {secs:.1f} s"


_CALLS: Mapping[Stage, Callable[[Any, Document, bytes], Awaitable[str]]] = {
    "stt": _hear,
    "brain": _decide,
    "tts": _speak,
}


def _question(document: Document) -> Question:
    asked = [question for section in document.sections for question in section.questions]
    return Question(asked[0] if asked else f"What is {document.title}?")


def _differences(vendor: str, exchanges: Sequence[Exchange]) -> list[Difference]:
    grammar = GRAMMARS[vendor]
    found = []
    for exchange in exchanges:
        if exchange.path.startswith(grammar.path):
            for message in exchange.received:
                found += grammar.check(message)
            found += [Difference("message", "it is no JSON") for _ in exchange.unreadable]
    return found


def write(calls: Sequence[LiveCall], folder: Path) -> Path:
    """Write the messages received and their differences, for correcting the simulators.

    Keys are in no message, and audio is left out.
    """
    at = datetime.now(UTC)
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    path = folder / f"vendors-live-{at:%Y%m%dT%H%M%SZ}.json"
    told = {"at": at.isoformat(timespec="seconds"), "vendors": [_plain(call) for call in calls]}
    with open(path, "w", encoding="utf-8", opener=private_opener) as file:
        json.dump(told, file, indent=2, ensure_ascii=False)
    return path


def _plain(call: LiveCall) -> dict[str, Any]:
    return {
        "vendor": call.vendor,
        "model": call.model,
        "outcome": call.outcome,
        "problem": call.problem,
        "differences": [
            asdict(difference) | {"times": times} for difference, times in call.differences
        ],
        "exchanges": [_shortened(asdict(exchange)) for exchange in call.exchanges],
    }


def _shortened(value: Any) -> Any:
    """A value with long texts, such as audio, cut."""
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]}… ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(item) for item in value]
    return value


def report(calls: Sequence[LiveCall]) -> list[str]:
    """A line for each call, and one for each difference."""
    lines = []
    for call in calls:
        named = f"{call.vendor} ({call.model})" if call.model else call.vendor
        told = call.outcome or f"FAILED: {call.problem}"
        verdict = (
            "as documented" if not call.differences else f"{len(call.differences)} differences"
        )
        lines.append(f"{named}: {told}; {call.messages} messages, {verdict}")
        lines += [
            f"    {difference.where}: {difference.what}"
            + (f" ({times} times)" if times > 1 else "")
            for difference, times in call.differences
        ]
    return lines


def status(calls: Sequence[LiveCall]) -> int:
    """The exit status: 1 if a call failed, 3 if only messages differ, 0 otherwise."""
    if any(call.problem for call in calls):
        return 1
    return 3 if any(call.differences for call in calls) else 0
