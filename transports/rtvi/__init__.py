"""The transport for RTVI clients: the same call over pipecat's protobuf frames.

:class:`~transports.rtvi.page.RtviPage` stands in for the browser's page, and
:class:`~transports.rtvi.events.EventTranslator` translates its messages to RTVI's. docs/rtvi.md
describes what differs.
"""

__all__ = ["page"]
