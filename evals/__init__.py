"""Evaluations: recorded calls replayed, scored, compared, and held to a standard."""

import telemetry as telemetry  # a cluster's workers begin here
