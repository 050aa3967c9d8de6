"""Evaluation of whole lists: metrics, non-learned rankings, the evaluator."""
