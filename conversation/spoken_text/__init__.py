"""What a voice is given to say for what is shown: numbers, signs and abbreviations as words.

Pure text: no I/O, nothing of pipecat's. :class:`~conversation.spoken_text.normaliser.Normaliser`
is the way in.
"""
