"""What operators watch: health, metrics, traces, logs."""
