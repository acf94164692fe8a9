"""The call log: calls and turns, filtered, totalled and listed."""
