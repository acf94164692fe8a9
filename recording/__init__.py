"""Recordings: one MCAP file a call, written while the call goes on and read back whole.

:class:`~recording.recorder.Recorder` observes a call, :class:`~recording.writer.RecordingWriter`
writes the files of all calls in one thread, and :class:`~recording.recording.Recording` reads one
and verifies its checksums. docs/recording.md describes the format.
"""

import telemetry as telemetry  # before any library with telemetry  # isort: skip

__all__ = [
    "commands",
    "frames",
    "mcap_file",
    "message",
    "metadata",
    "recorder",
    "recording",
    "rewriting",
    "schemas",
    "sound",
    "writer",
]
