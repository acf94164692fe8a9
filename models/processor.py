"""Detects the processor's features, and what they mean for models with int8 weights."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Int8 = Literal["vnni", "saturating", "exact", "unknown"]

_SHOWN = {
    "sse4_1": "SSE4.1",
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "asimd": "NEON",
    "asimddp": "dot product",
    "i8mm": "I8MM",
}
"""Features that matter to int8 arithmetic: their names in ``/proc/cpuinfo``, and for people."""


@dataclass(frozen=True, slots=True)
class Processor:
    """The processor that this process runs on.

    Parameters:
        architecture: The system's name for it, such as ``x86_64`` or ``aarch64``.
        name: Its display name; the architecture if the system has none.
        features: Those of SSE4.1, AVX2, AVX-512, AVX-VNNI, AVX-512 VNNI, NEON, dot product and I8MM
            that it has; empty if the system does not tell.
        int8: How it multiplies int8: ``vnni`` and ``exact`` (ARM64) do not saturate, ``saturating``
            (x86 without VNNI) does by default, ``unknown`` is treated like it.
        choice: What Viva does about it, and what that costs, for people.
    """

    architecture: str
    name: str
    features: frozenset[str]
    int8: Int8
    choice: str


_CHOICES: dict[Int8, str] = {
    "vnni": "int8 by VNNI instructions, which do not saturate; nothing is given up",
    "exact": "int8 by ARM's own instructions, which do not saturate; nothing is given up",
    "saturating": (
        "no VNNI: smart-turn runs on unsigned weights, lest products saturate "
        "(a third more CPU a verdict)"
    ),
    "unknown": "unknown: smart-turn is told not to saturate, which costs nothing where it cannot",
}


def features(cpuinfo: Path = Path("/proc/cpuinfo"), *, machine: str = "") -> Processor:
    """Detect the processor's features.

    Args:
        cpuinfo: Linux's description of the processor; without it, most features are unknown.
        machine: The architecture; by default this machine's.
    """
    architecture = machine or platform.machine()
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    words = set((fields.get("flags") or fields.get("features") or "").split())
    known = frozenset(shown for word, shown in _SHOWN.items() if word in words)
    int8: Int8 = "unknown"
    if architecture.lower() in ("aarch64", "arm64"):
        int8 = "exact"
    elif words and architecture.lower() in ("x86_64", "amd64", "i686", "i386"):
        int8 = "vnni" if words & {"avx_vnni", "avx512_vnni"} else "saturating"
    return Processor(
        architecture=architecture,
        name=fields.get("model name") or architecture,
        features=known,
        int8=int8,
        choice=_CHOICES[int8],
    )
