"""What each cloud vendor sends, message by message, as its documents say it.

A grammar is one module a vendor: a class a message, with the document it is from. The simulators'
messages and the captured ones are held against it in tests, and a real vendor's by
``viva vendors check --live``.
"""

from collections.abc import Mapping

from simulators.grammar import anthropic, deepgram, elevenlabs
from simulators.grammar.message import Difference, Grammar

__all__ = ["GRAMMARS", "Difference"]

GRAMMARS: Mapping[str, Grammar] = {
    "deepgram": deepgram.NOVA,
    "deepgram-flux": deepgram.FLUX,
    "claude": anthropic.GRAMMAR,
    "elevenlabs": elevenlabs.GRAMMAR,
}
"""The grammars by the vendor's name in settings."""
