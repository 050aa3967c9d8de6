"""Preparation from end to end: what a target may see, determinism, scenarios, the command line."""

import copy
import dataclasses
import itertools
import random

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline import settings as data_settings
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.checks import check_settings
from data_pipeline.preparation.run import prepare
from data_pipeline.text import word_vectors

INPUTS = (
    "task",
    "query",
    "current",
    "past",
    "candidates",
    "candidate_texts",
    "features",
    "popularity",
    "last_touch",
    "first_of_task",
    "query_seen",
    "past_behaviors",
)
DOCUMENTS = [f"d{n}" for n in range(12)]
QUERIES = ["red shoes", "blue hats", "green socks"]


def random_log(log_builder, seed, lists=True, users=3):
    """A crowded log on a 15-second grid, so that equal timestamps and near ones abound."""
    draw, log = random.Random(seed), log_builder()
    for doc in DOCUMENTS:
        log.document(doc, f"{doc} {draw.choice(['shoes', 'hats', 'socks'])}")
    number = 0
    for user in (f"u{n}" for n in range(users)):
        for session in range(4):
            # Users' sessions begin at different times, their events share the grid.
            at = session * 7200 + draw.randrange(0, 40) * 15
            for _ in range(draw.randrange(2, 5)):
                at += draw.choice([0, 15, 30, 45, 300])
                kind = draw.choice(
                    ["search", "recommend", "browse"] if lists else ["search", "browse"]
                )
                if kind == "browse":
                    log.browse(
                        user,
                        at + draw.choice([0, 15]),
                        draw.choice(DOCUMENTS),
                        draw.choice([None, 10.0, 90.0]),
                    )
                    continue
                number += 1
                docs = draw.sample(DOCUMENTS, 4)
                results = []
                for place, doc in enumerate(docs):
                    if place == 1 or draw.random() < 0.2:
                        click = (
                            None if draw.random() < 0.2 else at + draw.choice([15, 30, 600, 5400])
                        )
                        results.append((doc, click, draw.choice([None, 10.0, 90.0])))
                    else:
                        results.append(doc)
                query = draw.choice(QUERIES) if kind == "search" else ""
                log.request(f"r{number:03d}", user, at, query, *results)
    return log


def seconds(log, row, field="time"):
    return (row[field] - log.time(0)).total_seconds()


def known_from(log, row, result=None):
    """Seconds after which a request's result, or a row itself, is known; inf for never."""
    if result is None:
        return seconds(log, row)
    if result["click_time"] is not None:
        return seconds(log, result, "click_time")
    user, times = row["user_id"], []
    for request in log.rows["requests"]:
        if request["user_id"] == user:
            times.append(seconds(log, request))
            times += [
                seconds(log, r, "click_time")
                for r in request["results"]
                if request["query"] == "" and r.get("click_time")
            ]
    times += [seconds(log, b) for b in log.rows["browses"] if b["user_id"] == user]
    ordered = sorted(times)
    starts = [b for a, b in itertools.pairwise(ordered) if b - a > 1800]
    later = [start for start in starts if start > seconds(log, row)]
    return later[0] - 1e-6 if later else float("inf")


def clicks(log, **wanted):
    """(request, result) of the clicks that are timed or not, of searches or not."""
    for request in log.rows["requests"]:
        for result in request["results"]:
            if not result["clicked"]:
                continue
            timed, search = result["click_time"] is not None, request["query"] != ""
            if wanted.get("timed", timed) == timed and wanted.get("search", search) == search:
                yield request, result


def known_later(log):
    """Clicks without a time that a later session makes known."""
    found = clicks(log, timed=False)
    return [pair for pair in found if known_from(log, *pair) < float("inf")]


def unclick(result):
    result.update(clicked=False, click_time=None, dwell_seconds=None)


# Each alteration changes one thing in place and returns whose it was and the last second at which
# it is not known.
def alter_query(log, draw):
    row = draw.choice([r for r in log.rows["requests"] if r["query"]])
    row["query"] = draw.choice([q for q in QUERIES if q != row["query"]])
    return row["user_id"], seconds(log, row)


def remove_search(log, draw):
    row = draw.choice([r for r in log.rows["requests"] if r["query"]])
    log.rows["requests"].remove(row)
    return row["user_id"], seconds(log, row)


