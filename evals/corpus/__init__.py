"""The corpus: recorded calls to the bundled CV, with what a right agent does in each."""
