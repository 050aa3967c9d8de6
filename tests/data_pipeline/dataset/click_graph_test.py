"""The click graph: which edges a dataset has, and who is near whom."""

import numpy as np
import pytest
import scipy.sparse

from data_pipeline.dataset import click_graph
from data_pipeline.dataset.click_graph import nearest, training_clicks
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare

HOUR = 3600


@pytest.fixture
def dataset(builder, small_settings, tmp_path):
    """Five training sessions, one of validation, two of test; "c" has no recommendation."""

    def recommend(user, at, clicked):
        builder.request(f"r{at}", user, at, "", (clicked, at + 60, None), "d0")

    for number in range(8):
        builder.document(f"d{number}")
    recommend("a", 0, "d1")
    builder.browse("a", 120, "d6")
    recommend("b", 2 * HOUR, "d1")
    builder.browse("c", 3 * HOUR, "d1")
    builder.request("s1", "c", 3 * HOUR + 60, "title", ("d1", 3 * HOUR + 90, None), "d0")
    recommend("a", 4 * HOUR, "d2")
    recommend("b", 6 * HOUR, "d2")
    builder.request("s2", "b", 6 * HOUR + 300, "title", ("d3", 6 * HOUR + 360, None), "d0")
    recommend("a", 8 * HOUR, "d4")
    recommend("b", 10 * HOUR, "d5")
    recommend("a", 12 * HOUR, "d5")
    settings = small_settings(
        log=builder.write(tmp_path / "log"),
        output=tmp_path / "dataset",
        sequence={"relevance": "click"},
    )
    prepare(settings)
    return open_dataset(settings.output)


@pytest.mark.parametrize("scenario", ["unified", "recommendation"])
def test_edges_are_browses_and_positives_of_training_alone(dataset, scenario):
    users, documents = training_clicks(dataset, scenario)
    edges = {
        (dataset.user_ids[user], dataset.document_ids[document])
        for user, document in zip(users, documents, strict=True)
    }
    # The clicks on d2 are nobody's history in training: they are positives.
    assert edges == {("a", "d1"), ("a", "d6"), ("b", "d1"), ("a", "d2"), ("b", "d2")}
    assert len(users) == len(edges)


def test_neighbors_of_a_dataset_are_by_its_row_numbers(dataset):
    graph = click_graph.click_graph(dataset, "recommendation", 2)
    a, b = (dataset.user_ids.index(name) for name in "ab")
    d1, d2, d6 = (dataset.document_ids.index(name) for name in ("d1", "d2", "d6"))
    assert graph.users[[0, a, b]].tolist() == [[0, 0], [b, 0], [a, 0]]
    assert graph.documents[[d1, d2]].tolist() == [[d2, d6], [d1, d6]]
    assert graph.documents[d6].tolist() == sorted([d1, d2])
    others = np.setdiff1d(np.arange(len(dataset.document_ids)), [d1, d2, d6])
    assert not graph.documents[others].any()


@pytest.mark.parametrize("paths", [1, 7, 10_000])
def test_nearest_equals_counting_pair_by_pair_in_blocks_of_any_size(monkeypatch, paths):
    monkeypatch.setattr(click_graph, "_PATHS", paths)
    draw = np.random.default_rng(0)
    for density in (0.0, 0.1, 0.4):
        clicks = (draw.random((14, 9)) < density).astype(np.int64)
        clicks[0] = clicks[:, 0] = 0
        rows = np.zeros((14, 3), np.int64)
        for row in range(14):
            shared = [np.flatnonzero(clicks[row] & other) for other in clicks]
            ranked = sorted((-len(s), other) for other, s in enumerate(shared) if len(s))
            ranked = [other for _, other in ranked if other != row][:3]
            rows[row, : len(ranked)] = ranked
        np.testing.assert_array_equal(nearest(scipy.sparse.csr_array(clicks), 3), rows)
