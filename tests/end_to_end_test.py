"""The real commands one after the other, from a simulated log to a ranking by the SavedModel."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

ROOT = pathlib.Path(__file__).parents[1]
TINY = [
    "--model.width=8",
    "--model.heads=2",
    "--model.head_width=4",
    "--model.feed_forward=16",
    "--data.batch.windows_per_batch=6",
    "--data.batch.rungs=0",
    "--train.pretrain_epochs=2",
    "--train.finetune_epochs=1",
    "--noruntime.tensorboard",
]


def command(module, *arguments):
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


@pytest.fixture(scope="module", params=["lists", "browses"])
def work(request, tmp_path_factory):
    """Everything made from a tiny log of either shape; folder."""
    work = tmp_path_factory.mktemp(request.param)
    log, dataset, run = f"{work}/log", f"{work}/dataset", f"{work}/run"
    command("data_pipeline.simulate", "--users=40", f"--output={log}", f"--shape={request.param}")
    command(
        "data_pipeline.prepare",
        f"--log={log}",
        f"--output={dataset}",
        "--text.width=8",
        "--text.word2vec_epochs=1",
        "--scenarios=unified",
    )
    command(
        "data_pipeline.truth",
        f"--log={log}",
        f"--dataset={dataset}",
        f"--output={work}/truth.parquet",
    )
    # A first call that is cut off, then the same command to the end.
    training = [f"--data.dataset={dataset}", f"--run={run}", *TINY]
    command("user_tf.train", *training, "--train.stop_after_steps=3")
    command("user_tf.train", *training)
    printed = command("user_tf.evaluate", f"--run={run}", f"--truth={work}/truth.parquet")
    (work / "printed.txt").write_text(printed)
    command("user_tf.export", f"--run={run}", f"--log={log}", f"--output={work}/model")
    command(
        "user_tf.predict",
        f"--model={work}/model",
        f"--requests={work}/model/1/assets.extra/example_request.jsonl",
        f"--output={work}/scores.jsonl",
    )
    return work


def test_every_test_target_is_evaluated_beside_what_learns_nothing(work):
    content = json.loads((work / "run/evaluation/test.json").read_text())
    targets = pq.read_table(work / "dataset/targets.parquet").to_pylist()
    for task, code in (("recommendation", 1), ("search", 2)):
        part = content["tasks"][task]
        here = [row for row in targets if row["split"] == "test" and row["task"] == code]
        assert part["queries"] + part["left_out"] == len(here)
        assert part["phase"] == task
        rankings = part["rankings"]
        assert {"original order", "random", "popularity", "most recently touched", "best known"} < (
            set(rankings)
        )
        values = {name: entry["metrics"]["map"] for name, entry in rankings.items()}
        assert all(0 < value <= 1 for value in values.values())
        if not here[0]["pseudo"]:
            assert values["best known"] == max(values.values())
    printed = (work / "printed.txt").read_text()
    assert "MAP" in printed and "most recently touched" in printed


def test_the_table_of_queries_holds_one_row_a_query(work):
    table = pq.read_table(work / "run/evaluation/test-queries.parquet")
    keys = list(zip(table["target_id"].to_pylist(), table["task"].to_pylist(), strict=True))
    targets = pq.read_table(work / "dataset/targets.parquet", columns=["split"])[
        "split"
    ].to_pylist()
    assert len(keys) == len(set(keys)) == targets.count("test")


def test_the_served_model_ranks_the_example(work):
    answer = json.loads((work / "scores.jsonl").read_text().splitlines()[0])
    scores = np.array(answer["scores"])
    assert np.isfinite(scores).all()
    assert answer["ranking"] == np.argsort(-scores, kind="stable").tolist()


def test_interrupted_training_left_every_phase_done(work):
    for phase in ("pretrain", "search", "recommendation"):
        assert (work / "run" / phase / "done.json").exists()
        assert (work / "run" / phase / "best.weights.h5").exists()
