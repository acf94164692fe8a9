"""How fast and how right Viva is, beside what people would use instead."""

import telemetry as telemetry  # each may be run by itself
