"""Transports: carry audio and messages between a caller and the chain of a call.

:mod:`transports.browser` serves Viva's page, :mod:`transports.rtvi` pipecat's client SDKs, and
:mod:`transports.replay` replayed calls; :class:`~transports.switchboard.Switchboard` admits calls
and holds them.
"""

import telemetry as telemetry  # before any library with telemetry  # isort: skip

__all__ = ["browser", "connection_check", "front_page", "replay", "rtvi", "switchboard"]
