"""Search: the sentences of a document that answer a question."""
