"""Sign-in: links by mail, sessions, and their pages."""
