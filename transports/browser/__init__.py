"""The browser's transport: one WebSocket, its messages, and the paced voice.

docs/protocol.md describes the wire. :class:`~transports.browser.page.Page` is the socket,
:mod:`~transports.browser.messages` its messages, :class:`~transports.browser.voice.VoiceOutput`
sends the voice no faster than it is played, and
:class:`~transports.browser.transport.BrowserConnection` connects a call to a page.
"""

__all__ = ["announcer", "messages", "page", "resumption", "transport", "voice"]
