"""WAV files as people have them: 16-bit PCM is read, anything else is refused in one sentence."""

import struct
import sys
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.wav import INPUT_RATE, WavError, read_wav, speech_end_secs, write_wav

TONE = (8000 * np.sin(np.arange(3200) / 8)).astype(np.int16)
PCM = struct.pack("<HHIIHH", 1, 1, INPUT_RATE, 2 * INPUT_RATE, 2, 16)
GUID = bytes.fromhex("000000001000800000aa00389b71")


def chunk(id: bytes, body: bytes, size: int | None = None) -> bytes:
    return (
        id + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)
    )


def riff(*chunks: bytes, size: int | None = None, id: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return id + struct.pack("<I", len(body) if size is None else size) + body


def layout(
    encoding: int = 1, channels: int = 1, rate: int = INPUT_RATE, bits: int = 16, frame: int = 0
) -> bytes:
    frame = frame or channels * bits // 8
    return struct.pack("<HHIIHH", encoding, channels, rate, rate * frame % 2**32, frame, bits)


def extensible(encoding: int, bits: int = 16) -> bytes:
    more = struct.pack("<HHI", 22, bits, 4) + struct.pack("<H", encoding) + GUID
    return layout(0xFFFE, bits=bits) + more


def read(folder: Path, content: bytes) -> bytes:
    path = folder / "a.wav"
    path.write_bytes(content)
    return read_wav(path)


SAMPLES = TONE.tobytes()
STREAMED = 0xFFFFFFFF

READ = {
    "plain": riff(chunk(b"fmt ", PCM), chunk(b"data", SAMPLES)),
    "extensible": riff(chunk(b"fmt ", extensible(1)), chunk(b"data", SAMPLES)),
    "with tags before and after": riff(
        chunk(b"LIST", b"INFOabc"),
        chunk(b"fmt ", PCM + b"\0\0"),
        chunk(b"fact", b"\0\0\0\0"),
        chunk(b"data", SAMPLES),
        chunk(b"id3 ", b"x" * 31),
    ),
    "written to a pipe": riff(
        chunk(b"fmt ", PCM), chunk(b"data", SAMPLES, STREAMED), size=STREAMED
    ),
    "never finished": riff(chunk(b"fmt ", PCM), chunk(b"data", SAMPLES, 0), size=0),
    "of more than 4 GB, by its header": riff(
        chunk(b"ds64", bytes(28)),
        chunk(b"fmt ", PCM),
        chunk(b"data", SAMPLES, STREAMED),
        id=b"RF64",
    ),
    "cut in a sample": riff(chunk(b"fmt ", PCM), chunk(b"data", SAMPLES + b"\1", 10**6))[:-1],
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_16_bit_pcm_is_read_whatever_its_header_says(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == SAMPLES


def test_a_file_of_two_channels_that_was_cut_in_a_frame_is_read_to_its_last_whole_one(
    tmp_path: Path,
) -> None:
    both = np.repeat(TONE, 2).tobytes()
    content = riff(chunk(b"fmt ", layout(channels=2)), chunk(b"data", both[:-3], len(both)))
    assert read(tmp_path, content) == SAMPLES[:-2]


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 192_000])
def test_any_usual_rate_is_resampled(tmp_path: Path, rate: int) -> None:
    content = riff(chunk(b"fmt ", layout(rate=rate)), chunk(b"data", SAMPLES))
    assert len(read(tmp_path, content)) / 2 == pytest.approx(len(TONE) * INPUT_RATE / rate, abs=1)


REFUSED = {
    "text": (b"text\n", "it does not begin with RIFF and WAVE"),
    "nothing": (b"", "it does not begin with RIFF and WAVE"),
    "an AVI": (b"RIFF\0\0\0\0AVI ", "it does not begin with RIFF and WAVE"),
    "big-endian": (b"RIFX\0\0\0\0WAVE", "its samples are big-endian"),
    "no chunk": (riff(), "it has no format"),
    "no samples": (riff(chunk(b"fmt ", PCM)), "it has no samples"),
    "empty samples": (riff(chunk(b"fmt ", PCM), chunk(b"data", b"\1")), "it has no samples"),
    "no format first": (riff(chunk(b"data", SAMPLES)), "its samples come before their format"),
    "half a format": (riff(chunk(b"fmt ", PCM[:9])), "its format is cut short"),
    "rate 0": (riff(chunk(b"fmt ", layout(rate=0))), "its rate is 0 Hz; 4000 to 192000 are"),
    "rate 1": (riff(chunk(b"fmt ", layout(rate=1))), "its rate is 1 Hz"),
    "rate 4 GHz": (riff(chunk(b"fmt ", layout(rate=2**32 - 1))), "its rate is 4294967295 Hz"),
    "no channel": (riff(chunk(b"fmt ", layout(channels=0))), "it has 0 channels; 1 to 32"),
    "65535 channels": (riff(chunk(b"fmt ", layout(channels=2**15 - 1))), "it has 32767 channels"),
    "24 bits": (riff(chunk(b"fmt ", layout(bits=24))), "24-bit samples; 16-bit PCM is needed"),
    "32 bits for 16": (riff(chunk(b"fmt ", layout(frame=4))), "a frame of it has 4 bytes"),
    "float": (riff(chunk(b"fmt ", layout(3, bits=32))), "its samples are floating-point; 16-bit"),
    "extensible float": (riff(chunk(b"fmt ", extensible(3, 32))), "samples are floating-point"),
    "mu-law": (riff(chunk(b"fmt ", layout(7, bits=8))), "its samples are mu-law"),
    "unknown": (riff(chunk(b"fmt ", layout(0x1234))), "its samples are format 0x1234"),
}


@pytest.mark.parametrize(("content", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, why: str
) -> None:
    with pytest.raises(WavError, match=why) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith(f"{tmp_path / 'a.wav'}: ")


def test_what_is_no_file_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WavError, match="No such file"):
        read_wav(tmp_path / "missing.wav")
    with pytest.raises(WavError, match="directory"):
        read_wav(tmp_path)
    monkeypatch.setattr("client.wav.MAX_BYTES", 1000)
    with pytest.raises(WavError, match="more than 1000 bytes, which is the limit"):
        read(tmp_path, READ["plain"])
    if sys.platform == "linux":
        with pytest.raises(WavError, match="more than 1000 bytes"):
            read_wav(Path("/dev/zero"))


def test_a_constant_offset_is_no_speech() -> None:
    speech = np.concatenate([TONE, np.zeros(8000, np.int16)])
    assert speech_end_secs(speech.tobytes()) == pytest.approx(0.2)
    assert speech_end_secs((speech + 900).astype(np.int16).tobytes()) == pytest.approx(0.2)
    assert speech_end_secs(np.full(8000, 900, np.int16).tobytes()) == 0.0
    assert speech_end_secs(b"") == 0.0


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", SAMPLES, INPUT_RATE)
    assert read_wav(tmp_path / "a.wav") == SAMPLES
    stereo = BytesIO()
    with wave.open(stereo, "wb") as file:
        file.setparams((2, 2, INPUT_RATE, 0, "NONE", ""))
        file.writeframes(np.repeat(TONE, 2).tobytes())
    assert read(tmp_path, stereo.getvalue()) == SAMPLES


CHANGES = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), min_size=1, max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.sampled_from(list(READ.values())),
    changes=CHANGES,
    end=st.none() | st.integers(0, 90),
)
def test_any_damage_is_read_or_refused(
    tmp_path: Path, content: bytes, changes: list[tuple[int, int]], end: int | None
) -> None:
    damaged = bytearray(content[: 44 + 200])
    for at, value in changes:
        damaged[at] = value
    try:
        pcm = read(tmp_path, bytes(damaged[:end]))
    except WavError:
        return
    assert 0 < len(pcm) <= 2 * len(damaged) * INPUT_RATE / 4000
