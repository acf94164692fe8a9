"""Calls from elsewhere: sound and transcripts of other systems, made into recordings.

Voice activity comes first, so that a replay can place the caller's utterances relative to another
agent's voice; then words, those of a transcript or the embedded recogniser's; then turns.
"""

__all__ = ["imported_call", "sound", "speech", "transcript"]
