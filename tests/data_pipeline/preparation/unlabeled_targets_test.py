"""Unlabeled requests in a dataset: ranked as of their time, and seen by nothing else."""

import pytest

from data_pipeline.common.data_warnings import from_plain
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare

DAY = 24 * 3600
SCENARIOS = ("unified", "search", "recommendation")
# Of no meaning for a model, and moved by a session more.
MOVED = ("target_id", "session")


def _add_labeled(log):
    """Twelve days of searches, recommendations and browses of two users."""
    for doc in "abcdeghi":
        log.document(doc, "title of a" if doc in "ghi" else None)
    log.document("z", "shown to nobody else")
    for day in range(12):
        for user in ("u", "v"):
            at = day * DAY + (user == "v") * 7
            log.browse(user, at, "abc"[day % 3], 50)
            log.request(f"s{user}{day}", user, at + 60, "title of", "a", ("b", at + 70, 40), "c")
            log.request(f"n{user}{day}", user, at + 600, "", ("d", at + 610, 40), "e", "a")
    return log


def _add_unlabeled(log, split="unlabeled"):
    """Requests at times of labeled ones, which cut no other sessions, and requests of new users."""
    withheld = split == "unlabeled"
    g, h, i = ((doc if withheld else (doc, None, None)) for doc in "ghi")
    log.request("x1", "u", 3 * DAY + 60, "title of", "a", g, "b", "c", split=split)
    log.request("x2", "v", 11 * DAY + 607, "", h, "d", split=split)
    log.request("x3", "stranger", 5 * DAY, "of a", "a", i, split=split)
    if withheld:
        log.request("x4", "other", DAY, "never seen words", "b", "a", "z", split=split)
        # After all others: it does not stretch the time that the history period is a share of.
        log.request("x5", "other", 20 * DAY, "title of", "a", "b", split=split)
    return log


@pytest.fixture(scope="module")
def resolved(tmp_path_factory, log_builder, small_settings, resolve):
    """`resolved(name)`: (dataset, inputs by scenario) of a log without, with, or with answered ones."""
    root = tmp_path_factory.mktemp("unlabeled")
    made = {}

    def find(name):
        if name not in made:
            log = _add_labeled(log_builder())
            if name != "without":
                _add_unlabeled(log, "unlabeled" if name == "with" else "")
            log.write(root / name / "log")
            share = {"history_share": 0.2}
            settings = small_settings(root / name / "log", root / name / "dataset", split=share)
            prepare(settings)
            dataset = open_dataset(root / name / "dataset")
            made[name] = dataset, {kind: resolve(dataset, kind) for kind in SCENARIOS}
        return made[name]

    return find


