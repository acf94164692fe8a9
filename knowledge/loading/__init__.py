"""Loads a document, Markdown or JSON Resume with front matter, into sections and lines."""

__all__ = ["document", "frontmatter", "section"]
