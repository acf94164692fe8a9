"""Examples of what a developer adds to Viva; docs/developing.md walks through them."""
