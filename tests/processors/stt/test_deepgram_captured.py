"""What Deepgram was seen to send, told again to the real SDK: facts from fixtures and issues.

The words are made up, the fields and their order are as they were seen; each sequence says where.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from evals.conformance.harness import StageHarness
from evals.replay import virtual_time
from processors.stt.deepgram.connection import create_client
from processors.stt.deepgram.flux import DeepgramFluxSTT
from processors.stt.deepgram.service import DeepgramSTT
from simulators.captured import CapturedSocket

Messages = Sequence[tuple[float, Mapping[str, Any] | str]]


def results(
    text: str, start: float, duration: float, *, final: bool = True, **more: Any
) -> dict[str, Any]:
    """A ``Results`` message with the fields that every capture has."""
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": duration,
        "start": start,
        "is_final": final,
        "channel": {"alternatives": [{"transcript": text, "confidence": 0.99, "words": []}]},
        "metadata": {"request_id": "r", "model_info": {}, "model_uuid": "u"},
        **more,
    }


def turn(event: str, text: str, end: float, confidence: float, **more: Any) -> dict[str, Any]:
    """A ``TurnInfo`` message."""
    return {
        "type": "TurnInfo",
        "request_id": "r",
        "sequence_id": 1,
        "event": event,
        "turn_index": 0,
        "audio_window_start": 0.0,
        "audio_window_end": end,
        "transcript": text,
        "words": [{"word": word, "confidence": 0.95} for word in text.split()],
        "end_of_turn_confidence": confidence,
        **more,
    }


def told(messages: Messages, *, flux: bool = False, stops: Sequence[float] = ()) -> list[str]:
    """The story that a call hears while voice activity stops at those seconds of audio."""

    async def main() -> list[str]:
        path = "/v2/listen" if flux else "/v1/listen"
        async with CapturedSocket(path, messages) as socket:
            client = create_client("key", base_url=socket.url)
            stt = DeepgramFluxSTT(client=client) if flux else DeepgramSTT(client=client)
            async with StageHarness(stt) as harness:
                harness.listen()
                await harness.push(VADUserStartedSpeakingFrame(start_secs=0.096))
                began = asyncio.get_running_loop().time()
                for stop in stops:
                    await asyncio.sleep(began + stop - asyncio.get_running_loop().time())
                    await harness.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
                await asyncio.sleep(6.0)
                assert not harness.errors
                return [_words(frame) for _, frame in harness.received(*_KINDS)]

    return virtual_time.run(main())


_KINDS = (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
)


def _words(frame: Frame) -> str:
    match frame:
        case EagerTranscriptionFrame():
            return f"foretold: {frame.text}"
        case EagerEndOfTurnCancelFrame():
            return "withdrawn"
        case TranscriptionFrame():
            return f"{'final' if frame.finalized else 'segment'}: {frame.text}"
        case _:
            return "end proposed"


INTERIM = (1.0, results("two schools", 0.0, 1.0, final=False, speech_final=False))

SEEN: dict[str, tuple[str, Messages]] = {
    "speech_final in mid-word": (
        "a verbatim capture of September 2026; the same fields in public fixtures of clients",
        [
            INTERIM,
            (1.5, results("two schools and", 0.0, 1.5, speech_final=True, from_finalize=True)),
        ],
    ),
    "speech_final false": (
        "public fixtures of a German client of nova-3",
        [
            INTERIM,
            (1.5, results("two schools and", 0.0, 1.5, speech_final=False, from_finalize=True)),
        ],
    ),
    "no speech_final at all": (
        "public fixtures of a Spanish client of nova-3",
        [INTERIM, (1.5, results("two schools and", 0.0, 1.5, from_finalize=True))],
    ),
    "a bare acknowledgement ahead of the words": (
        "developers.deepgram.com/docs/finalize, and a public client that waits for the words",
        [
            (1.5, {"from_finalize": True}),
            (1.6, results("two schools and", 0.0, 1.5, speech_final=False)),
        ],
    ),
    "no answer, an interim result before": (
        "developers.deepgram.com/docs/finalize: not promised without much audio",
        [
            (secs, results("two schools and", 0.0, secs, final=False, speech_final=False))
            for secs in (1.0, 2.0, 3.0)
        ],
    ),
    "a message of a type that the SDK does not know": (
        "the SDK skips them (deepgram-python-sdk, listen.v1.socket_client)",
        [
            INTERIM,
            (1.2, {"type": "Weather", "of": "tomorrow"}),
            (1.5, results("two schools and", 0.0, 1.5, speech_final=True, from_finalize=True)),
        ],
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_stop_of_speech_is_followed_by_its_words_and_never_by_an_end(name: str) -> None:
    _, messages = SEEN[name]
    assert told(messages, stops=[1.4]) == ["final: two schools and"]


def test_words_that_were_final_on_their_way_wait_for_the_rest() -> None:
    """A segment that is full becomes final by itself, just when the speech has stopped."""
    messages: Messages = [
        *((secs, results("where", 0.0, secs, final=False)) for secs in (1.0, 2.0, 3.0, 4.0)),
        (5.2, results("where did she study", 0.0, 4.8, speech_final=False)),
        (5.4, results("mathematics", 4.8, 0.5, speech_final=True, from_finalize=True)),
    ]
    assert told(messages, stops=[5.1]) == ["final: where did she study mathematics"]


def test_an_utterance_end_without_a_word_is_none() -> None:
    """``last_word_end`` is -1 where Deepgram knows no word (its document on utterance end)."""
    messages: Messages = [
        (1.5, results("two schools", 0.0, 1.4, speech_final=True)),
        (2.0, {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": -1}),
        (2.6, {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.1}),
    ]
    assert told(messages, stops=[1.4]) == ["final: two schools", "end proposed"]


def test_a_turn_of_flux_is_followed_as_its_document_shows_it() -> None:
    """developers.deepgram.com/docs/flux/state: its example, and rules 1 to 4."""
    messages: Messages = [
        (0.0, {"type": "Connected", "request_id": "r", "sequence_id": 0}),
        (0.2, turn("Update", "", 0.2, 0.1)),
        (0.6, turn("StartOfTurn", "Hi I", 0.6, 0.1)),
        (0.9, turn("Update", "Hi I need to", 0.9, 0.1)),
        (1.4, turn("EagerEndOfTurn", "Hi I need to cancel.", 1.4, 0.5)),
        (1.6, turn("TurnResumed", "Hi I need to cancel my", 1.6, 0.2)),
        (2.2, turn("EagerEndOfTurn", "Hi I need to cancel my subscription please.", 2.2, 0.6)),
        (2.4, turn("EndOfTurn", "Hi I need to cancel my subscription please.", 2.4, 0.8,
                   trigger="model")),
    ]  # fmt: skip
    assert told(messages, flux=True, stops=[2.3]) == [
        "foretold: Hi I need to cancel.",
        "withdrawn",
        "foretold: Hi I need to cancel my subscription please.",
        "final: Hi I need to cancel my subscription please.",
        "end proposed",
    ]


def test_a_turn_of_flux_may_end_in_other_words_than_were_foretold_and_by_another_trigger() -> None:
    """An earlier state of that document: about one in a hundred; ``trigger`` is an open list."""
    messages: Messages = [
        (0.6, turn("StartOfTurn", "Where", 0.6, 0.1)),
        (1.4, turn("EagerEndOfTurn", "Where did she", 1.4, 0.5)),
        (1.8, turn("EndOfTurn", "Where did she study?", 1.8, 0.8, trigger="weather")),
    ]
    assert told(messages, flux=True, stops=[1.6]) == [
        "foretold: Where did she",
        "final: Where did she study?",
        "end proposed",
    ]


def test_a_noise_that_flux_has_no_word_for_leaves_nobody_waiting() -> None:
    messages: Messages = [(0.25 * n, turn("Update", "", 0.25 * n, 0.1)) for n in range(1, 20)]
    assert told(messages, flux=True, stops=[0.8]) == ["final: "]


def test_a_stream_of_flux_that_stays_open_and_says_nothing_is_given_up() -> None:
    """pipecat-ai/pipecat issue 5735: an open turn, and then nothing for 23 s."""

    async def main() -> int:
        messages: Messages = [(0.6, turn("StartOfTurn", "Where", 0.6, 0.1))]
        async with CapturedSocket("/v2/listen", messages) as socket:
            stt = DeepgramFluxSTT(client=create_client("key", base_url=socket.url))
            async with StageHarness(stt) as harness:
                harness.listen()
                await harness.push(VADUserStartedSpeakingFrame(start_secs=0.096))
                await harness.wait_for(
                    lambda: harness.received(InterimTranscriptionFrame), 2.0, "no word"
                )
                await harness.wait_for(lambda: harness.errors, 3.0, "it was not noticed")
                assert "said nothing for 2.0 s while speech was sent" in harness.errors[0].error
                assert stt.is_usable
                before = len(harness.received(InterimTranscriptionFrame))
                await harness.wait_for(
                    lambda: len(harness.received(InterimTranscriptionFrame)) > before,
                    2.0,
                    "not heard again",
                )
                return len(harness.errors)

    assert virtual_time.run(main()) == 1
