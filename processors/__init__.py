"""One frame processor, or one vendor's service, a file."""

import telemetry as telemetry  # before anything that has some  # isort: skip
