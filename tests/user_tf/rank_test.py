"""Withheld answers from the files of a challenge to a file of rankings, and to requests as JSON."""

import csv
import io
import json
import random
import types

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.common import flagtree
from data_pipeline.common.codes import Task
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from data_pipeline.importers import mind, trivago
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.user_ids import mask_user
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import (
    BatchSettings,
    LogSettings,
    PrepareSettings,
    SequenceSettings,
    TextSettings,
)
from tests.data_pipeline.importers.trivago.trivago_files import make_row, write_sessions
from user_tf import make_requests, rank, run_folder
from user_tf.api import rankings
from user_tf.api.rankings import Ranking, write_rankings
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.serving.request_file import rank_file
from user_tf.serving.request_json import from_json
from user_tf.serving.run_export import export_run

KEY = b"a key"
HOUR = 3600


def _make_sessions():
    """Rows of sessions of twenty users; a search of every user is withheld."""
    draw, rows = random.Random(5), []
    for user in range(20):
        name = f"USER{user:04}"
        for session in range(5):
            at = session * 5 * HOUR + user
            shown = "|".join(map(str, draw.sample(range(10, 30), 5)))
            seen, clicked = shown.split("|")[1], draw.choice(shown.split("|"))
            withheld = session == 3
            rows += [
                make_row(name, f"s{session}", at, 1, "interaction item image", seen),
                make_row(name, f"s{session}", at + 60, 2, "clickout item", clicked, shown=shown),
                make_row(name, f"s{session}", at + 90, 3, "search for poi", "Opera"),
                make_row(
                    name,
                    f"s{session}",
                    at + 120,
                    4,
                    "clickout item",
                    "" if withheld else clicked,
                    shown=shown,
                ),
            ]
    return rows


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A file of a challenge, its log and dataset, and a run with random weights that reads no F."""
    root = tmp_path_factory.mktemp("rank")
    source = trivago.read(write_sessions(root / "test.csv", _make_sessions()))
    (root / "user.key").write_bytes(KEY)
    settings = LogSettings(key_file=str(root / "user.key"))
    write_log(root / "log", source.batches, settings, source.description)
    prepare(
        PrepareSettings(
            log=(str(root / "log"),),
            output=str(root / "dataset"),
            scenarios=("unified",),
            sequence=SequenceSettings(relevance="click"),
            text=TextSettings(width=8, word2vec_epochs=0, minimum_count=1, oov_buckets=4),
        )
    )
    config = Config(
        run=str(root / "run"),
        data=DataConfig(
            dataset=str(root / "dataset"), batch=BatchSettings(features=False, length_buckets=0)
        ),
        model=ModelConfig(width=8, num_heads=2, key_dim=4, intermediate_dim=16, knrm=False),
        train=TrainConfig(phases=("search",)),
    )
    run = run_folder.open_run(config)
    keras.utils.set_random_seed(1)
    model = run_folder.build_model(config, open_dataset(config.data.dataset))
    draw = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + draw.normal(0, 0.2, variable.shape))
    (run / "search").mkdir()
    model.save_weights(run / "search" / run_folder.BEST)
    return root


def _call(monkeypatch, command, settings):
    monkeypatch.setattr(flagtree, "read", lambda _: settings)
    command.main([])


@pytest.fixture(scope="module")
def lines(work):
    """Call the command; return its rankings by request id."""
    with pytest.MonkeyPatch.context() as patch:
        output = work / "rankings.jsonl"
        _call(patch, rank, rank.RankSettings(run=str(work / "run"), output=str(output)))
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    return {row["request_id"]: row for row in rows}


def test_every_withheld_request_is_ranked_with_its_documents_best_first(work, lines):
    assert open_log(work / "log").report.tables["unlabeled"].kept == 20
    shown = {f"t{n}": row[-2].split("|") for n, row in enumerate(_make_sessions(), start=1)}
    assert set(lines) == {f"t{20 * user + 16}" for user in range(20)}
    for request, row in lines.items():
        assert sorted(row["documents"]) == sorted(shown[request])
        assert row["scores"] == sorted(row["scores"], reverse=True)
    # The scores differ, so that their order says something.
    assert all(len(set(row["scores"])) > 1 for row in lines.values())


def test_the_csv_of_trivago_names_rows_as_its_file_does(work, lines):
    # In another order than the file.
    listed = [
        Ranking(name, 0, tuple(row["documents"]), tuple(row["scores"]))
        for name, row in sorted(lines.items())
    ]
    file = io.StringIO()
    write_rankings(file, listed, "trivago", str(work / "test.csv"))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    withheld = [row for row in _make_sessions() if row[4] == "clickout item" and not row[5]]
    names = ("user_id", "session_id", "timestamp", "step")
    assert [[row[name] for name in names] for row in rows] == [
        [str(value) for value in row[:4]] for row in withheld
    ]
    items = {" ".join(row["documents"]) for row in lines.values()}
    assert {row["item_recommendations"] for row in rows} == items


def test_prediction_txt_of_mind_holds_the_rank_of_each_news_in_the_order_of_the_file(tmp_path):
    header = "Impression_ID\tUserID\tTime\tHistory\tImpressions"
    rows = [f"{number + 70}\tU{number}\t1/2/2020 1:00:00 PM\t\tN1 N2 N3" for number in range(3)]
    (tmp_path / "behaviors.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    documents = ("N1", "N2", "N3")
    listed = [
        Ranking("m3", 5, documents, (0.1, 0.3, 0.2)),
        Ranking("m1", 6, documents, (0.2, 0.2, 0.9)),
    ]
    file = io.StringIO()
    write_rankings(file, listed, "mind", str(tmp_path))
    assert file.getvalue() == "70 [2,3,1]\n72 [3,1,2]\n"
    assert mind.read_names(tmp_path)["impression_id"].to_pylist() == ["70", "71", "72"]
    with pytest.raises(
        ValueError, match=r"`source` must be what the log was imported from.* 2 of 3"
    ):
        write_rankings(file, [*listed, Ranking("m9", 1, (), ())], "mind", str(tmp_path))


@pytest.fixture(scope="module")
def requests(work):
    """Call the command; return its requests as JSON values."""
    output = work / "requests.jsonl"
    settings = make_requests.MakeRequestsSettings(
        dataset=str(work / "dataset"),
        log=str(work / "log"),
        split="unlabeled",
        output=str(output),
    )
    with pytest.MonkeyPatch.context() as patch:
        _call(patch, make_requests, settings)
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()]


def test_requests_made_of_the_log_have_masked_users_titles_and_the_past(work, requests, lines):
    titles = dict(zip(*pq.read_table(work / "log" / "documents.parquet").columns[:2], strict=True))
    titles = {str(doc): str(title) for doc, title in titles.items()}
    for user, request in enumerate(
        sorted(requests, key=lambda request: int(request["request_id"][1:]))
    ):
        assert request["request_id"] == f"t{20 * user + 16}"
        assert request["user_id"] == mask_user(KEY, f"USER{user:04}")
        assert request["query"] == "Opera"
        listed = lines[request["request_id"]]["documents"]
        assert sorted(request["candidates"]) == sorted(titles[doc] for doc in listed)
        # Three complete sessions of two requests and a browse, and the current one.
        assert request["session"] == 4
        searches = [item for item in request["history"] if item.get("query")]
        assert len(searches) == 3 and len(request["history"]) == 3 * 3 + 2
        # What the model serves is computed from strings: no number of the dataset is in it.
        assert from_json(json.dumps(request)).task == "search" and "features" not in request


@pytest.mark.slow
def test_the_served_model_ranks_the_requests_as_the_run_does(work, lines, requests):
    export_run(work / "run", work / "served", {"search": "search"}, 1, "", "the command")
    rank_file(work / "served", work / "requests.jsonl", work / "answers.jsonl")
    answers = (work / "answers.jsonl").read_text("utf-8").splitlines()
    found = {answer["request_id"]: answer for answer in map(json.loads, answers)}
    assert set(found) == set(lines)
    for request in requests:
        row, answer = lines[request["request_id"]], found[request["request_id"]]
        best = [request["candidates"][place].split()[-1] for place in answer["ranking"]]
        assert best == row["documents"]
        scores = [answer["scores"][place] for place in answer["ranking"]]
        np.testing.assert_allclose(scores, row["scores"], atol=1e-4)


def test_requests_of_a_task_that_the_run_lacks_are_counted(monkeypatch, capsys):
    rows = {
        "target_id": [4, 7, 9],
        "split": ["unlabeled", "unlabeled", "test"],
        "task": pa.array([Task.SEARCH, Task.RECOMMENDATION, Task.RECOMMENDATION], pa.int8()),
        "request_id": ["a", "b", "c"],
        "candidates": [["x", "y"], ["x"], ["x"]],
    }
    trained = types.SimpleNamespace(
        phases={"search": "search"},
        data=types.SimpleNamespace(targets=lambda columns: pa.table(rows), path="dataset"),
        score=lambda split, task: (np.array([4]), np.array([[0.1, 0.2, np.nan]])),
    )
    monkeypatch.setattr(rankings, "TrainedRun", lambda run, dataset: trained)
    assert rankings.rank_split(None, "unlabeled") == [Ranking("a", 4, ("x", "y"), (0.1, 0.2))]
    assert "Not ranked: 1 requests of recommendation" in capsys.readouterr().out


def test_a_split_without_targets_is_an_error_and_leaves_no_file(work, tmp_path, monkeypatch):
    original = Dataset.targets
    monkeypatch.setattr(Dataset, "targets", lambda *columns: original(*columns).slice(0, 0))
    settings = rank.RankSettings(run=str(work / "run"), output=str(tmp_path / "no.jsonl"))
    with pytest.raises(
        ValueError, match=r"`split` must have targets .* Fix: import requests whose"
    ):
        _call(monkeypatch, rank, settings)
    assert list(tmp_path.iterdir()) == []
