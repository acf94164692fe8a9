"""What is computed from a document is kept for it, and for no other."""

from dataclasses import replace

from knowledge.loading.document import Document, load
from knowledge.per_document import per_document


def test_a_result_is_computed_once_and_never_given_to_another_document() -> None:
    asked: list[str] = []

    @per_document
    def title(document: Document) -> str:
        asked.append(document.title)
        return document.title

    document = load()
    # Made by hand, it has the hash of the file that it does not come from.
    other = replace(document, title="Ada Lovelace")
    assert [title(document), title(other), title(document)] == [
        "Grace Hopper",
        "Ada Lovelace",
        "Grace Hopper",
    ]
    assert asked == ["Grace Hopper", "Ada Lovelace"]


def test_only_the_documents_used_last_are_kept() -> None:
    asked: list[str] = []

    @per_document
    def title(document: Document) -> str:
        asked.append(document.title)
        return document.title

    first = load()
    title(first)
    for number in range(8):
        title(replace(first, title=f"Document {number}"))
    title(first)
    assert asked.count(first.title) == 2
