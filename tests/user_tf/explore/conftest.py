"""A small log, its dataset, runs with random weights and a served model, shared by this folder."""

import json

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import PrepareSettings, PseudoNegativeSettings, TextSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SessionSettings, SimulateSettings, WorldSettings
from tests.user_tf.predict.conftest import SPECS
from tests.user_tf.reporting.made_runs import make_run
from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.evaluation import evaluated_targets, evaluator, heuristics, metrics_table
from user_tf.explore.exploration import open_exploration
from user_tf.explore.site import make_site

SIGNALS = ["in the history", "is the query"]


class StandIn(tf.Module):
    """Scores a title 10 for each time it is in the history, and 3 where it is the query."""

    @tf.function(autograph=False)
    def explain(self, **request):
        titles, candidates = request["history_titles"], request["candidates"]
        real = tf.reduce_sum(request["history_title_count"], axis=1)
        seen = tf.sequence_mask(real, tf.shape(titles)[1])[:, None]
        found = tf.cast((candidates[:, :, None] == titles[:, None]) & seen, tf.float32)
        asked = tf.cast(candidates == request["query"][:, None], tf.float32)
        parts = tf.stack([10 * tf.reduce_sum(found, -1), 3 * asked], axis=-1)
        slots = tf.shape(request["history_session"])[1]
        mask = tf.sequence_mask(request["history_count"], slots, tf.float32)
        attention = mask / tf.maximum(tf.reduce_sum(mask, 1, keepdims=True), 1)
        return {
            "scores": tf.reduce_sum(parts, -1),
            "contributions": parts,
            "attention": attention,
        }

    @tf.function(autograph=False)
    def rank(self, **request):
        return {"scores": self.explain(**request)["scores"]}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Folder of a log, its dataset, three runs and a model that serves searches only."""
    root = tmp_path_factory.mktemp("explore")
    write_simulated_log(
        SimulateSettings(
            output=str(root / "log"),
            users=25,
            world=WorldSettings(topics=8, subtopics=3, documents=400, words="readable"),
            session=SessionSettings(sessions=12.0),
        )
    )
    prepare(
        PrepareSettings(
            log=(str(root / "log"),),
            output=str(root / "dataset"),
            scenarios=("unified", "recommendation"),
            text=TextSettings(
                width=tiny_dataset.WIDTH, word2vec_epochs=0, minimum_count=3, oov_buckets=50
            ),
            pseudo_negatives=PseudoNegativeSettings(count=4),
        )
    )
    dataset = open_dataset(root / "dataset")
    for number, name in enumerate(("user", "user_plus", "nrms")):
        scenario = "recommendation" if name == "nrms" else "unified"
        make_run(root / name, dataset, name, scenario)
        if name != "nrms":
            write_evaluation(root / name, dataset, number)
    make_residual_count(root / "user_plus")
    write_model(root / "model")
    return root


def make_residual_count(run):
    """Give the residual of USER+, which begins at 0, random weights."""
    draw = np.random.default_rng(1)

    def fill(name, item):
        if isinstance(item, h5py.Dataset) and name.startswith("head/"):
            item[...] = draw.normal(0, 0.5, item.shape)

    with h5py.File(run / "pretrain" / run_folder.BEST, "r+") as file:
        file.visititems(fill)


def write_evaluation(run, dataset, seed):
    """Write the per-query file of random scores, as `user_tf.evaluate` does."""
    tables = []
    targets = evaluated_targets.load(dataset, "test")
    for task in ("search", "recommendation"):
        mine = targets.select_task(task)
        lists = heuristics.rankings(mine, 1)
        scores = {"model": np.random.default_rng(seed).random(mine.mask.shape), **lists}
        found = {
            name: evaluator.evaluate(mine, mine.target_id, values)
            for name, values in scores.items()
        }
        tables.append(metrics_table.query_table(found, "model"))
    (run / "evaluation").mkdir()
    pq.write_table(pa.concat_tables(tables), run / "evaluation" / "test-queries.parquet")


def write_model(folder):
    module = StandIn()
    specs = {name: tf.TensorSpec(shape, kind, name) for name, (shape, kind) in SPECS.items()}
    functions = {
        name: getattr(module, name).get_concrete_function(**specs) for name in ("rank", "explain")
    }
    tf.saved_model.save(module, str(folder / "1"), functions)
    (folder / "1" / "assets.extra").mkdir()
    manifest = {"tasks": ["search"], "contributions": SIGNALS, "scenario": "unified"}
    (folder / "1" / "assets.extra" / "export.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="session")
def exploration(folder):
    runs = [str(folder / name) for name in ("user", "user_plus", "nrms")]
    return open_exploration(runs, str(folder / "model"), [str(folder / "log")])


@pytest.fixture(scope="session")
def bare(folder):
    """The explorer of one run, without log and model."""
    return open_exploration([str(folder / "user")])


@pytest.fixture(scope="session")
def targets(exploration):
    """Test targets of each task with a past, as `Target`."""
    table = exploration.dataset.targets(["target_id", "split", "task", "past_behaviors"])
    rows = [
        row for row in table.to_pylist() if row["split"] == "test" and row["past_behaviors"] > 3
    ]
    codes = {"search": 2, "recommendation": 1}
    return {
        task: [exploration.catalogue.find(row["target_id"]) for row in rows if row["task"] == code]
        for task, code in codes.items()
    }


@pytest.fixture
def client(exploration):
    return make_site(exploration).test_client()
