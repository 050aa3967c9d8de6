"""F in the served graph is F of preparation, on the targets of a simulated log."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import PrepareSettings, TextSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SessionSettings, SimulateSettings, WorldSettings
from tests.user_tf.serving.served_requests import tensors
from user_tf.config import Config
from user_tf.serving.bundle import make_graph
from user_tf.serving.client.history_buffer import HistoryBuffer
from user_tf.serving.graph.request_features import OF_SNAPSHOT
from user_tf.serving.logged_requests import read_dataset_events, target_requests

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    root = tmp_path_factory.mktemp("features")
    write_simulated_log(
        SimulateSettings(
            output=str(root / "log"),
            users=90,
            world=WorldSettings(topics=8, subtopics=3, documents=300),
            session=SessionSettings(sessions=14.0),
        )
    )
    prepare(
        PrepareSettings(
            log=(str(root / "log"),),
            output=str(root / "dataset"),
            scenarios=("unified",),
            text=TextSettings(width=16, word2vec_epochs=0, minimum_count=3, oov_buckets=50),
        )
    )
    dataset = open_dataset(root / "dataset")
    return dataset, read_dataset_events(dataset, root / "log")


@pytest.fixture(scope="module")
def requests(logged):
    """Return 1,000 targets, or all."""
    splits = ("test", "validation", "train")
    every = (target_requests(*logged, "unified", split) for split in splits)
    return list(itertools.islice(itertools.chain(*every), 1000))


def columns(dataset, among):
    return [n for n, name in enumerate(dataset.feature_names) if (name in OF_SNAPSHOT) == among]


def compute(graph, requests):
    """Return F of each request, in batches of many."""
    forward = tf.function(graph.features.compute)
    for first in range(0, len(requests), 100):
        part = requests[first : first + 100]
        found = forward(tensors([request for _, request in part])).numpy()
        for values, (_, request) in zip(found, part, strict=True):
            yield values[: len(request.candidates)]


def test_what_a_request_carries_gives_preparations_f_on_1000_targets(logged, requests, tmp_path):
    dataset, _ = logged
    graph = make_graph(dataset, Config(), tmp_path)
    own = columns(dataset, False)
    assert len(requests) == 1000 and len(own) == 13
    expected = np.concatenate([np.array(request.features) for _, request in requests])
    found = np.concatenate(list(compute(graph, requests)))
    assert np.isnan(found[:, columns(dataset, True)]).any()
    wrong = np.abs(found - expected)[:, own] > TOLERANCE
    names = np.array(dataset.feature_names)[own]
    assert not wrong.any(), dict(zip(names, wrong.sum(axis=0).tolist(), strict=True))
    assert (expected[:, own].std(axis=0) > 0).all()


def test_a_snapshot_at_a_targets_time_gives_all_of_f(logged, requests, tmp_path):
    dataset, events = logged
    times = dict(zip(*dataset.targets(["target_id", "time"]).to_pydict().values(), strict=True))
    for target, request in [item for item in requests if item[1].query][::200]:
        # Tables of one file name are one table in a process.
        folder = tmp_path / str(target)
        folder.mkdir()
        graph = make_graph(dataset, Config(), folder, events.snapshot(times[target]))
        [found] = compute(graph, [(target, request)])
        np.testing.assert_allclose(found, np.array(request.features), atol=TOLERANCE)


def test_without_openings_the_titles_of_the_history_count(logged, requests, tmp_path):
    dataset, _ = logged
    graph = make_graph(dataset, Config(), tmp_path)
    number = dataset.feature_names.index("user_document_clicks")
    some = [item for item in requests if item[1].query and item[1].history][:100]
    bare = [(target, dataclasses.replace(request, opened=())) for target, request in some]
    for values, (_, request) in zip(compute(graph, bare), bare, strict=True):
        titles = [title for item in request.history for title in item.titles]
        expected = [np.log1p(titles.count(title)) for title in request.candidates]
        np.testing.assert_allclose(values[:, number], expected, atol=1e-6)


def test_documents_that_became_known_together_share_a_rank(logged, tmp_path):
    dataset, _ = logged
    graph = make_graph(dataset, Config(), tmp_path)
    buffer = HistoryBuffer()
    for time, title in ((0, "a"), (100, "b"), (100, "c"), (200, "d")):
        buffer.add_browse(time, title)
    request = buffer.request(2000, ["a", "b", "c", "d", "e"])
    assert [item.together for item in request.opened] == [False, False, True, False]
    [found] = compute(graph, [(0, request)])
    # As preparation counts: 1 / (1 + documents opened after it).
    recency = found[:, dataset.feature_names.index("recency")]
    np.testing.assert_allclose(recency, [1 / 4, 1 / 2, 1 / 2, 1, 0], atol=1e-6)


def test_a_snapshot_lists_nothing_of_few_users(logged):
    _, events = logged
    everything, limited = (events.snapshot(2**62, minimum) for minimum in (1, 3))
    assert set(limited.titles) < set(everything.titles)
    assert set(limited.queries) < set(everything.queries)
    assert set(limited.pair_queries) <= set(limited.queries)
    assert set(limited.pair_titles) <= set(limited.titles)
