"""Relevance features F as of a target's time; front door: `relevance_features.relevance_features`."""
