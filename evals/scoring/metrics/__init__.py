"""What calls are scored by, one family of metrics a module; docs/metrics/ defines each."""
