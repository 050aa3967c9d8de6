"""Every relevance feature against a slow loop over the whole log."""

import collections
import math
import pathlib
import tempfile
from unittest import mock

import numpy as np
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events.as_of import NEVER
from data_pipeline.features import relevance_features
from data_pipeline.features.feature_columns import FEATURES, entropy
from data_pipeline.features.relevance_features import standardisation
from data_pipeline.features.shared_counts import count_shared
from data_pipeline.text.corpus import TextTable
from data_pipeline.text.word_vectors import text_vectors

DOCS, QUERIES, USERS = 6, 3, 3
Result = collections.namedtuple("Result", ["features", "popularity", "last_touch"])
COLUMN = {feature.name: column for column, feature in enumerate(FEATURES)}


def integers(rows, names):
    return {n: np.array([row[n] for row in rows], np.int64) for n in names}


def random_log(seed, document_opens=60, queries=25, targets=20):
    """A log dense enough for ties: times 0..30, known some steps later or never."""
    rng = np.random.default_rng(seed)
    log = {"document_opens": [], "queries": [], "targets": [], "candidates": []}
    for _ in range(document_opens):
        time = int(rng.integers(0, 30))
        known = NEVER if rng.random() < 0.15 else time + int(rng.integers(0, 5))
        search = rng.random() < 0.5
        user = int(rng.integers(1, USERS + 1))
        log["document_opens"].append(
            {
                "user": user,
                "doc": int(rng.integers(1, DOCS + 1)),
                "query": int(rng.integers(1, QUERIES + 1)) if search else 0,
                "session": 10 * user + int(rng.integers(1, 4)),
                "satisfied": int(rng.integers(0, 2)),
                "time": time,
                "known_at": known,
                "visible_at": known if search else time,
            }
        )
    for _ in range(queries):
        log["queries"].append(
            {
                "user": int(rng.integers(1, USERS + 1)),
                "query": int(rng.integers(1, QUERIES + 1)),
                "time": int(rng.integers(0, 30)),
            }
        )
    # Some users have no events. Targets are in the order of users.
    users = np.sort(rng.integers(1, USERS + 2, targets)).tolist()
    for target, user in enumerate(users):
        log["targets"].append(
            {
                "target_id": 3 * target + 1,
                "user": user,
                "session": 10 * user + int(rng.integers(1, 4)),
                "query": int(rng.integers(0, QUERIES + 1)),
                "time": int(rng.integers(0, 36)),
            }
        )
        for position in range(int(rng.integers(1, 5))):
            log["candidates"].append(
                {
                    "target_id": 3 * target + 1,
                    "position": position,
                    "doc": int(rng.integers(1, DOCS + 1)),
                }
            )
    return log


def text_table(seed=0, words=12, width=8):
    rng = np.random.default_rng(seed)
    texts = 1 + QUERIES + DOCS
    tokens = rng.integers(1, words, (texts, 5)).astype(np.int32)
    tokens *= np.arange(5) < rng.integers(1, 6, (texts, 1))
    tokens[0] = 0
    tokens[-1] = 0  # a document without a title
    vectors = rng.normal(size=(words, width)).astype(np.float32)
    vectors[0] = 0
    document_text = np.concatenate([[0], 1 + QUERIES + np.arange(DOCS)])
    return TextTable(tokens, text_vectors(tokens, vectors), document_text)


