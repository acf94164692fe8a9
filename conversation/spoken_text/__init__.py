"""Text normalisation for speech: numbers, symbols and abbreviations become words.

Works on text alone, without I/O or pipecat. Start with
:class:`~conversation.spoken_text.normaliser.Normaliser`.
"""

__all__ = ["english", "normaliser"]
