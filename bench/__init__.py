"""Benchmarks: what Parley does in a second, beside the least that the same machine could do the same work with. Run with `python -m bench`."""
