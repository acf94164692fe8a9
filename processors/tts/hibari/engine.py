# ruff: noqa: RUF001 - phonetic letters that look like others are intended.
"""hibari, a distilled Kokoro, as an engine shared by all calls of a process.

One ONNX session and one set of lexicons serve all calls. A pool of threads synthesises sentence by
sentence, so concurrent calls alternate between sentences; an interrupted call gives up its place in
the queue. A sentence is returned in slices, the first as soon as the network has run, so a long
sentence starts as soon as a short one.

The network's silence (0.3 s before a sentence, 0.5 s after) is cut to a natural pause. A fixed
gain, measured once at load, brings the voice to telephone level.
"""

import asyncio
import functools
import json
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
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
"""60 ms of 16-bit mono audio; the engine yields multiples of this."""

LEAD_SECS = 0.03
"""Silence kept before a sentence, because soft consonants begin below the threshold."""
TAIL_SECS = 0.14
"""Silence kept after a sentence; with the next one's lead, the pause between sentences."""

_WINDOW = 240  # samples: 10 ms
_SILENCE_RMS = 0.003  # -50 dBFS
_FADE = 120  # samples: 5 ms, so that cut silence does not click
_ACTIVE_RMS = 0.112  # level of speech without its pauses, -19 dBFS
_KNEE, _CEILING = 0.7, 0.92  # samples above the knee are compressed to stay below the ceiling
# Sizes of a sentence's slices, in network frames of 12.5 ms: the first holds the initial 0.3 s of
# silence and 0.2 s of voice; later ones are longer, because each also computes its margins.
_SLICES = (40, 80, 160)
_MARGIN = 4  # network frames on both sides
# Warms up the lexicons, the network for unknown words and the session; the gain is measured on it.
_CALIBRATION = "Hello, this is Viva. Ask me anything that the zyxomatic document answers."

# Kokoro's alphabet has one letter for each diphthong and affricate, and no length marks.
_TO_KOKORO = (
    ("t͡ʃ", "ʧ"), ("d͡ʒ", "ʤ"), ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("eɪ", "A"), ("aɪ", "I"), ("ɔɪ", "Y"),
    ("aʊ", "W"), ("oʊ", "O"), ("əʊ", "O"), ("ɝ", "ɜɹ"), ("ɚ", "əɹ"), ("r", "ɹ"), ("g", "ɡ"),
    ("ː", ""), (".", ""), ("'", "ˈ"), ("/", ""), ("[", ""), ("]", ""),
)  # fmt: skip


# A capital A within a sentence is the letter: "on A four paper", "the U S A". hibari reads it as
# the article wherever one would be possible.
_LETTER_A = re.compile(r"(?<=[a-z] )A(?= )|(?<=\b[A-Z] )A(?!\w)|(?<=\S )A(?= [A-Z]\b)")
# The sentence splitter takes these for initials: "an A I. Ask me".
_AFTER_LETTERS = re.compile(r"(?<=\b[A-Z] [A-Z][.!?]) (?=[A-Z])")
_DIGIT = "zero|one|two|three|four|five|six|seven|eight|nine"
_POINT = re.compile(
    rf"\b((?:{_DIGIT}|\w+teen|\w+ty|ten|eleven|twelve|hundred) )point(?= (?:{_DIGIT})\b)"
)
_FIRST_LETTERS = re.compile(r"A(?: [A-Z]\b)+")


class UnspeakableTextError(ValueError):
    """A text contains nothing that can be pronounced, such as ``"…"`` or an emoji."""


def markup(word: str, ipa: str) -> str | None:
    """Return hibari's markup for the pronunciation of a word.

    Args:
        word: The word as written, e.g. ``"Univac"``.
        ipa: Its pronunciation in IPA, or in Kokoro's letters; stress marks go before the vowel.

    Returns:
        ``"[word](/phonemes/)"``, or ``None`` if the voice lacks one of the sounds.
    """
    phonemes = ipa.strip()
    for sound, letter in _TO_KOKORO:
        phonemes = phonemes.replace(sound, letter)
    known = phonemes and all(letter in _alphabet() for letter in phonemes)
    return f"[{word}](/{phonemes}/)" if known else None


def mark_letters(sentence: str) -> str:
    """Mark up each A that is a letter and not the article, and the unstressed point of decimals.

    Args:
        sentence: One sentence. An initial A is the letter only in known acronyms ("A P I").
    """
    sentence = _POINT.sub(r"\1[point](/pYnt/)", sentence)
    first = _FIRST_LETTERS.match(sentence)
    marked = _LETTER_A.sub("[A](/ˈA/)", sentence)
    if first and first[0].replace(" ", "") in English.spelt:
        return f"[A](/ˈA/){marked[1:]}"
    return marked


