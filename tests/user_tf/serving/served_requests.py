"""Requests and their scores, shared by the tests of the served graph."""

import numpy as np
import tensorflow as tf

from user_tf.serving.request import PADDING_SCORE, Behavior, Request, to_arrays

HISTORY = (
    Behavior(1, "shoe", ("big shoe", "red shoe")),
    Behavior(1, "", ("sun",)),
    Behavior(2, "rain", ()),
    Behavior(3, "", ("small hat",)),
)
SEARCH = Request("alice", "red hat", 3, HISTORY, ("red hat", "sock", "", "zebra", "big sun"))
RECOMMENDATION = Request("bob", "", 3, HISTORY, ("red hat", "sock", "rain"))
DTYPES = {
    "user_id": (tf.string, 1),
    "query": (tf.string, 1),
    "session": (tf.int64, 1),
    "history_count": (tf.int64, 1),
    "history_session": (tf.int64, 2),
    "history_query": (tf.string, 2),
    "history_title_count": (tf.int64, 2),
    "history_titles": (tf.string, 2),
    "opened_count": (tf.int64, 1),
    "opened_session": (tf.int64, 2),
    "opened_query": (tf.string, 2),
    "opened_titles": (tf.string, 2),
    "opened_together": (tf.int64, 2),
    "candidate_count": (tf.int64, 1),
    "candidates": (tf.string, 2),
}


def replace(request, **changes):
    return Request(**(vars(request) | changes))


def as_tensors(arrays):
    return {
        name: tf.constant(
            value.tolist(), tf.string if value.dtype == object else value.dtype, value.shape
        )
        for name, value in arrays.items()
    }


def tensors(requests, features=None):
    return as_tensors(to_arrays(requests, features))


def scores(served, *requests, features=None):
    """Return the scores of requests in one batch, which must equal those of each request alone."""
    signature = served["rank" if features is None else "rank_with_features"]
    together = signature(**tensors(requests, features))["scores"].numpy()
    for row, request in zip(together, requests, strict=True):
        alone = signature(**tensors([request], features))["scores"].numpy()[0]
        np.testing.assert_allclose(row[: len(alone)], alone, atol=1e-4)
        assert (row[len(alone) :] == PADDING_SCORE).all()
        assert np.isfinite(alone).all() and (alone != PADDING_SCORE).all()
    return [row[: len(request.candidates)] for row, request in zip(together, requests, strict=True)]
