"""Moonshine decodes first; Whisper decodes what it is not sure of."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from loguru import logger

from models import moonshine
from models.moonshine_graphs import UnavailableError
from processors.stt.whisper import engine as module
from processors.stt.whisper.engine import Transcript, WhisperEngine
from processors.stt.whisper.model import Decoding, Samples

SPEECH = np.full(16_000, 0.5, np.float32)


def sure(text: str) -> moonshine.Decoding:
    return moonshine.Decoding(text, -0.05, True, speech_secs=1.0)


def doubted(text: str, logprob: float = -0.8, *, complete: bool = True) -> moonshine.Decoding:
    return moonshine.Decoding(text, logprob, complete, speech_secs=1.0)


def whisper(text: str, *, silence: float = 0.0, logprob: float = -0.3) -> Decoding:
    return Decoding(text, silence, logprob, True, None)


@dataclass
class Whisper:
    """Scripted decodings, one per window."""

    decodings: list[Decoding]
    hinted: str = ""
    windows: list[float] = field(default_factory=list)

    def decode(self, samples: Samples, window_secs: float) -> Decoding:
        self.windows.append(window_secs)
        return self.decodings.pop(0)

    def decode_with_hint(self, decoding: Decoding, names: tuple[str, ...]) -> str:
        return self.hinted


@dataclass
class Moonshine:
    decoding: moonshine.Decoding
    again: moonshine.Decoding | None = None

    def decode(self, samples: Samples, *, draft: Sequence[int] = ()) -> moonshine.Decoding:
        return replace(self.decoding, tokens=(*draft, 7))

    def decode_again(self, first: moonshine.Decoding) -> moonshine.Decoding:
        return self.again or first


async def heard(
    first: moonshine.Decoding,
    second: Whisper,
    *,
    again: moonshine.Decoding | None = None,
    names: Sequence[str] = (),
    final: bool = True,
    beginning: Transcript | None = None,
) -> Transcript:
    engine = WhisperEngine(second, first=Moonshine(first, again))
    try:
        return await engine.transcribe(SPEECH, hotwords=names, final=final, beginning=beginning)
    finally:
        engine.close()


async def test_whisper_is_not_asked_for_what_moonshine_is_sure_of() -> None:
    second = Whisper([])
    said = await heard(sure("Where did she study?"), second, names=["Yale"])
    assert (said.text, said.confidence) == ("Where did she study?", 0.8)
    assert second.windows == []


@pytest.mark.parametrize("final", [False, True])
async def test_what_was_heard_so_far_is_the_draft_of_more(final: bool) -> None:
    beginning = await heard(sure("Where did"), Whisper([]), final=False)
    said = await heard(sure("Where did she"), Whisper([]), final=final, beginning=beginning)
    assert (beginning.tokens, said.tokens) == ((7,), (7, 7))


async def test_names_are_corrected_where_moonshine_is_less_than_sure() -> None:
    second = Whisper([whisper("Who designed cobalt?")], hinted="Who designed COBOL?")
    said = await heard(doubted("Who designed cobalt?", -0.2), second, names=["COBOL"])
    assert (said.text, said.confidence) == ("Who designed COBOL?", 0.85)


async def test_a_second_decoding_is_heard_if_it_is_the_surer() -> None:
    again = doubted("Tear a thin sheet.", -0.2)
    second = Whisper([])
    said = await heard(
        doubted("Tara, thin sheet.", -0.3), second, again=again, names=["COBOL", "Grace Hopper"]
    )
    assert (said.text, said.confidence) == ("Tear a thin sheet.", 0.5)
    assert second.windows == [], "it is not sure enough to be right, but of no name"


async def test_of_two_doubtful_texts_the_more_probable_is_heard() -> None:
    """In noise Whisper is often the less sure of both: its tokens are judged by its own measure."""
    first = doubted("Six spoons of fresh snow peas.", -0.37)
    unsure = whisper("6 spoons of fresh snowcrunchies.", logprob=-0.89)
    assert (await heard(first, Whisper([unsure]))).text == "Six spoons of fresh snow peas."
    surer = whisper("Six spoons of fresh snow.", logprob=-0.5)
    assert (await heard(first, Whisper([surer]))).text == "Six spoons of fresh snow."


@pytest.mark.parametrize(
    ("first", "text", "windows"),
    [("Hey.", "Eight.", [12.0]), ("Yeah.", "Yeah.", [])],
    ids=["word", "backchannel"],
)
async def test_a_single_word_is_whispers(first: str, text: str, windows: list[float]) -> None:
    second = Whisper([whisper("Eight.", logprob=-1.1)])
    said = await heard(replace(sure(first), speech_secs=0.4), second)
    assert (said.text, second.windows) == (text, windows)


@pytest.mark.parametrize(
    "first",
    [
        doubted("", -0.1),
        doubted("I need the driver."),
        doubted("no no no no no no", -0.1),
        doubted("And so on and", -0.1, complete=False),
    ],
    ids=["empty", "improbable", "repetitive", "endless"],
)
async def test_whisper_is_heard_where_moonshine_is_doubted(first: moonshine.Decoding) -> None:
    said = await heard(first, Whisper([whisper("Neither did I.")]))
    assert (said.text, said.confidence) == ("Neither did I.", 0.2 if first.text else 0.6)


async def test_the_models_agreement_is_confidence() -> None:
    said = await heard(doubted("neither did I", -0.5), Whisper([whisper("Neither did I.")]))
    assert said.confidence == 0.85


async def test_words_that_moonshine_hears_are_not_silence() -> None:
    dropped = whisper("Neither did I.", silence=0.7, logprob=-0.8)
    other = whisper("Need the design.", silence=0.6, logprob=-1.0)
    assert (await heard(doubted("", -0.1), Whisper([dropped, other]))).text == ""
    assert (await heard(doubted("Neither did he."), Whisper([dropped]))).text == "Neither did I."


async def test_what_whisper_cannot_make_out_is_moonshines() -> None:
    second = Whisper([whisper("Ahah", logprob=-1.8), whisper("Ahah", logprob=-1.7)])
    said = await heard(doubted("Aha!"), second)
    assert (said.text, said.confidence) == ("Aha!", 0.2)


async def test_silence_is_believed_only_in_a_longer_window() -> None:
    short = whisper("One zero two.", silence=0.56, logprob=-0.7)
    second = Whisper([short, whisper("One zero two.", silence=0.26, logprob=-0.6)])
    said = await heard(doubted("", -0.3), second)
    assert (said.text, said.fell_back) == ("102.", True)
    assert second.windows == [6.0, 12.0]


async def test_the_same_digits_in_two_windows_are_no_silence() -> None:
    short = whisper("100001 90210 01803", silence=0.87, logprob=-0.93)
    longer = whisper("1,0001 90210 01803", silence=0.84, logprob=-0.98)
    said = await heard(doubted("", -0.3), Whisper([short, longer]))
    assert said.text == "1,0001 90210 01803"
    noise = whisper("So we got the twins, okay?", silence=0.5, logprob=-1.3)
    assert (await heard(doubted("", -0.01), Whisper([noise, noise]))).text == ""


async def test_a_cough_has_no_words() -> None:
    second = Whisper([whisper("I'm sorry.", silence=0.55, logprob=-1.9)])
    assert (await heard(doubted("", -0.01), second)).text == ""
    assert second.windows == [6.0]


async def test_an_interim_is_moonshines_or_whispers() -> None:
    assert (await heard(sure("Where did"), Whisper([]), final=False)).text == "Where did"
    second = Whisper([whisper("Mm-hmm.", logprob=-1.0)])
    assert (await heard(doubted("", -1.1), second, final=False)).text == "Mm-hmm."
    assert second.windows == [4.0]


async def test_a_platform_without_moonshine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        @staticmethod
        def load(*_: object, **__: object) -> Whisper:
            return Whisper([whisper("")])

    def unavailable(*_: object, **__: object) -> None:
        raise UnavailableError("its package, moonshine-cpp, is only for Linux on x86-64")

    said: list[str] = []
    monkeypatch.setattr(module, "WhisperModel", Loaded)
    monkeypatch.setattr(moonshine.Moonshine, "load", unavailable)
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        WhisperEngine.load().close()
    finally:
        logger.remove(sink)
    assert said == [
        "Moonshine is not used: its package, moonshine-cpp, is only for Linux on x86-64. "
        "Whisper recognises speech alone."
    ]
