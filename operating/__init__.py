"""Operations: health, metrics, traces, logs, the call log's pages, and several workers."""

__all__ = [
    "breaker",
    "call_log",
    "capacity",
    "connections",
    "doctor",
    "exposition",
    "gauges",
    "health",
    "lag",
    "logs",
    "metrics",
    "stop",
    "supervisor",
    "traces",
]
