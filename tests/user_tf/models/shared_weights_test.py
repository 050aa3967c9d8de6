"""Copies of a ranker share what is equal, and what one of them does not read; scores stay."""

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.layer_testing import randomize
from tests.user_tf.models.user_testing import SMALL
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.models.shared_weights import share_weights, stamp_of
from user_tf.models.user import User


@pytest.fixture
def copies():
    """Return two copies with one word table and otherwise different weights."""
    result = {
        task: randomize(User(SMALL, SIZES, name="user").build_from_sizes(), seed=seed)
        for seed, task in enumerate(("search", "recommendation"))
    }
    words = result["search"].word_embedding.embeddings
    result["recommendation"].word_embedding.embeddings.assign(words)
    return result


def test_equal_weights_and_the_user_table_of_searches_are_kept_once(copies):
    _, variables, constants = share_weights(copies)
    kept = [*variables, *constants]
    search, recommendation = copies.values()
    # Words are equal, users are not read by searches.
    saved = 2 * len(search.variables) - len(kept)
    equal = sum(
        np.array_equal(*pair)
        for pair in zip(search.variables, recommendation.variables, strict=True)
    )
    assert equal >= 1 and saved == equal + 1
    assert len({id(variable) for variable in kept}) == len(kept)
    of_search, of_recommendation = (
        any(variable is ranker.user_embedding.embeddings.value for variable in kept)
        for ranker in (search, recommendation)
    )
    assert of_recommendation and not of_search


def test_scores_with_shared_weights_are_those_without(copies):
    scope, *_ = share_weights(copies)
    for code, (_, ranker) in zip((2, 1), copies.items(), strict=True):
        batch = random_batch(0, tasks=(code,))
        # The last target is padding, of no task.
        expected = ranker(batch).numpy()[:-1]
        with scope(ranker):
            found = ranker(batch).numpy()[:-1]
        np.testing.assert_array_equal(found, expected)


def test_the_shared_weights_are_those_read(copies):
    scope, *_ = share_weights(copies)
    search, batch = copies["search"], random_batch(0, tasks=(1,))
    before = search(batch).numpy()
    # Recommendations are not what this copy serves: with the other's user table they change.
    with scope(search):
        assert np.abs(search(batch).numpy() - before).max() > 1e-3


def test_one_ranker_for_both_tasks_keeps_all_its_weights(copies):
    ranker = copies["search"]
    for served in ({"search": ranker, "recommendation": ranker}, {"search": ranker}):
        _, variables, constants = share_weights(served)
        assert len(variables) + len(constants) == len(ranker.variables)


def test_tables_are_variables_and_the_other_weights_constants(copies):
    ranker = copies["recommendation"]
    scope, variables, constants = share_weights({"recommendation": ranker})
    floats = {id(x) for x in variables if x.dtype.is_floating}
    tables = {id(x.value) for x in ranker.variables if x.name == "embeddings"}
    assert floats == tables and len(constants) > 20
    batch = random_batch(0, tasks=(1,))
    score = tf.function(lambda: ranker(batch))
    with scope(ranker):
        before = score().numpy()
    for constant in constants:
        constant.assign(tf.zeros_like(constant))
    np.testing.assert_array_equal(score().numpy(), before)
    assert {id(x) for x in score.get_concrete_function().variables} <= {id(x) for x in variables}


def test_a_stamp_follows_the_weights(copies):
    _, variables, constants = share_weights(copies)
    kept = [*variables, *constants]
    before = stamp_of(kept)
    assert 0 <= before < 2**31 and stamp_of(kept) == before
    for weights in (variables[0], constants[3]):
        weights.assign_add(np.full(weights.shape, 1e-3))
        assert stamp_of(kept) != before
        before = stamp_of(kept)
