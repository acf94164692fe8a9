# ruff: noqa: RUF001 - phonetic letters look like others, and are meant.
"""The embedded voice: hibari, a distilled Kokoro, shared by every call of a process.

One ONNX session and one set of lexicons serve all calls. A sentence is one piece of work for a
bounded pool of threads; it comes back in slices, the first as soon as the network has run, so a
long sentence starts as soon as a short one. Calls that speak at the same time take turns sentence
by sentence, and a call that is interrupted gives its turn up.

The network's own silence (0.3 s before a sentence, 0.5 s after) is cut to a natural pause, and one
fixed gain, measured once at load, brings the voice to a telephone's level.
"""

import asyncio
import functools
import json
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from hibari import Hibari, dsp
from hibari.g2p import G2P
from hibari.g2p.oov import OOV
from hibari.voices import ASSETS, VOICES, voice_path
from pipecat.utils.text.transforms.pronunciations import pronunciation_transform

from conversation.spoken_text.english import English
from models.catalogue import HIBARI_UNKNOWN_WORDS, open_hibari_session
from models.weights import verify
from processors.pool import Pool

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 24_000
FRAME_BYTES = 2_880
"""60 ms of 16-bit mono: every chunk that the engine yields is a whole number of these."""

LEAD_SECS = 0.03
"""Silence kept before a sentence: soft consonants begin below the threshold."""
TAIL_SECS = 0.14
"""Silence kept after a sentence: with the next one's lead, the pause between two sentences."""

_WINDOW = 240
_SILENCE_RMS = 0.003
_FADE = 120
_ACTIVE_RMS = 0.112
_KNEE, _CEILING = 0.7, 0.92
# Slices of a sentence, in network frames of 12.5 ms: the first holds the 0.3 s of silence that the
# network begins with and the first 0.2 s of voice; later ones are longer, as each costs its edges.
_SLICES = (40, 80, 160)
_MARGIN = 4
# Warms the lexicons, the net for unknown words and the session; the gain is measured on it.
_CALIBRATION = "Hello, this is Viva. Ask me anything that the zyxomatic document answers."

# Kokoro's alphabet writes diphthongs and affricates as one letter, and has no length marks.
_TO_KOKORO = (
    ("t͡ʃ", "ʧ"), ("d͡ʒ", "ʤ"), ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("eɪ", "A"), ("aɪ", "I"), ("ɔɪ", "Y"),
    ("aʊ", "W"), ("oʊ", "O"), ("əʊ", "O"), ("ɝ", "ɜɹ"), ("ɚ", "əɹ"), ("r", "ɹ"), ("g", "ɡ"),
    ("ː", ""), (".", ""), ("'", "ˈ"), ("/", ""), ("[", ""), ("]", ""),
)  # fmt: skip


# A capital A in a sentence is the letter: "on A four paper", "the U S A". The voice takes it for
# the article wherever its neighbours would allow one.
_LETTER_A = re.compile(r"(?<=[a-z] )A(?= )|(?<=\b[A-Z] )A(?!\w)|(?<=\S )A(?= [A-Z]\b)")
# Which the sentence splitter takes for initials: "an A I. Ask me".
_AFTER_LETTERS = re.compile(r"(?<=\b[A-Z] [A-Z][.!?]) (?=[A-Z])")
_DIGIT = "zero|one|two|three|four|five|six|seven|eight|nine"
_POINT = re.compile(
    rf"\b((?:{_DIGIT}|\w+teen|\w+ty|ten|eleven|twelve|hundred) )point(?= (?:{_DIGIT})\b)"
)
_FIRST_LETTERS = re.compile(r"A(?: [A-Z]\b)+")


class UnspeakableTextError(ValueError):
    """A text has nothing in it that can be pronounced, such as ``"…"`` or an emoji."""


