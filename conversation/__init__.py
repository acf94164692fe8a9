"""The state of a call, without I/O: its frames, turns, playback, usage and records.

:class:`~conversation.turns.Conversation` owns the turns; stages and transports report to it. A
:class:`~conversation.records.CallListener` receives the records of calls and turns, a
:class:`~conversation.observer.CallObserver` everything that happens in a call. Importing the
package loads none of its modules, so that wording a report does not import pipecat.
"""

__all__ = [
    "alignment",
    "echo",
    "far_end",
    "frames",
    "meter",
    "observer",
    "playback",
    "records",
    "spoken_text",
    "turns",
    "utterance",
    "wording",
]