def alter_browse(log, draw):
    row = draw.choice(log.rows["browses"])
    row["doc_id"] = draw.choice([d for d in DOCUMENTS if d != row["doc_id"]])
    return row["user_id"], seconds(log, row)


def add_browse(log, draw):
    row = draw.choice(log.rows["requests"])
    log.browse(row["user_id"], seconds(log, row), draw.choice(DOCUMENTS), 90.0)
    return row["user_id"], seconds(log, row)


def alter_browse_dwell(log, draw):
    row = draw.choice(log.rows["browses"])
    row["dwell_seconds"] = 10.0 if row["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], seconds(log, row) + 30


def alter_search_click_dwell(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=True)))
    result["dwell_seconds"] = 10.0 if result["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], seconds(log, result, "click_time") + 30


def remove_search_click(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=True)))
    known = known_from(log, row, result) + 30
    unclick(result)
    return row["user_id"], known


def alter_recommendation_dwell(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=False)))
    result["dwell_seconds"] = 10.0 if result["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], seconds(log, result, "click_time") + 30


def remove_recommendation_click(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=False)))
    known = known_from(log, row, result)
    unclick(result)
    return row["user_id"], known


def delay_click(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True)))
    known = known_from(log, row, result) + (30 if row["query"] else 0)
    result["click_time"] = log.time(seconds(log, result, "click_time") + 600)
    return row["user_id"], known


def remove_untimed_click(log, draw):
    row, result = draw.choice(known_later(log))
    known = known_from(log, row, result)
    unclick(result)
    return row["user_id"], known


