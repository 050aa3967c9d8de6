"""The approximate index: against the exact search, through the draw of pseudo-negatives."""

import sys

import numpy as np
import pytest

from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import PseudoNegativeSettings
from data_pipeline.targets import approximate_index
from data_pipeline.targets.pseudo_negatives import BrowseTargets, Documents, draw_negatives
from data_pipeline.text.word_vectors import unit

# All of the pool is drawn, so that a row of draws is the pool.
EXACT = PseudoNegativeSettings(pool=20, count=20)
BY_INDEX = PseudoNegativeSettings(pool=20, count=20, exact_documents=100)
NOBODY = (np.zeros(0, np.int64), np.zeros(0, np.int64))
SIZE, LAST = 2000, 100_000


def example(seed=0, count=300):
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(20, 16))
    vectors = unit(topics[rng.integers(0, 20, SIZE)] + 0.7 * rng.normal(size=(SIZE, 16)))
    available = np.append(NEVER, rng.integers(0, LAST, SIZE - 1))
    opened = np.minimum(rng.zipf(1.2, 4000), SIZE - 1)
    known = np.maximum(rng.integers(0, LAST, 4000), available[opened]) + 1
    documents = Documents(available, vectors, opened, known)
    targets = BrowseTargets(
        target_id=rng.permutation(1000)[:count],
        user=rng.integers(1, 30, count),
        time=rng.integers(1, LAST, count),
        positive=rng.integers(1, SIZE, count),
    )
    return targets, documents


def test_most_of_the_best_documents_are_found(monkeypatch):
    monkeypatch.setattr(approximate_index, "_PROBES", 20)  # of about 60 lists
    targets, documents = example()
    exact = draw_negatives(targets, documents, NOBODY, EXACT, seed=1)
    found = draw_negatives(targets, documents, NOBODY, BY_INDEX, seed=1)
    share = np.mean(
        [len(np.intersect1d(*rows)) / EXACT.pool for rows in zip(exact, found, strict=True)]
    )
    assert 0.9 < share < 1, "an index that is never wrong was not asked"


def test_popular_documents_are_found_wherever_their_title_lies(monkeypatch):
    monkeypatch.setattr(approximate_index, "_PROBES", 2)
    monkeypatch.setattr(approximate_index, "_POPULAR", 30)
    targets, documents = example()
    # Popularity alone decides, but for ties.
    alone = {"popularity_weight": 1.0, "pool": 5, "count": 5}
    late = targets.time > LAST // 2
    exact = draw_negatives(targets, documents, NOBODY, PseudoNegativeSettings(**alone), seed=1)
    found = draw_negatives(
        targets, documents, NOBODY, PseudoNegativeSettings(**alone, exact_documents=100), seed=1
    )
    np.testing.assert_array_equal(found[late], exact[late])


def test_documents_drawn_by_the_index_are_eligible():
    targets, documents = example(seed=1)
    rng = np.random.default_rng(2)
    relevant = (rng.integers(1, 30, 3000), rng.integers(1, SIZE, 3000))
    own = set(zip(*(column.tolist() for column in relevant), strict=True))
    result = draw_negatives(targets, documents, relevant, BY_INDEX, seed=1)
    for row, drawn in enumerate(result):
        drawn = drawn[drawn > 0].tolist()
        assert len(set(drawn)) == len(drawn)
        assert targets.positive[row] not in drawn
        assert all(documents.available[doc] < targets.time[row] for doc in drawn)
        assert not own & {(targets.user[row], doc) for doc in drawn}


def test_a_user_to_whom_all_proposals_are_relevant_gets_the_best_of_the_others():
    targets, documents = example(seed=1)
    everything = np.setdiff1d(np.arange(1, SIZE), np.arange(0, SIZE, 30))
    users = np.arange(1, 30)
    relevant = (np.repeat(users, len(everything)), np.tile(everything, len(users)))
    result = draw_negatives(targets, documents, relevant, BY_INDEX, seed=1)
    assert result.any()
    exact = draw_negatives(targets, documents, relevant, EXACT, seed=1)
    np.testing.assert_array_equal(result, exact)


def test_the_same_seed_gives_the_same_draws_with_any_number_of_threads():
    faiss = approximate_index.import_faiss()
    targets, documents = example()
    threads = faiss.omp_get_max_threads()
    results = []
    for number in (1, 2, 2):
        faiss.omp_set_num_threads(number)
        results.append(draw_negatives(targets, documents, NOBODY, BY_INDEX, seed=1))
    faiss.omp_set_num_threads(threads)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[1], results[2])


def test_document_opens_not_yet_known_change_no_proposal():
    targets, documents = example(seed=4)
    late = documents.known_at >= targets.time.max() // 2
    opened = np.where(late, 7, documents.opened)
    changed = Documents(documents.available, documents.vectors, opened, documents.known_at)
    early = targets.time <= targets.time.max() // 2
    one, two = (draw_negatives(targets, d, NOBODY, BY_INDEX, seed=1) for d in (documents, changed))
    np.testing.assert_array_equal(one[early], two[early])
    assert (one != two).any()


def test_an_index_of_very_few_documents_finds_them_all():
    targets, documents = example(count=40)
    few = 60
    seen = documents.opened < few
    documents = Documents(
        documents.available[:few],
        documents.vectors[:few],
        documents.opened[seen],
        documents.known_at[seen],
    )
    targets = BrowseTargets(
        targets.target_id, targets.user, targets.time, 1 + targets.positive % (few - 1)
    )
    exact = draw_negatives(targets, documents, NOBODY, EXACT, seed=1)
    tiny = PseudoNegativeSettings(pool=20, count=20, exact_documents=1)
    np.testing.assert_array_equal(draw_negatives(targets, documents, NOBODY, tiny, seed=1), exact)


def test_without_the_library_the_extra_is_named_and_few_documents_need_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    targets, documents = example(count=3)
    with pytest.raises(ModuleNotFoundError, match=r"exact_documents.*'\.\[scale\]'"):
        draw_negatives(targets, documents, NOBODY, BY_INDEX, seed=1)
    as_many = PseudoNegativeSettings(exact_documents=SIZE - 1)
    assert draw_negatives(targets, documents, NOBODY, as_many, seed=1).any()
