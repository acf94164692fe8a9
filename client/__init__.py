"""The other end of the wire: its protocol without I/O, callers without a browser, WAV files."""

__all__ = ["caller", "connection", "handset", "protocol", "wav"]
