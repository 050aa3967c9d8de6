"""Share code of the oracles of recommendation baselines: lists instead of padding, plain loops."""

import numpy as np


def tokens_of(batch, text):
    return [token for token in batch["text_tokens"][text] if token]


def clicked_titles(batch, target, searches=False):
    """Token lists of the titles clicked before a target, oldest first, without empty ones."""
    behaviors = [
        behavior
        for session in batch["past_sessions"][target]
        if session
        for behavior in batch["session_behaviors"][session]
    ]
    titles = []
    for behavior in [*behaviors, *batch["current_behaviors"][target]]:
        kind = batch["behavior_type"][behavior]
        if behavior and kind == 1:
            titles.append(batch["behavior_text"][behavior])
        elif behavior and kind == 2 and searches:
            titles.extend(batch["behavior_clicked"][behavior])
    return [tokens for tokens in (tokens_of(batch, title) for title in titles) if tokens]


def scores(batch, news, user):
    """Scores `[T, C]`; 0 for targets that are padding.

    Args:
        batch: A Batch.
        news: Function of (target, tokens) to the vector of a title.
        user: Function of a target to the vector of its user.
    """
    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        for slot, text in enumerate(batch["candidate_text"][target]):
            result[target, slot] = user(target) @ news(target, tokens_of(batch, text))
    return result
