"""Sign-in: links by mail, sessions, and their pages."""

__all__ = ["authenticator", "cookies", "link_mail", "links", "pages", "sessions"]