def compute(log, texts, rows=1_000_000, workers=1, shards=1, shuffled=None):
    """F of a log; rows the order says nothing about lie as given, or shuffled."""
    names = {
        "document_opens": [
            *("user", "known_at", "doc", "query", "session"),
            *("satisfied", "time", "visible_at"),
        ],
        "queries": ["user", "time", "query"],
        "targets": ["target_id", "user", "session", "query", "time"],
        "candidates": ["target_id", "position", "doc"],
    }
    ordered = {"document_opens": 1, "queries": 2, "targets": 1, "candidates": 2}
    tables = []
    for name, columns in names.items():
        given = list(log[name])
        if shuffled is not None:
            np.random.default_rng(shuffled).shuffle(given)
        order = columns[: ordered[name]]
        given.sort(key=lambda row, order=order: [row[column] for column in order])
        tables.append(integers(given, columns))
    opens, searches, targets, candidates = tables
    searches["activity"] = np.cumsum(
        np.append(0, np.diff(100 * searches["user"] + searches["time"]) > 0)
    )[: len(searches["user"])]
    offsets = np.searchsorted(candidates["target_id"], np.append(targets["target_id"], 10**6))
    targets |= {name: np.zeros_like(targets["user"]) for name in ("split", "task")}
    asked = targets, candidates["doc"], offsets
    with (
        tempfile.TemporaryDirectory() as name,
        DuckDBEngine(threads=1, memory_gib=0.5) as engine,
    ):
        folder = pathlib.Path(name)
        shared = count_shared(engine, opens, searches, *asked, folder, shards)
        given = opens, searches, *asked, np.zeros(0, np.int64), shared, texts, folder
        with mock.patch.object(relevance_features, "ROWS", rows):
            found = relevance_features.relevance_features(
                *given, folder / "features.npy", workers=workers
            )
        return Result(found.values, found.popularity, found.last_touch)


