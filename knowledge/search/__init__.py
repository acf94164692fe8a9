"""Search: the sentences of a document that answer a question."""

__all__ = [
    "answer",
    "clarification",
    "follow_up",
    "gate",
    "passage",
    "query",
    "reader",
    "retrieval",
    "semantic_topic_filter",
    "vector_cache",
]
