"""Keeps what is computed from a document, so that all calls of a process share it."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from knowledge.loading.document import Document

_T = TypeVar("_T")

_KEPT = 8  # documents; a server has one, tests and evaluations have several


def per_document(compute: Callable[[Document], _T]) -> Callable[[Document], _T]:
    """Keep a function's results for the documents used last.

    Documents are distinguished by identity: a process loads its document once, and documents that
    do not come from a file have no hash.
    """
    kept: list[tuple[Document, _T]] = []

    @wraps(compute)
    def once(document: Document) -> _T:
        for known, value in kept:
            if known is document:
                return value
        value = compute(document)
        kept.append((document, value))
        del kept[:-_KEPT]
        return value

    return once
