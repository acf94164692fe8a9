"""The report of a run, or of two, as one HTML file.

:func:`evals.report.report_file.write` renders it from ``scores.json``, ``run.json`` and the
recordings; :mod:`~evals.report.page` makes the report of one run, :mod:`~evals.report.pair` the
comparison of two.
"""

__all__ = ["report_file", "run", "template"]
