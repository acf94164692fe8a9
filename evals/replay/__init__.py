"""Replay: runs recorded calls again in virtual time; any stage may be re-run by another vendor.

:func:`evals.replay.recorded_call.replay` replays one recording,
:class:`~evals.replay.batch.Batch` many, in worker processes or on Ray. Stages that are not re-run
give what they gave in the recording. docs/replay.md describes the rules.
"""

__all__ = ["batch", "processes", "ray_tasks", "recorded_call", "virtual_time"]
