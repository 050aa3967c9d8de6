"""Damaged requests at the graph: refused by an argument's name, or finite scores; never NaN.

`make fuzz` makes 2,000 requests, `make test` a few; USER_TF_FUZZ_REQUESTS sets how many.
"""

import os
import re

import hypothesis
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from tests.user_tf.serving.served_requests import as_tensors
from user_tf.serving.request import PADDING_SCORE, Behavior, Opening, Request, to_arrays

COUNT = int(os.environ.get("USER_TF_FUZZ_REQUESTS", "40"))
SETTINGS = hypothesis.settings(
    max_examples=COUNT,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
TEXTS = st.sampled_from(
    ["", "red hat", "sun", "zebra", " ", "!!!", "東京", "\u3000", "a" * 300, "\ufffd", "é", "1e39"]
) | st.text(max_size=12)
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 7, 2**31, 2**32 + 2, 2**62, 2**63 - 1, -(2**63)])
FLOATS = st.sampled_from([0.0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 5.0])
REFUSED = re.compile(r"`(\w+)` must .* Got .*\. Fix: ")


@st.composite
def requests(draw):
    """Draw a valid request."""
    sessions = sorted(draw(st.lists(st.integers(1, 4), max_size=7)))
    history = tuple(
        Behavior(number, query, tuple(draw(st.lists(TEXTS, max_size=4))) if query else ("sun",))
        for number, query in ((number, draw(TEXTS)) for number in sessions)
    )
    session = (sessions or [1])[-1] + draw(st.integers(0, 1))
    opened = draw(
        st.lists(st.builds(Opening, st.sampled_from([0, session]), TEXTS, TEXTS), max_size=4)
    )
    candidates = draw(st.lists(TEXTS, min_size=1, max_size=6))
    rows = [(draw(FLOATS), draw(FLOATS)) for _ in candidates]
    return Request(
        draw(TEXTS),
        draw(TEXTS),
        session,
        history,
        tuple(candidates),
        tuple(rows),
        None,
        tuple(opened),
    )


@st.composite
def damaged(draw):
    """Draw arrays of up to three requests, damaged in up to two places, and whether they are."""
    arrays = to_arrays(draw(st.lists(requests(), min_size=1, max_size=3)), 2)
    places = draw(st.lists(st.sampled_from(sorted(arrays)), max_size=2))
    for name in places:
        value = arrays[name]
        kind = draw(st.sampled_from(["value", "rows", "columns"]))
        if kind == "value" and value.size:
            value = value.copy()
            choices = {"O": TEXTS, "i": NUMBERS, "f": FLOATS}[value.dtype.kind]
            value.flat[draw(st.integers(0, value.size - 1))] = draw(choices)
        elif kind == "rows":
            value = np.concatenate([value, value[:1]]) if draw(st.booleans()) else value[1:]
        elif value.ndim > 1:
            value = value[:, : draw(st.integers(0, value.shape[1]))]
        arrays[name] = value
    return arrays, bool(places)


@SETTINGS
@hypothesis.given(damaged())
def test_a_request_is_scored_or_refused_by_name(served, drawn):
    arrays, is_damaged = drawn
    try:
        found = served["rank_with_features"](**as_tensors(arrays))["scores"].numpy()
    except tf.errors.InvalidArgumentError as error:
        refused = REFUSED.search(error.message)
        assert refused and refused[1] in arrays, error.message
        assert is_damaged, "a valid request must be scored"
        return
    real = np.arange(found.shape[1]) < arrays["candidate_count"][:, None]
    assert np.isfinite(found).all() and (found[~real] == PADDING_SCORE).all()
    assert (found[real] > PADDING_SCORE).all()
