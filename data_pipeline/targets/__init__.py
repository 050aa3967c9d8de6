"""Targets and their candidate lists; front doors: `eligible_targets.choose_targets`, `build_lists.build_candidate_lists`."""
