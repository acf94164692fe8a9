"""What a recorded call is: one MCAP file, written while it goes on, read back whole."""

import telemetry as telemetry  # before anything that has some  # isort: skip