def markup(word: str, ipa: str) -> str | None:
    """Write a word so that hibari says it as ``ipa`` describes.

    Args:
        word: The word as written, e.g. ``"Univac"``.
        ipa: Its sound in IPA, or in Kokoro's own letters; stress marks go before the vowel.

    Returns:
        ``"[word](/phonemes/)"``, or None when the voice has no letter for some of the sounds.
    """
    phonemes = ipa.strip()
    for sound, letter in _TO_KOKORO:
        phonemes = phonemes.replace(sound, letter)
    known = phonemes and all(letter in _alphabet() for letter in phonemes)
    return f"[{word}](/{phonemes}/)" if known else None


def with_letters(sentence: str) -> str:
    """Mark each A that is a letter and no article, and the unstressed point of a decimal.

    Args:
        sentence: One sentence; at its begin, only known acronyms ("A P I") begin with the letter.
    """
    sentence = _POINT.sub(r"\1[point](/pYnt/)", sentence)
    first = _FIRST_LETTERS.match(sentence)
    marked = _LETTER_A.sub("[A](/ˈA/)", sentence)
    if first and first[0].replace(" ", "") in English.spelt:
        return f"[A](/ˈA/){marked[1:]}"
    return marked


def trim(slices: Iterable[Samples]) -> Iterator[Samples]:
    """Cut the silence at both ends of one sentence, without waiting for its end.

    Args:
        slices: Float samples at 24 kHz, in order. Silence inside the sentence is kept.

    Yields:
        The sentence, from ``LEAD_SECS`` before its first sound to ``TAIL_SECS`` after its last;
        nothing at all when there is no sound in it.
    """
    lead, tail = round(LEAD_SECS * SAMPLE_RATE), round(TAIL_SECS * SAMPLE_RATE)
    held = np.zeros(0, np.float32)
    started = False
    for piece in slices:
        block = np.concatenate((held, piece))
        windows = block[: len(block) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
        loud = np.flatnonzero(np.einsum("ij,ij->i", windows, windows) > _SILENCE_RMS**2 * _WINDOW)
        if not len(loud):
            held = block
            continue
        end = int(loud[-1] + 1) * _WINDOW
        held = block[end:]
        if not started:
            started = True
            block = block[max(0, int(loud[0]) * _WINDOW - lead) :]
            end = len(block) - len(held)
            block[:_FADE] *= np.linspace(0.0, 1.0, _FADE, dtype=np.float32)
        yield block[:end]
    if started:
        last = np.zeros(tail, np.float32)
        kept = held[:tail]
        last[: len(kept)] = kept
        last[max(0, len(kept) - _FADE) : len(kept)] *= np.linspace(
            1.0, 0.0, min(_FADE, len(kept)), dtype=np.float32
        )
        yield last


def to_pcm(samples: Samples, gain: float) -> bytes:
    """Raise float samples by ``gain`` and make 16-bit PCM of them.

    Peaks above -3 dBFS are rounded off sample by sample, so the gain never moves between chunks
    and nothing clips.
    """
    louder = samples * np.float32(gain)
    size = np.abs(louder)
    if size.max(initial=0.0) > _KNEE:
        room = _CEILING - _KNEE
        rounded = _KNEE + room * np.tanh((size - _KNEE) / room)
        louder = np.where(size > _KNEE, np.sign(louder) * rounded, louder)
    return (louder * 32_767.0).astype("<i2").tobytes()


class _Voice(Hibari):  # type: ignore[misc]
    """hibari on sessions made as all others are made here; its own constructor makes its own."""

    def __init__(self, voice: str, weights: bytes) -> None:
        british = VOICES[voice]["british"]
        unknown_words = Path(ASSETS, "oov_gb.onnx" if british else "oov.onnx")
        if not british:
            verify(
                unknown_words.read_bytes(), HIBARI_UNKNOWN_WORDS.sha256, name="hibari's oov.onnx"
            )
        spell = OOV(str(unknown_words), session=open_hibari_session(unknown_words.read_bytes()))
        self.voice = voice
        self.sess = open_hibari_session(weights)
        self.vocab = json.loads(Path(ASSETS, "vocab.json").read_text(encoding="utf-8"))
        self._g2p = G2P(oov=spell, british=british)

    def split_sentences(self, text: str) -> list[str]:
        """The sentences of a text, which may end in spelt letters."""
        split = super().split_sentences
        return [sentence for part in _AFTER_LETTERS.split(text) for sentence in split(part)]

    def phonemize(self, text: str) -> list[str]:
        """Phonemes of a text, with an A that is a letter said as one."""
        return list(super().phonemize(with_letters(text)))


class HibariEngine:
    """One voice for all calls of a process.

    Every method that speaks may be used from any running event loop. A caller that stops
    iterating, or whose task is cancelled, has its queued work dropped at once and its running
    work abandoned at the next slice.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, *, model: Any, voice: str, workers: int, cache_size: int) -> None:
        """Wrap a loaded hibari model; :meth:`load` is the way to get one."""
        self.voice = voice
        self._model = model
        self._cache_size = cache_size
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._gain = 1.0
        self.pool = Pool(workers, "hibari")

    @classmethod
    def load(cls, *, voice: str = "heart", workers: int = 1, cache_size: int = 16) -> Self:
        """Load the voice, warm it and measure its level. Blocks for about 0.6 s.

        Args:
            voice: A hibari voice whose file is on this machine; ``"heart"`` always is.
            workers: Threads that synthesise, each one sentence at a time.
            cache_size: How many whole utterances :meth:`speech` remembers.

        Raises:
            ValueError: The voice is unknown or its file is not here, or a number is below 1.
            WeightsError: A file is not the one that was measured.
        """
        for name, value in (("workers", workers), ("cache_size", cache_size)):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        if voice not in VOICES:
            raise ValueError(f"voice is {voice!r}: it must be one of {', '.join(VOICES)}")
        try:
            weights = Path(voice_path(voice, download_missing=False)).read_bytes()
        except FileNotFoundError as missing:
            raise ValueError(
                f"voice is {voice!r}, whose file {missing} is not here; 'heart' always is"
            ) from missing
        verify(weights, VOICES[voice]["sha256"], name=f"hibari's voice {voice!r}")
        engine = cls(
            model=_Voice(voice, weights),
            voice=voice,
            workers=workers,
            cache_size=cache_size,
        )
        engine._calibrate()
        return engine

    def close(self) -> None:
        """Let the threads go; work that has not begun is dropped."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def synthesise(
        self, text: str, pronunciations: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Speak a text.

        The same text always gives the same bytes.

        Args:
            text: One or more sentences; may hold ``[word](/phonemes/)``.
            pronunciations: Words and their IPA, matched whole and whatever their case.

        Yields:
            PCM s16le mono at 24 kHz, a whole number of 60 ms frames at a time.

        Raises:
            UnspeakableTextError: Nothing in the text can be pronounced.
        """
        text = await _marked(text, pronunciations)
        whole = self.cached(text)
        if whole is not None:
            yield whole
            return
        spoken = False
        for sentence in self._model.split_sentences(text):
            async for chunk in self._sentence(sentence):
                spoken = True
                yield chunk
        if not spoken:
            raise UnspeakableTextError(f"nothing in {text!r} can be pronounced")

    async def speech(self, text: str, pronunciations: Mapping[str, str] | None = None) -> bytes:
        """Speak a text whole, and remember it: a greeting is synthesised once a process.

        Args: as in :meth:`synthesise`, as are what is raised and the format of what is returned.
        """
        text = await _marked(text, pronunciations)
        whole = self.cached(text)
        if whole is None:
            whole = b"".join([chunk async for chunk in self.synthesise(text)])
            self._cache[text] = whole
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return whole

    def cached(self, text: str) -> bytes | None:
        """The whole utterance, if :meth:`speech` has made it and it is still remembered.

        Args:
            text: The text with its pronunciations already written into it.
        """
        whole = self._cache.get(text)
        if whole is not None:
            self._cache.move_to_end(text)
        return whole

    async def _sentence(self, sentence: str) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        # Bounded by what one sentence can be: 400 phonemes, some 25 s of audio.
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        dropped = threading.Event()

        def emit(chunk: bytes) -> None:
            with suppress(RuntimeError):  # the loop has been closed under us
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)

        job = loop.run_in_executor(self.pool, self._speak, sentence, emit, dropped)
        job.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            await job
        finally:
            dropped.set()
            job.cancel()

    def _speak(
        self, sentence: str, emit: Callable[[bytes], None], dropped: threading.Event
    ) -> None:
        """Synthesise one sentence in a worker thread, until it is dropped."""
        if dropped.is_set():
            return
        for phonemes in self._model.phonemize(sentence):
            left = b""
            for samples in trim(self._slices(phonemes)):
                if dropped.is_set():
                    return
                pcm = left + to_pcm(samples, self._gain)
                whole = len(pcm) // FRAME_BYTES * FRAME_BYTES
                left = pcm[whole:]
                if whole:
                    emit(pcm[:whole])
            if left:
                emit(left.ljust(FRAME_BYTES, b"\0"))

    def _slices(self, phonemes: str) -> Iterator[Samples]:
        """Run the network once, then its signal processing a slice at a time.

        A slice is computed with enough neighbours on both sides that it joins the next without a
        seam: an analysis window spans four network frames.
        """
        if not any(letter.isalpha() and letter not in "ˈˌː" for letter in phonemes):
            return
        ids = self._model.ids(phonemes)
        outputs = self._model.sess.run(
            None, {"ids": np.asarray([ids], np.int64), "speed": np.ones(1, np.float32)}
        )
        *spectra, f0 = (output[0] for output in outputs)
        source = dsp.pulses(f0)
        noise = np.random.default_rng(0)
        begin, total = 0, len(f0)
        sizes = iter(_SLICES)
        size = 0
        while begin < total:
            size = next(sizes, size)
            end = min(begin + size, total)
            low, high = max(0, begin - _MARGIN), min(total, end + _MARGIN)
            samples = _render(
                source[low * dsp.HOP : high * dsp.HOP], [s[:, low:high] for s in spectra], noise
            )
            yield samples[(begin - low) * dsp.HOP : (end - low) * dsp.HOP]
            begin = end

    def _calibrate(self) -> None:
        samples = np.concatenate(
            [s for p in self._model.phonemize(_CALIBRATION) for s in trim(self._slices(p))]
        )
        windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
        power = np.square(windows).mean(axis=1)
        self._gain = _ACTIVE_RMS / float(np.sqrt(power[power > 1e-4].mean()))


def _render(source: Samples, spectra: list[Samples], noise: np.random.Generator) -> Samples:
    """Shape a pulse train and noise by the network's spectra into a waveform."""
    harmonic, turn, breath, free, phase = spectra
    frames = harmonic.shape[1]
    spectrum = dsp.stft(source, frames)
    spectrum *= _phasor(np.tanh(turn) * np.float32(np.pi), dsp.ex(harmonic))
    draw = noise.standard_normal((*breath.shape, 2), dtype=np.float32)
    spectrum += draw.view(np.complex64)[..., 0] * dsp.ex(breath)
    spectrum += _phasor(phase, dsp.ex(free))
    rendered: Samples = dsp.ola(spectrum)
    return rendered


def _phasor(angle: Samples, magnitude: Samples) -> npt.NDArray[np.complex64]:
    phasor = np.empty(angle.shape, np.complex64)
    np.multiply(np.cos(angle), magnitude, out=phasor.real)
    np.multiply(np.sin(angle), magnitude, out=phasor.imag)
    return phasor


async def _marked(text: str, pronunciations: Mapping[str, str] | None) -> str:
    if not pronunciations:
        return text
    return await pronunciation_transform(pronunciations, markup, service_name="hibari")(
        text, "sentence"
    )


@functools.cache
def _alphabet() -> frozenset[str]:
    """Every letter that the network knows."""
    return frozenset(json.loads(Path(ASSETS, "vocab.json").read_text(encoding="utf-8")))