def trim_silence(slices: Iterable[Samples]) -> Iterator[Samples]:
    """Trim the silence at both ends of a sentence as it streams.

    Args:
        slices: Float samples at 24 kHz, in order. Silence within the sentence is kept.

    Yields:
        The sentence, from ``LEAD_SECS`` before its first sound to ``TAIL_SECS`` after its last;
        nothing if it has no sound.
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
    """Amplify float samples by ``gain``, and convert them to s16le.

    Peaks above -3 dBFS are compressed sample by sample, so the gain is the same for all chunks and
    nothing clips.
    """
    louder = samples * np.float32(gain)
    size = np.abs(louder)
    if size.max(initial=0.0) > _KNEE:
        room = _CEILING - _KNEE
        rounded = _KNEE + room * np.tanh((size - _KNEE) / room)
        louder = np.where(size > _KNEE, np.sign(louder) * rounded, louder)
    return (louder * 32_767.0).astype("<i2").tobytes()


class _Voice(Hibari):  # type: ignore[misc]
    """hibari on the ONNX sessions of :mod:`models`, instead of those its constructor creates."""

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
        """Split a text into sentences, also after spelt letters."""
        split = super().split_sentences
        return [sentence for part in _AFTER_LETTERS.split(text) for sentence in split(part)]

    def phonemize(self, text: str) -> list[str]:
        """Return the phonemes of a text, with the letter A pronounced as a letter."""
        return list(super().phonemize(mark_letters(text)))


class HibariEngine:
    """One voice, shared by all calls of a process.

    Not bound to an event loop. When the consumer stops iterating, or its task is cancelled, queued
    work is dropped at once, and running work stops at the next slice.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, *, model: Any, voice: str, workers: int, cache_size: int) -> None:
        """Wrap a loaded hibari model; use :meth:`load` instead."""
        self.voice = voice
        self._model = model
        self._cache_size = cache_size
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._gain = 1.0
        self.pool = Pool(workers, "hibari")

    @classmethod
    def load(cls, *, voice: str = "heart", workers: int = 1, cache_size: int = 16) -> Self:
        """Load the voice, warm it up and measure its level. Blocks for about 0.6 s.

        Args:
            voice: A hibari voice whose file is on this machine; ``"heart"`` always is.
            workers: Number of threads, and so of concurrently synthesised sentences.
            cache_size: Number of utterances that :meth:`synthesise_whole` caches.

        Raises:
            ValueError: The voice is unknown, its file is missing, or an argument is below 1.
            WeightsError: The hash of a file is not the catalogue's.
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
        """Release the threads; queued work is cancelled."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def synthesise(
        self, text: str, pronunciations: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Synthesise a text. The same text always gives the same bytes.

        Args:
            text: One or more sentences; may contain ``[word](/phonemes/)``.
            pronunciations: Words and their IPA; whole words match in any case.

        Yields:
            Mono s16le at 24 kHz, multiples of 60 ms.

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
            # Not the text itself: errors are logged.
            raise UnspeakableTextError(
                f"nothing in a text of {len(text)} characters can be pronounced"
            )

    async def synthesise_whole(
        self, text: str, pronunciations: Mapping[str, str] | None = None
    ) -> bytes:
        """Synthesise a text completely, and cache it, as for a greeting.

        Arguments, errors and format are those of :meth:`synthesise`.
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
        """Return an utterance that :meth:`synthesise_whole` has cached, or ``None``.

        Args:
            text: The text, with pronunciations inserted.
        """
        whole = self._cache.get(text)
        if whole is not None:
            self._cache.move_to_end(text)
        return whole

    async def silent(self, words: Sequence[str]) -> tuple[bool, ...]:
        """Return for each word whether the voice has no sound for it, though it is one.

        Args:
            words: Words of a sentence, with their punctuation.
        """
        if all(word.isascii() for word in words):
            return (False,) * len(words)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, lambda: tuple(map(self._is_silent, words)))

    def _is_silent(self, word: str) -> bool:
        if word.isascii() or not any(map(str.isalnum, word)):
            return False
        return not any(map(_has_sound, self._model.phonemize(word)))

    async def _sentence(self, sentence: str) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        # Bounded by the length of a sentence: 400 phonemes, some 25 s of audio.
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        dropped = threading.Event()

        def emit(chunk: bytes) -> None:
            with suppress(RuntimeError):  # the loop is closed
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
        """Synthesise one sentence in a worker thread, unless it is dropped."""
        if dropped.is_set():
            return
        for phonemes in self._model.phonemize(sentence):
            left = b""
            for samples in trim_silence(self._slices(phonemes)):
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
        """Run the network once, then its signal processing slice by slice.

        Each slice is computed with a margin of four network frames on both sides, the length of an
        analysis window, so that slices join seamlessly.
        """
        if not _has_sound(phonemes):
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
            [s for p in self._model.phonemize(_CALIBRATION) for s in trim_silence(self._slices(p))]
        )
        windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
        power = np.square(windows).mean(axis=1)
        self._gain = _ACTIVE_RMS / float(np.sqrt(power[power > 1e-4].mean()))


def _has_sound(phonemes: str) -> bool:
    return any(letter.isalpha() and letter not in "ˈˌː" for letter in phonemes)


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
    """Return the letters that the network knows."""
    return frozenset(json.loads(Path(ASSETS, "vocab.json").read_text(encoding="utf-8")))
