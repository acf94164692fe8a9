"""Operations: health, metrics, traces, logs, the call log's pages, and several workers."""
