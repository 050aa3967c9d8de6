"""Evaluation on complete lists: metrics, heuristics, significance, comparison."""
