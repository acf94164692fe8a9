"""``viva doctor``: checks the machine and its settings, and says what to change."""