def alter_untimed_dwell(log, draw):
    row, result = draw.choice(known_later(log))
    result["dwell_seconds"] = 10.0 if result["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], known_from(log, row, result)


def cut_the_end(log, draw):
    """Nothing from the middle of the log on ever happened."""
    middle = 7200 + draw.randrange(0, 40) * 15
    for name in ("requests", "browses"):
        log.rows[name] = [r for r in log.rows[name] if seconds(log, r) < middle]
    for _, result in clicks(log, timed=True):
        if seconds(log, result, "click_time") >= middle:
            unclick(result)
    # An untimed click becomes known by a session that is no more.
    return "u1", middle - 1e-6


ALTERATIONS = [
    alter_query,
    remove_search,
    alter_browse,
    add_browse,
    alter_browse_dwell,
    alter_search_click_dwell,
    remove_search_click,
    alter_recommendation_dwell,
    remove_recommendation_click,
    delay_click,
    remove_untimed_click,
    alter_untimed_dwell,
    cut_the_end,
]


@pytest.fixture
def fixed_vectors(monkeypatch):
    """Word vectors that depend on the word only: what texts teach is another test's matter."""

    def by_word(tokens, vocabulary, settings, seed):
        rows = np.zeros((len(vocabulary) + settings.oov_buckets, settings.width), np.float32)
        for row, word in enumerate(vocabulary[1:], 1):
            rows[row] = np.random.default_rng(list(word.encode())).normal(size=settings.width)
        return rows

    monkeypatch.setattr(word_vectors, "word_vectors", by_word)


def prepared(log, folder, resolve, settings, scenarios=("unified", "search", "recommendation")):
    """Writes and prepares a log; {scenario: inputs of every target by its key}."""
    prepare(
        settings(
            log.write(folder / "log"),
            folder / "dataset",
            scenarios=scenarios,
            split={"validation_parts": 0, "test_parts": 0},
        )
    )
    dataset = open_dataset(folder / "dataset")
    result = {}
    for scenario in scenarios:
        # One entry a target: which document was its positive is a label, not an input.
        result[scenario] = {key[:-1]: inputs for key, inputs in resolve(dataset, scenario).items()}
    return result


def altered_just_after_a_target(log, alter, targets):
    """(altered log, last microsecond at which the alteration is unknown).

    Of many alterations the one nearest to targets of the same user on both sides: the one before
    must not see it, the one after should.
    """
    best = None
    for seed in range(60):
        altered = copy.deepcopy(log)
        user, known = alter(altered, random.Random(seed))
        limit = log.micro(0) + min(known, 1e9) * 1e6
        times = [key[1] for key in targets if key[0] == user]
        before = [limit - time for time in times if time <= limit]
        after = [time - limit for time in times if time > limit]
        known_to = sum(key[1] <= limit for key in targets)
        if (
            before
            and after
            and known_to >= 10
            and (best is None or min(before) + min(after) < best[0])
        ):
            best = min(before) + min(after), altered, limit
    assert best is not None
    return best[1:]


@pytest.fixture(scope="module")
def originals():
    return {}


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
def test_what_is_not_yet_known_changes_no_input_and_no_feature(
    alter, log_builder, tmp_path, resolve, small_settings, fixed_vectors, originals
):
    log = random_log(log_builder, seed=5, users=5)
    if not originals:
        originals.update(prepared(log, tmp_path / "original", resolve, small_settings))
    altered, limit = altered_just_after_a_target(log, alter, originals["unified"])
    after = prepared(altered, tmp_path / "altered", resolve, small_settings)
    queries = {row["request_id"]: row["query"] for row in altered.rows["requests"]}
    same = {
        r["request_id"] for r in log.rows["requests"] if queries.get(r["request_id"]) == r["query"]
    }
    compared = 0
    for scenario, before in originals.items():
        for key, inputs in before.items():
            # A target's own query is known to it.
            if key[1] > limit or key not in after[scenario] or key[2] not in same:
                continue
            compared += 1
            for name in INPUTS:
                assert after[scenario][key][name] == inputs[name], (scenario, key, name)
    assert compared >= 3
    assert after["unified"] != originals["unified"]


@pytest.mark.parametrize(
    "alter", [alter_query, remove_search, alter_search_click_dwell, cut_the_end]
)
def test_pseudo_negatives_do_not_know_the_future_either(
    alter, log_builder, tmp_path, resolve, small_settings, fixed_vectors
):
    log = random_log(log_builder, seed=8, lists=False)
    scenarios = ("unified",)
    before = prepared(log, tmp_path / "original", resolve, small_settings, scenarios)["unified"]
    altered, limit = altered_just_after_a_target(log, alter, before)
    after = prepared(altered, tmp_path / "altered", resolve, small_settings, scenarios)["unified"]
    compared = 0
    for key in before.keys() & after.keys():
        # A user's own relevant documents of any time are no negatives of that user: labels.
        # A target's own query is known to it.
        if key[1] <= limit and (alter is not alter_query or not before[key]["query"]):
            lists = sorted(before[key]["candidates"]), sorted(after[key]["candidates"])
            names = INPUTS if lists[0] == lists[1] else ("current", "past", "query")
            compared += lists[0] == lists[1]
            for name in names:
                assert after[key][name] == before[key][name], (key, name)
    assert compared >= 3


def test_what_the_texts_teach_comes_from_before_the_validation_period(
    log_builder, tmp_path, small_settings
):
    log = random_log(log_builder, seed=5, users=4)
    folders = []
    for number, word in enumerate(("red shoes", "zebra crossing")):
        changed = copy.deepcopy(log)
        # Every query of the last two sessions; the boundary lies before them.
        for row in changed.rows["requests"]:
            if row["query"] and seconds(log, row) >= 2 * 7200:
                row["query"] = word
        folder = tmp_path / str(number)
        settings = small_settings(
            changed.write(folder / "log"),
            folder / "dataset",
            split={"train_parts": 1, "validation_parts": 1, "test_parts": 1},
        )
        manifest = prepare(settings)
        assert manifest["boundaries"]["validation"] <= log.micro(2 * 7200)
        folders.append(folder / "dataset")
    first, second = (open_dataset(folder) for folder in folders)
    assert first.vocabulary == second.vocabulary
    assert "zebra" not in second.vocabulary
    assert np.array_equal(first.word_vectors, second.word_vectors)
    assert first.manifest["features"] == second.manifest["features"]
    assert first.user_ids == second.user_ids


def test_the_same_log_gives_the_same_bytes_whatever_the_order_of_its_rows(
    log_builder, tmp_path, small_settings
):
    log = random_log(log_builder, seed=6)
    checksums = []
    for number, threads in enumerate((1, 2)):
        folder = tmp_path / str(number)
        settings = small_settings(log.write(folder / "log", shuffle=number), folder / "dataset")
        prepare(dataclasses.replace(settings, threads=threads))
        checksums.append(open_dataset(folder / "dataset", verify=True).manifest)
    assert checksums[0] == checksums[1]


def test_single_task_views_keep_targets_and_lists_and_see_one_task_only(
    log_builder, tmp_path, resolve, small_settings
):
    prepare(
        small_settings(random_log(log_builder, 9).write(tmp_path / "log"), tmp_path / "dataset")
    )
    dataset = open_dataset(tmp_path / "dataset")
    unified = resolve(dataset, "unified")
    for scenario, task, other in (("search", 2, "browse"), ("recommendation", 1, "search")):
        alone = resolve(dataset, scenario)
        assert alone.keys() == {key for key, inputs in unified.items() if inputs["task"] == task}
        assert alone
        for key, inputs in alone.items():
            for name in ("candidates", "labels", "features", "popularity", "split", "target_id"):
                assert inputs[name] == unified[key][name]
            kinds = {b[0] for b in itertools.chain(inputs["current"], *inputs["past"])}
            assert other not in kinds


def test_no_window_straddles_splits_or_users_and_none_is_too_large(
    log_builder, tmp_path, small_settings
):
    settings = small_settings(
        random_log(log_builder, 10).write(tmp_path / "log"),
        tmp_path / "dataset",
        windows=data_settings.WindowSettings(targets_per_window=3, windows_per_shard=2),
    )
    prepare(settings)
    dataset = open_dataset(tmp_path / "dataset")
    rows = dataset.targets().to_pylist()
    for scenario in dataset.scenarios:
        for split in ("train", "validation", "test"):
            files = dataset.window_files(scenario, split)
            sizes = dataset.window_sizes(scenario, split)
            assert len(files) == max(1, -(-len(sizes) // 2))
            records = [r.numpy() for r in tf.data.TFRecordDataset(files)]
            assert len(records) == len(sizes)
            for record, size in zip(records, sizes.tolist(), strict=True):
                feature = tf.train.Example.FromString(record).features.feature
                ids = feature["target_id"].int64_list.value
                assert 1 <= len(ids) <= 3
                assert {rows[i]["split"] for i in ids} == {split}
                assert len({rows[i]["user_id"] for i in ids}) == 1
                assert list(ids) == sorted(ids)
                assert size[1:] == [
                    len(feature["behavior_type"].int64_list.value),
                    len(feature["session_behaviors"].int64_list.value) // 5,
                    len(ids),
                    len(feature["candidate_doc"].int64_list.value),
                ]
    sessions = {}
    for row in rows:
        assert sessions.setdefault(row["session"], row["split"]) == row["split"]


def test_targets_of_validation_and_test_stand_once_and_of_training_once_a_positive(
    log_builder, tmp_path, resolve, small_settings
):
    prepare(
        small_settings(random_log(log_builder, 11).write(tmp_path / "log"), tmp_path / "dataset")
    )
    dataset = open_dataset(tmp_path / "dataset")
    positions = {}
    for key, inputs in resolve(dataset, "unified").items():
        positions.setdefault(key[:-1], (inputs, []))[1].append(key[-1])
    several = 0
    for inputs, positive in positions.values():
        relevant = [place for place, label in enumerate(inputs["labels"]) if label]
        assert positive == (relevant if inputs["split"] == "train" else relevant[:1])
        several += len(relevant) > 1
    assert several


def test_a_log_without_targets_is_refused(builder, tmp_path, small_settings):
    builder.document("d1").document("d2").request("r1", "u", 0, "red", "d1", "d2")
    with pytest.raises(ValueError, match="at least one session with a target"):
        prepare(small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset"))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_log_that_names_an_unknown_document_is_refused(builder, tmp_path, small_settings):
    builder.document("d1").request("r1", "u", 0, "red", ("d1", 3, None), "d2")
    with pytest.raises(ValueError, match=r"requests.*unknown doc_id"):
        prepare(small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log": ()}, "`log` must be given"),
        ({"scenarios": ("both",)}, r"`scenarios` must be some of .* --scenarios"),
        ({"sequence": data_settings.SequenceSettings(past_sessions=0)}, "past_sessions` must be"),
        ({"windows": data_settings.WindowSettings(targets_per_window=0)}, "targets_per_window`"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(change, message, small_settings):
    with pytest.raises(ValueError, match=message):
        check_settings(dataclasses.replace(small_settings("log", "dataset"), **change))


def test_an_existing_output_is_refused(tmp_path, small_settings):
    with pytest.raises(FileExistsError, match="`output` must not exist"):
        check_settings(small_settings("log", tmp_path))
