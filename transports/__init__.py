"""Where frames enter and leave a call."""
