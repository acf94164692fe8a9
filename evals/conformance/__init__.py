"""The conformance suite: whether vendors do what their stages must."""
