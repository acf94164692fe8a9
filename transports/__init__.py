"""Where frames enter and leave a call."""

import telemetry as telemetry  # before anything that has some  # isort: skip