def _inputs(resolved, unlabeled):
    """Inputs of the targets by request, of one kind; without what is moved."""
    return {
        key[:3]: {name: value for name, value in target.items() if name not in MOVED}
        for key, target in resolved.items()
        if (target["split"] == "unlabeled") == unlabeled
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_other_targets_are_as_without_them(resolved, scenario):
    (_, before), (_, after) = resolved("without"), resolved("with")
    assert _inputs(after[scenario], unlabeled=False) == _inputs(before[scenario], unlabeled=False)


def test_statistics_vocabulary_boundaries_and_known_users_are_as_without_them(resolved):
    (before, _), (after, _) = resolved("without"), resolved("with")
    for name in ("statistics", "histograms", "boundaries", "features", "vocabulary_size"):
        assert after.manifest[name] == before.manifest[name]
    assert after.vocabulary == before.vocabulary
    assert after.user_ids == before.user_ids
    assert after.manifest["counts"]["unlabeled"] == 5
    assert before.manifest["counts"]["unlabeled"] == 0
    assert not list(before.path.glob("windows/*/unlabeled*"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_they_are_ranked_with_the_inputs_they_would_have_with_answers(resolved, scenario):
    (_, withheld), (_, answered) = resolved("with"), resolved("answered")
    found = _inputs(withheld[scenario], unlabeled=True)
    wanted = _inputs(answered[scenario], unlabeled=False)
    searches = {"x1", "x3", "x4", "x5"}
    ids = {"unified": {*searches, "x2"}, "search": searches, "recommendation": {"x2"}}[scenario]
    assert {request for _, _, request in found} == ids
    for key, target in found.items():
        assert not any(target["labels"])
        if key in wanted:
            other = {"labels": target["labels"], "split": "unlabeled"}
            assert target == wanted[key] | other
    assert len(set(found) & set(wanted)) == len(ids - {"x4", "x5"})


def test_a_list_to_rank_stays_under_every_protocol(tmp_path, log_builder, small_settings):
    from data_pipeline.settings import EvalCandidateSettings

    _add_unlabeled(_add_labeled(log_builder())).write(tmp_path / "log")
    sampled = EvalCandidateSettings(protocol="sampled", count=3)
    prepare(small_settings(tmp_path / "log", tmp_path / "dataset", eval_candidates=sampled))
    rows = open_dataset(tmp_path / "dataset").targets().to_pylist()
    lists = {row["request_id"]: row["candidates"] for row in rows if row["split"] == "unlabeled"}
    assert lists.pop("x5") == ["a", "b"]
    assert lists == {"x1": [*"agbc"], "x2": [*"hd"], "x3": [*"ai"], "x4": [*"baz"]}
    assert all(row["pseudo"] for row in rows if row["split"] == "test")


def _add_splits(log, split_of):
    for doc in "abc":
        log.document(doc)
    for day in range(12):
        at = day * DAY
        clicked = ("b", at + 5, 40)
        log.request(f"r{day}", "u", at, "", "a", clicked, "c", split=split_of(day))
        log.request(f"q{day}", "u", at + 60, f"word{day}", "a", clicked, split=split_of(day))
    return log


def test_published_splits_are_followed_by_targets_and_vocabulary(
    tmp_path, log_builder, small_settings
):
    def split_of(day):
        return "train" if day < 3 else "validation" if day < 5 else "test"

    _add_splits(log_builder(), split_of).write(tmp_path / "log")
    manifest = prepare(small_settings(tmp_path / "log", tmp_path / "dataset"))
    dataset = open_dataset(tmp_path / "dataset")
    rows = dataset.targets().to_pylist()
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert all(row["split"] == split_of(int(row["request_id"][1:])) for row in rows)
    start = log_builder.micro(0)
    micros = {name: time - start for name, time in manifest["boundaries"].items()}
    assert micros == {"train": 0, "validation": 3 * DAY * 1_000_000, "test": 5 * DAY * 1_000_000}
    words = {word for word in dataset.vocabulary if word.startswith("word")}
    assert words == {"word0", "word1", "word2"}


def test_without_the_column_splits_are_cut_by_time_and_a_boundary_must_not_be_given_twice(
    tmp_path, log_builder, small_settings
):
    # As if users were split: training does not end where validation begins.
    _add_splits(log_builder(), lambda day: ("train", "validation", "train")[day % 3]).write(
        tmp_path / "log"
    )
    given = small_settings(tmp_path / "log", tmp_path / "given")
    manifest = prepare(given)
    assert "training_after_validation" in {w.name for w in from_plain(manifest["warnings"])}
    anew = small_settings(tmp_path / "log", tmp_path / "anew", split={"column": False})
    manifest = prepare(anew)
    assert "training_after_validation" not in {w.name for w in from_plain(manifest["warnings"])}
    rows = open_dataset(tmp_path / "anew").targets().to_pylist()
    assert [row["split"] for row in rows] == ["train"] * 16 + ["validation"] * 4 + ["test"] * 4
    twice = small_settings(tmp_path / "log", tmp_path / "no", split={"test_begins": "2024-01-09"})
    with pytest.raises(ValueError, match=r"`split.test_begins` must be empty .* --nosplit.column"):
        prepare(twice)
