"""Ranking targets and their candidate lists; front door: `candidate_lists`."""
