"""Pseudo-negatives against a slow loop over targets and documents."""

import math

import numpy as np
import pytest

from data_pipeline.common.keyed_hash import keyed
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import PseudoNegativeSettings
from data_pipeline.targets.pseudo_negatives import (
    BrowseTargets,
    Documents,
    draw_negatives,
    shuffled_lists,
)
from data_pipeline.text.word_vectors import unit

SETTINGS = PseudoNegativeSettings(pool=8, count=3)


def example(seed=0, count=30, size=25):
    rng = np.random.default_rng(seed)
    available = rng.integers(0, 40, size)
    available[rng.random(size) < 0.1] = NEVER
    vectors = unit(rng.normal(size=(size, 4)))
    vectors[size // 2 :: 3] = vectors[1]  # ties
    vectors[3] = 0
    known = rng.integers(0, 60, 80)
    known[:5] = NEVER
    documents = Documents(available, vectors, rng.integers(1, 6, 80), known)
    targets = BrowseTargets(
        target_id=rng.permutation(1000)[:count],
        user=rng.integers(1, 4, count),
        time=rng.integers(0, 60, count),
        positive=rng.integers(1, size, count),
    )
    relevant = (rng.integers(1, 4, 12), rng.integers(1, size, 12))
    return targets, documents, relevant


def pools(targets, documents, relevant, settings):
    """The documents each target may draw, by the definition."""
    weight = round(settings.popularity_weight * 1024)
    own = set(zip(*(column.tolist() for column in relevant), strict=True))
    for user, time, positive in zip(targets.user, targets.time, targets.positive, strict=True):
        clicks = np.bincount(
            documents.opened[documents.known_at < time], minlength=len(documents.available)
        )
        scored = []
        for doc in range(1, len(documents.available)):
            if documents.available[doc] >= time or doc == positive or (user, doc) in own:
                continue
            popular = math.log1p(clicks[doc]) / max(math.log1p(clicks.max()), 1e-9)
            a, b = documents.vectors[doc].astype(int), documents.vectors[positive].astype(int)
            score = weight * round(popular * 2048**2) + (1024 - weight) * int(a @ b)
            scored.append((-score, doc))
        yield [doc for _, doc in sorted(scored)[: settings.pool]]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_draws_equal_a_loop_over_all_documents(weight):
    settings = PseudoNegativeSettings(popularity_weight=weight, pool=8, count=3)
    targets, documents, relevant = example()
    result = draw_negatives(targets, documents, relevant, settings, seed=5)
    short = 0
    for row, pool in enumerate(pools(targets, documents, relevant, settings)):
        hashes = {doc: int(keyed(5, 1, int(targets.target_id[row]), doc)) for doc in pool}
        expected = sorted(pool, key=hashes.__getitem__)[:3]
        short += len(expected) < 3
        assert result[row].tolist() == expected + [0] * (3 - len(expected))
    assert short, "the example should hold a target with too few documents"


def test_nothing_forbidden_is_ever_drawn():
    settings = PseudoNegativeSettings(pool=100, count=20)
    targets, documents, relevant = example(seed=1)
    result = draw_negatives(targets, documents, relevant, settings, seed=1)
    own = set(zip(*(column.tolist() for column in relevant), strict=True))
    assert result.any()
    for row, drawn in enumerate(result):
        drawn = drawn[drawn > 0].tolist()
        assert len(set(drawn)) == len(drawn)
        assert targets.positive[row] not in drawn
        assert all(documents.available[doc] < targets.time[row] for doc in drawn)
        assert not own & {(targets.user[row], doc) for doc in drawn}


def test_draws_depend_on_neither_order_nor_blocks():
    targets, documents, relevant = example(seed=2)
    expected = draw_negatives(targets, documents, relevant, SETTINGS, seed=1)
    order = np.random.default_rng(3).permutation(len(targets.target_id))
    mixed = BrowseTargets(
        targets.target_id[order],
        targets.user[order],
        targets.time[order],
        targets.positive[order],
    )
    result = draw_negatives(mixed, documents, relevant, SETTINGS, seed=1, cells=1)
    np.testing.assert_array_equal(result, expected[order])


def test_another_seed_draws_others():
    targets, documents, relevant = example(seed=2)
    one = draw_negatives(targets, documents, relevant, SETTINGS, seed=1)
    two = draw_negatives(targets, documents, relevant, SETTINGS, seed=2)
    assert (one != two).any()


def test_document_opens_not_yet_known_change_no_draw():
    targets, documents, relevant = example(seed=4)
    last = targets.time.max()
    opened = np.where(documents.known_at >= last, 7, documents.opened)
    changed = Documents(documents.available, documents.vectors, opened, documents.known_at)
    assert (opened != documents.opened).any()
    np.testing.assert_array_equal(
        draw_negatives(targets, changed, relevant, SETTINGS, seed=1),
        draw_negatives(targets, documents, relevant, SETTINGS, seed=1),
    )


def test_every_document_of_the_pool_is_drawn_about_equally_often():
    size, count = 11, 6000
    documents = Documents(
        np.array([NEVER] + [0] * (size - 1)),
        np.zeros([size, 2], np.int16),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    targets = BrowseTargets(
        np.arange(count), np.ones(count, int), np.ones(count, int), np.full(count, 1)
    )
    nobody = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    result = draw_negatives(targets, documents, nobody, SETTINGS, seed=1)
    # Without clicks and titles all tie: the pool is the eight smallest eligible numbers.
    share = np.bincount(result.ravel(), minlength=size) / count
    assert share[[0, 1, 10]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(share[2:10], 3 / 8, atol=0.03)


def test_shuffled_lists_place_the_positive_evenly_and_padding_last():
    count = 4000
    negatives = np.tile([5, 6, 7, 0], (count, 1))
    lists = shuffled_lists(np.full(count, 4), negatives, np.arange(count), seed=1)
    assert (np.sort(lists, axis=1) == [0, 4, 5, 6, 7]).all()
    assert (lists[:, -1] == 0).all()
    share = (lists == 4).mean(axis=0)
    np.testing.assert_allclose(share, [0.25, 0.25, 0.25, 0.25, 0], atol=0.03)


def test_no_targets_and_no_documents_give_empty_draws():
    _, documents, relevant = example()
    none = BrowseTargets(*(np.zeros(0, np.int64) for _ in range(4)))
    assert draw_negatives(none, documents, relevant, SETTINGS, seed=1).shape == (0, 3)


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        (PseudoNegativeSettings(popularity_weight=1.5), "popularity_weight"),
        (PseudoNegativeSettings(count=0), "count"),
        (PseudoNegativeSettings(pool=5, count=9), "pool"),
    ],
)
def test_impossible_settings_are_named(settings, flag):
    with pytest.raises(ValueError, match=f"--pseudo_negatives.{flag}"):
        draw_negatives(*example(), settings, seed=1)
