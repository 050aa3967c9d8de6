"""Requests that a server lays together get the scores they get alone."""

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.serving.served_requests import (
    HISTORY,
    RECOMMENDATION,
    SEARCH,
    as_tensors,
    replace,
)
from tests.user_tf.serving.server_batching import as_rest, lay_together
from user_tf.serving.request import PADDING_SCORE, Behavior, to_arrays

ONE_CLICK = (Behavior(2, "shoe", ("red shoe",)),)
LONG = tuple(sorted(HISTORY * 4, key=lambda behavior: behavior.session))
REQUESTS = (
    replace(SEARCH, history=()),
    SEARCH,
    replace(RECOMMENDATION, history=()),
    replace(SEARCH, user_id="carol", history=HISTORY[:1], session=1, candidates=("sock",)),
    RECOMMENDATION,
    replace(SEARCH, history=ONE_CLICK, candidates=("big hat", "", "zebra", "sun", "rain", "hat")),
    replace(RECOMMENDATION, history=LONG, candidates=("rain", "rain")),
)


@pytest.mark.parametrize("shape", [dict, as_rest])
@pytest.mark.parametrize("features", [None, 2])
def test_a_batch_of_the_server_scores_as_its_requests_alone(served, shape, features):
    signature = served["rank" if features is None else "rank_with_features"]
    draw = np.random.default_rng(0)
    requests = []
    for request in REQUESTS:
        rows = draw.normal(size=(len(request.candidates), 2)).tolist()
        with_features = replace(request, features=None if features is None else rows)
        requests.append(shape(to_arrays([with_features], features)))
    for order in (range(len(requests)), reversed(range(len(requests)))):
        order = list(order)
        together = signature(**as_tensors(lay_together([requests[n] for n in order])))
        for row, number in enumerate(order):
            alone = signature(**as_tensors(requests[number]))["scores"].numpy()[0]
            count = len(REQUESTS[number].candidates)
            found = together["scores"].numpy()[row]
            np.testing.assert_allclose(found[:count], alone[:count], atol=1e-5)
            assert (found[count:] == PADDING_SCORE).all()


def test_an_empty_history_of_a_rest_request_has_no_column(served):
    arrays = as_rest(to_arrays([REQUESTS[0]]))
    names = [name for name in arrays if name.startswith("history_") and name != "history_count"]
    assert [arrays[name].shape for name in names] == [(1, 0)] * len(names)
    found = served["rank"](**as_tensors(arrays))["scores"].numpy()
    np.testing.assert_allclose(
        found, served["rank"](**as_tensors(to_arrays([REQUESTS[0]])))["scores"], atol=1e-6
    )


def test_one_clicked_title_of_three_is_a_request(served):
    arrays = as_rest(to_arrays([REQUESTS[5]]))
    assert arrays["history_titles"].shape == (1, 1)
    assert tf.math.is_finite(served["rank"](**as_tensors(arrays))["scores"]).numpy().all()
