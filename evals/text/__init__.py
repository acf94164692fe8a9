"""Conversations in writing: a document is asked in text, with everything of a call but its sound.

:func:`~evals.text.session.viva_session` asks one question after another,
:mod:`evals.text.questions` reads files of questions and what is expected, :mod:`evals.text.run`
asks them and holds the replies against it.
"""

__all__ = ["answers", "junit", "page", "questions", "run", "session"]