def cosine(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / scale if scale else 0.0


def oracle(log, texts, target, candidate):
    """F, popularity and last touch of one candidate, by the definitions."""
    user, query, time, doc = target["user"], target["query"], target["time"], candidate["doc"]
    known = [o for o in log["document_opens"] if o["known_at"] < time]
    of_doc = [o for o in known if o["doc"] == doc]
    of_user = [o for o in known if o["user"] == user]
    both = [o for o in of_user if o["doc"] == doc]
    asked = [q for q in log["queries"] if q["time"] < time]
    mine = [q for q in asked if q["user"] == user]
    title = texts.vectors[texts.document_text[doc]]
    f = dict.fromkeys(COLUMN, 0.0)
    f["reciprocal_rank"] = 1 / (candidate["position"] + 1)
    f["document_clicks"] = math.log1p(len(of_doc))
    f["user_document_clicks"] = math.log1p(len(both))
    if of_doc:
        f["satisfied_rate"] = sum(o["satisfied"] for o in of_doc) / len(of_doc)
    f["opened_in_session"] = float(any(o["session"] == target["session"] for o in both))
    if mine:
        last = max(mine, key=lambda q: (q["time"], q["query"]))
        f["last_query_cosine"] = cosine(texts.vectors[last["query"]], title)
    if of_user:
        history = sum(texts.vectors[texts.document_text[o["doc"]]].astype(int) for o in of_user)
        f["history_cosine"] = cosine(history, title)
    if both:
        last_known = max(o["known_at"] for o in both)
        f["recency"] = 1 / (1 + sum(o["known_at"] > last_known for o in of_user))
    f["log_rank"] = math.log(candidate["position"] + 1)
    shown = []
    for other in (c for c in log["candidates"] if c["target_id"] == target["target_id"]):
        opened = [o["known_at"] for o in of_user if o["doc"] == other["doc"]]
        shown += [(max(opened), other["position"])] if opened else []
    if shown and candidate["position"] > max(shown)[1]:
        f["below_last_opened"] = 1 / (candidate["position"] - max(shown)[1])
    if query:
        under = [o for o in known if o["query"] == query]
        f["query_document_clicks"] = math.log1p(sum(o["doc"] == doc for o in under))
        own = [o for o in under if o["user"] == user]
        hits = sum(o["doc"] == doc for o in own)
        f["user_query_document_clicks"] = math.log1p(hits)
        f["p_click"] = hits / (len(own) + 0.5)
        shares = [n / len(under) for n in collections.Counter(o["doc"] for o in under).values()]
        f["query_click_entropy"] = -sum(p * math.log2(p) for p in shares)
        f["query_frequency"] = math.log1p(sum(q["query"] == query for q in asked))
        f["query_repeated_by_user"] = float(any(q["query"] == query for q in mine))
        f["query_cosine"] = cosine(texts.vectors[query], title)
        words = set(texts.tokens[query].tolist()) - {0}
        there = set(texts.tokens[texts.document_text[doc]].tolist())
        f["token_overlap"] = len(words & there) / len(words) if words else 0.0
    touches = [
        o["time"]
        for o in log["document_opens"]
        if o["user"] == user and o["doc"] == doc and o["visible_at"] < time
    ]
    return f, len(of_doc), max(touches, default=-1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_feature_equals_a_loop_over_the_log(seed):
    log, texts = random_log(seed), text_table(seed)
    result = compute(log, texts)
    targets = {target["target_id"]: target for target in log["targets"]}
    rows = sorted(log["candidates"], key=lambda c: (c["target_id"], c["position"]))
    assert len(result.features) == len(rows)
    for number, candidate in enumerate(rows):
        expected, popularity, touch = oracle(log, texts, targets[candidate["target_id"]], candidate)
        for name, value in expected.items():
            tolerance = 2e-3 if name == "history_cosine" else 1e-6  # a mean is quantised again
            found = result.features[number, COLUMN[name]]
            assert found == pytest.approx(value, abs=tolerance), (name, candidate)
        assert result.popularity[number] == popularity
        assert result.last_touch[number] == touch


def test_random_logs_give_every_feature_more_than_one_value():
    features = compute(random_log(1), text_table(1)).features
    assert (features.std(axis=0) > 0).all()


def same(result, expected):
    for name in ("features", "popularity", "last_touch"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("workers", [1, 3])
def test_order_of_equal_rows_blocks_and_workers_do_not_change_a_bit(rows, workers):
    log, texts = random_log(4), text_table(4)
    same(compute(log, texts, rows, workers, shuffled=9), compute(log, texts))


def test_shards_of_documents_and_queries_do_not_change_a_bit():
    log, texts = random_log(4), text_table(4)
    same(compute(log, texts, shards=4, shuffled=9), compute(log, texts))


def test_query_columns_are_zero_for_recommendations():
    log, texts = random_log(5), text_table(5)
    result = compute(log, texts)
    recommended = [t["target_id"] for t in log["targets"] if t["query"] == 0]
    rows = np.isin(sorted(c["target_id"] for c in log["candidates"]), recommended)
    assert rows.any()
    for feature in FEATURES:
        if not feature.query_free:
            assert (result.features[rows, COLUMN[feature.name]] == 0).all()


def test_facts_not_yet_known_change_nothing():
    log, texts = random_log(6), text_table(6)
    time = 15
    kept = {t["target_id"] for t in log["targets"] if t["time"] <= time}
    log["targets"] = [t for t in log["targets"] if t["target_id"] in kept]
    log["candidates"] = [c for c in log["candidates"] if c["target_id"] in kept]
    expected = compute(log, texts)
    changed = {name: [dict(row) for row in rows] for name, rows in log.items()}
    for opened in changed["document_opens"]:
        if min(opened["known_at"], opened["visible_at"]) >= time:
            opened.update(doc=1, user=1, satisfied=1 - opened["satisfied"], session=2)
    changed["queries"] = [q for q in changed["queries"] if q["time"] < time]
    assert changed != log
    same(compute(changed, texts), expected)


def test_an_empty_log_gives_finite_features():
    log = random_log(7, document_opens=0, queries=0)
    result = compute(log, text_table(7))
    assert np.isfinite(result.features).all()
    assert (result.popularity == 0).all()
    assert (result.last_touch == -1).all()


def test_no_candidates_have_no_features():
    log = random_log(8)
    log["candidates"] = []
    assert compute(log, text_table(8)).features.shape == (0, len(FEATURES))


def test_entropy_has_its_hand_computed_values():
    steps = 2**24
    total = np.array([0, 1, 2, 4, 4])
    # Documents opened: none; one; two different; 4 of one; 2 of each of two.
    spread = np.array([0, 0, 0, 8 * steps, 4 * steps])
    np.testing.assert_allclose(entropy(total, spread), [0, 0, 1, 0, 1], atol=1e-12)


def test_standardised_columns_have_mean_zero_and_deviation_one():
    features = np.random.default_rng(0).normal(3, 5, (1000, 4)).astype(np.float32)
    features[:, 2] = 7
    rows = np.arange(1000) % 3 > 0
    mean, std = standardisation(features, rows)
    scaled = (features[rows] - mean) / std
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0, 1], atol=1e-5)
    assert std[2] == 1


def test_standardisation_without_searches_leaves_features_as_they_are():
    mean, std = standardisation(np.ones([2, 3], np.float32), np.zeros(2, bool))
    assert mean.tolist() == [0, 0, 0]
    assert std.tolist() == [1, 1, 1]
