"""Every ranker is served: a request has the scores it has alone, whatever was clicked."""

import pytest

from tests.user_tf.serving.served_requests import RECOMMENDATION, SEARCH, replace, scores
from user_tf.registry import RANKERS
from user_tf.serving.signatures import ServedModel

# The other files of this folder serve `user`. These three read clicked titles by themselves.
FIRST = ("user_plus", "rpmn", "nrms_unified")
LATER = [pytest.param(name, marks=pytest.mark.slow) for name in RANKERS if name not in FIRST]


@pytest.mark.parametrize("name", [*FIRST, *LATER])
def test_it_has_rank_with_features_for_any_number_of_clicked_titles(graph, make_ranker, name):
    ranker = make_ranker(1, name=name)
    served = ServedModel(graph, {"search": ranker, "recommendation": ranker})
    assert {"rank", "rank_with_features"} <= set(served.names)
    signature = served.trace("rank_with_features")
    # At most two clicked titles of a past search, one, and none.
    fewer = [replace(SEARCH, history=SEARCH.history[first:]) for first in (1, 4)]
    scores({"rank_with_features": signature}, SEARCH, *fewer, RECOMMENDATION, features=2)
