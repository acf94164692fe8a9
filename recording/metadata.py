"""The metadata that a recording begins with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import SecretStr

from recording.mcap_file import FORMAT
from server_settings import ServerSettings, may_be_recorded
from version import viva_version

_LEFT_OUT = frozenset({"port"})


def plain_settings(settings: ServerSettings) -> dict[str, Any]:
    """The settings that shape a call, without secrets, addresses and paths."""
    fields = type(settings).model_fields
    return {
        name: value
        for name, value in sorted(settings.model_dump(mode="json").items())
        if may_be_recorded(fields[name])
        or (name not in _LEFT_OUT and not _may_hold_text(fields[name].annotation))
    }


def metadata(
    *,
    call: str,
    started_at: float,
    document: str,
    document_hash: str,
    settings: ServerSettings,
    vendors: Mapping[str, str],
    models: Mapping[str, str],
    source: Literal["call", "replay", "import"] = "call",
    consent: str = "",
) -> dict[str, str]:
    """Build the metadata record ``viva`` of a recording.

    Args:
        call: The call's id.
        started_at: When it began, Unix seconds.
        document: The document's title.
        document_hash: SHA-256 of the document, in hex.
        settings: The call's settings.
        vendors: Name of each stage's vendor.
        models: Model of each vendor, by its name.
        source: ``call``, ``replay`` of a recording, or ``import`` of sound.
        consent: How its caller agreed: ``"asked"`` or ``"told"``; empty for a replay.
    """
    return {
        "version": viva_version(),
        "format": FORMAT,
        "call": call,
        "started_at": repr(started_at),
        "document": document,
        "document_hash": document_hash,
        "settings": _json(plain_settings(settings)),
        "vendors": _json(vendors),
        "models": _json(models),
        "source": source,
        "consent": consent,
    }


def _json(plain: Mapping[str, Any]) -> str:
    return json.dumps(dict(plain), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _may_hold_text(annotation: Any) -> bool:
    """Whether a setting can hold arbitrary text, not just a number or a choice."""
    return any(kind in (str, Path, SecretStr) for kind in (annotation, *get_args(annotation)))
