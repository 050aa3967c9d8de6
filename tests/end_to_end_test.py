"""The real commands one after the other, from a simulated log to a ranking by the SavedModel."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import user_tf
from data_pipeline.log.user_ids import key_fingerprint
from tests.byte_scan import found_in, written_below
from tests.user_tf.training import tiny_dataset

ROOT = pathlib.Path(__file__).parents[1]
KEY, USERS = "k3y-of-the-owner", ["--users=40"]
TINY = [
    *tiny_dataset.SMALL_MODEL,
    "--data.batch.windows_per_batch=6",
    "--data.batch.fixed_sizes=off",
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
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "USER_TF_USER_KEY": KEY},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout + ran.stderr


@pytest.fixture(scope="session")
def make_work(tmp_path_factory):
    """Return the function that runs every command on a tiny log of one shape, once a shape."""

    @functools.cache
    def make(shape):
        work = tmp_path_factory.mktemp(shape)
        log, dataset, run = f"{work}/log", f"{work}/dataset", f"{work}/run"
        told = command(
            "data_pipeline.simulate", *USERS, f"--shape={shape}", f"--output={log}", "--mask_users"
        )
        told += command(
            "data_pipeline.prepare",
            f"--log={log}",
            f"--output={dataset}",
            "--text.width=8",
            "--text.word2vec_epochs=1",
            "--scenarios=unified",
        )
        told += command(
            "data_pipeline.truth",
            f"--log={log}",
            f"--dataset={dataset}",
            f"--output={work}/truth.parquet",
        )
        # A first call that is cut off, then the same command to the end.
        training = [f"--data.dataset={dataset}", f"--run={run}", *TINY]
        told += command("user_tf.train", *training, "--train.stop_after_steps=3")
        told += command("user_tf.train", *training)
        told += command("user_tf.evaluate", f"--run={run}", f"--truth={work}/truth.parquet")
        told += command("user_tf.export", f"--run={run}", f"--log={log}", f"--output={work}/model")
        told += command(
            "user_tf.predict",
            f"--model={work}/model",
            f"--requests={work}/model/1/assets.extra/example_request.jsonl",
            f"--output={work}/scores.jsonl",
        )
        (work / "printed.txt").write_text(told)
        return work

    return make


@pytest.fixture(scope="module", params=["lists", pytest.param("browses", marks=pytest.mark.slow)])
def work(request, make_work):
    """Return the folder of all that the commands made of a log of either shape."""
    return make_work(request.param)


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


def test_no_raw_user_id_and_no_key_is_in_anything_written_or_printed(work, tmp_path):
    command("data_pipeline.simulate", *USERS, f"--output={tmp_path}/log", "--nomask_users")
    raw = set(pq.read_table(tmp_path / "log" / "requests.parquet")["user_id"].to_pylist())
    assert len(raw) > 20 and min(map(len, raw)) > 5
    written = written_below(work, "")
    assert {"run", "model", "dataset", "log"} <= {name.split("/")[0] for name in written}
    assert found_in(written, [*raw, KEY]) == set()
    # A client compares it with that of its own key.
    fingerprints = found_in(written, [key_fingerprint(KEY.encode())])
    assert "model/1/assets.extra/export.json" in {where for where, _ in fingerprints}
    # The scan sees users where there are some.
    masked = set(pq.read_table(work / "dataset" / "targets.parquet")["user_id"].to_pylist())
    assert {where for where, _ in found_in(written, masked)} & {"dataset/users.parquet"}


@pytest.fixture(scope="session")
def from_python(make_work):
    """Run the snippet of the package's docstring; return its results beside those of commands."""
    work = make_work("lists")
    data = user_tf.load_dataset(work / "dataset")
    model = user_tf.build_model(
        "user", data, width=8, num_heads=2, key_dim=4, intermediate_dim=8, fixed_sizes="off"
    )
    initial = model.get_weights()
    run = user_tf.fit(
        model,
        data,
        run=work / "python/run",
        windows_per_batch=6,
        pretrain_epochs=2,
        finetune_epochs=1,
        tensorboard=False,
    )
    for weight, before in zip(model.get_weights(), initial, strict=True):
        np.testing.assert_array_equal(weight, before)
    result = user_tf.evaluate(run, split="test", truth=work / "truth.parquet")
    version = user_tf.export(run, work / "python/model", log=work / "log")
    assert version == work / "python/model/1"
    return work, run, result, user_tf.load_served(work / "python/model")


@pytest.mark.slow
def test_training_from_python_gives_the_results_of_the_command(from_python):
    work, run, _, _ = from_python
    commanded = user_tf.Run(work / "run")
    assert run.phases == commanded.phases == ("pretrain", "search", "recommendation")
    for phase in run.phases:
        for name in ("best_map", "best_step", "steps", "groups"):
            assert run.metrics[phase][name] == commanded.metrics[phase][name]
        maps, expected = (
            [(row["step"], row["validation"]) for row in each.history[phase]]
            for each in (run, commanded)
        )
        assert maps == expected


@pytest.mark.slow
def test_a_trained_model_loads_and_a_finished_run_is_returned(from_python, capsys):
    _, run, _, _ = from_python
    trained = run.load_model("search")
    assert trained.config.width == 8
    data = user_tf.load_dataset(run.config.data.dataset)
    again = user_tf.fit(
        trained,
        data,
        run=run.path,
        **{"data.batch.fixed_sizes": "off"},
        windows_per_batch=6,
        pretrain_epochs=2,
        finetune_epochs=1,
    )
    assert again == run and capsys.readouterr().out.count("done before") == 3


@pytest.mark.slow
def test_evaluating_from_python_gives_the_numbers_of_the_command(from_python):
    work, run, result, _ = from_python
    expected = json.loads((work / "run/evaluation/test.json").read_text())
    assert result.content["tasks"] == expected["tasks"]
    assert json.loads((run.path / "evaluation/test.json").read_text()) == result.content
    assert 0 < result.metrics["search"]["map"] <= 1
    # The command prints the same tables.
    assert str(result).strip() in (work / "printed.txt").read_text()
    page = result._repr_html_()
    assert page.count("<table>") == 2 and "most recently touched" in page
    assert f"{result.metrics['recommendation']['mrr']:.4f}" in page


@pytest.mark.slow
def test_ranking_from_python_gives_the_scores_of_the_command(from_python):
    work, _, _, served = from_python
    example = served.version / "assets.extra/example_request.jsonl"
    request = json.loads(example.read_text())
    answer = json.loads((work / "scores.jsonl").read_text())
    ranked = served.rank(
        user_id=request["user_id"],
        query=request["query"],
        session=request["session"],
        history=[
            user_tf.Search(item["query"], item["clicked"], item["session"])
            if "query" in item
            else user_tf.Browse(item["title"], item["session"])
            for item in request["history"]
        ],
        candidates=request["candidates"],
        features=request.get("features"),
    )
    assert [candidate.position for candidate in ranked] == answer["ranking"]
    assert [candidate.score for candidate in ranked] == [
        answer["scores"][position] for position in answer["ranking"]
    ]
    assert [candidate.title for candidate in ranked] == [
        request["candidates"][position] for position in answer["ranking"]
    ]
