import numpy as np
import pytest

from data_pipeline.description.histograms import (
    Histogram,
    doubling,
    names_of_bins,
    session_lengths,
    transitions,
)
from data_pipeline.preparation.prepare_folder import prepare

# Sessions: browse, search, search | browse | search, browse | browse, browse.
BEHAVIORS = {
    "type": np.array([1, 2, 2, 1, 2, 1, 1, 1]),
    "session": np.array([1, 1, 1, 4, 6, 6, 7, 7]),
}
NONE = {"type": np.zeros(0, np.int64), "session": np.zeros(0, np.int64)}


def test_sessions_are_counted_by_length_and_kind():
    assert session_lengths([BEHAVIORS]) == {
        "behaviors": [1, 2, 3],
        "searches only": [0, 0, 0],
        "browses only": [1, 1, 0],
        "both": [0, 1, 1],
    }


def test_a_session_is_never_followed_by_the_next_one():
    assert transitions([BEHAVIORS]) == {
        "begin": {"search": 1, "browse": 3},
        "search": {"search": 1, "browse": 1, "end": 1},
        "browse": {"search": 1, "browse": 1, "end": 3},
    }


def test_every_behavior_follows_one_thing_and_is_followed_by_one():
    random = np.random.default_rng(1)
    session = np.sort(random.integers(1, 30, 200))
    found = transitions([{"type": random.integers(1, 3, 200), "session": session}])
    for kind in ("search", "browse"):
        before = sum(row[kind] for row in found.values())
        assert before == sum(found[kind].values())
    assert sum(found["begin"].values()) == len(np.unique(session))


def test_blocks_of_users_give_the_counts_of_all_together():
    random = np.random.default_rng(2)
    session = np.sort(random.integers(1, 30, 200))
    behaviors = {"type": random.integers(1, 3, 200), "session": session}
    cut = int(np.searchsorted(session, 12))
    blocks = [
        {name: column[part] for name, column in behaviors.items()} for part in np.s_[:cut, cut:]
    ]
    for count in (session_lengths, transitions):
        assert count(blocks) == count([behaviors])


def test_no_behaviors_give_no_sessions_and_no_transitions():
    assert session_lengths([NONE])["behaviors"] == []
    assert sum(sum(row.values()) for row in transitions([NONE]).values()) == 0


def test_quantiles_and_means_are_those_of_the_values():
    values = np.random.default_rng(2).poisson(4, 501)
    histogram = Histogram.of(values)
    assert histogram.mean == pytest.approx(values.mean()) and histogram.total == 501
    assert histogram.quantile(0.5) == np.median(values)
    assert histogram.quantile(0.9) == np.quantile(values, 0.9, method="inverted_cdf")


@pytest.mark.parametrize("longest", [0, 1, 2, 4, 5, 8, 9, 100])
def test_doubling_bins_hold_every_value_and_the_last_one_is_not_empty(longest):
    firsts = doubling(longest)
    counts = Histogram.of(np.arange(longest + 1)).binned(firsts)
    assert sum(counts) == longest + 1 and counts[-1] > 0
    names = names_of_bins(firsts, longest)
    assert len(names) == len(counts) and names[-1].endswith(str(longest))
    assert counts[3:-1] == [2**n for n in range(1, len(counts) - 3)]


def test_prepare_counts_the_sessions_and_their_transitions(builder, tmp_path, small_settings):
    for doc in "abc":
        builder.document(doc)
    # Of u: search, recommendation click, search | browse; of v: search.
    builder.request("r1", "u", 0, "red", ("a", 5, None), "b")
    builder.request("r2", "u", 60, "", "c", ("a", 65, 1.0))
    builder.request("r3", "u", 120, "red", ("b", 130, None), "c")
    builder.browse("u", 9_000, "c").request("r4", "v", 0, "blue", "a", ("b", 5, None))
    split = {"train_parts": 1, "validation_parts": 0, "test_parts": 0}
    settings = small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset", split=split)
    assert prepare(settings)["histograms"] == {
        "session_lengths": {
            "behaviors": [1, 3],
            "searches only": [1, 0],
            "browses only": [1, 0],
            "both": [0, 1],
        },
        "transitions": {
            "begin": {"search": 2, "browse": 1},
            "search": {"search": 0, "browse": 1, "end": 2},
            "browse": {"search": 1, "browse": 0, "end": 1},
        },
    }
