"""Writes README's tables, RESULTS.md and flagfile headers from `benchmarks/results`."""
