"""What a call is: its chain, frames, settings, vendors and clock."""

import telemetry as telemetry  # before anything that has some  # isort: skip
