"""USER+ against its equations, its start at USER's score, and its parts."""

import dataclasses

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.models import numpy_user_plus
from tests.user_tf.models.ranker_testing import score, tensors
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import USER_PLUS_PARTS, ModelConfig
from user_tf.models.batch_ops import padded_history, padded_session
from user_tf.models.user import User
from user_tf.models.user_plus import VARIANTS, UserPlus

SMALL = ModelConfig(
    width=8, num_heads=2, key_dim=3, intermediate_dim=10, aspects=3, aspect_dim=4, head_dim=5
)


def make(dtype="float64", **settings):
    config = dataclasses.replace(SMALL, **settings)
    return UserPlus(config, SIZES, dtype=dtype, name="user_plus").build_from_sizes()


def batch_with_known_documents(seed):
    """A Batch some of whose candidates were browsed or clicked before."""
    batch = random_batch(seed)
    batch["candidate_doc"] = batch["candidate_text"]
    return batch


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        *((name, USER_PLUS_PARTS) for name in VARIANTS),
        ("all", ("near", "match")),
        ("all", ("places",)),
        ("all", ()),
    ],
)
def test_scores_equal_the_equations_written_target_by_target(name, parts):
    model = randomize(make(parts=parts), seed=5)
    model.choose_variant(name)
    batch = batch_with_known_documents(1)
    expected = numpy_user_plus.scores(batch, weights_of(model), model.config, float(name == "all"))
    real = batch["candidate_mask"]
    np.testing.assert_allclose(score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9)


def test_the_first_score_is_that_of_user():
    model = make()
    user = User(model.config, SIZES, dtype="float64", name="user").build_from_sizes()
    own = {variable.path.removeprefix("user/"): variable for variable in user.variables}
    for variable in model.variables:
        if (path := variable.path.removeprefix("user_plus/")) in own:
            own[path].assign(variable)
    batch = random_batch(2)
    np.testing.assert_allclose(score(model, batch), score(user, batch), rtol=1e-12, atol=1e-12)


def test_texts_are_left_out_in_training_alone():
    model = randomize(make(dropout=0.0, token_dropout=0.0, text_dropout=0.5), seed=5)
    batch = tensors(random_batch(3, targets=40))
    whole = np.asarray(model(batch))
    np.testing.assert_array_equal(whole, np.asarray(model(batch)))
    left_out = [np.asarray(model(batch, training=True)) != whole for _ in range(3)]
    shares = [rows.any(axis=1).mean() for rows in left_out]
    assert all(0.2 < share < 0.8 for share in shares)
    assert not np.array_equal(left_out[0], left_out[1])


def test_token_dropout_changes_scores_in_training_alone():
    model = randomize(make(dropout=0.0, text_dropout=0.0, token_dropout=0.5), seed=5)
    batch = tensors(random_batch(3))
    assert not np.allclose(np.asarray(model(batch, training=True)), np.asarray(model(batch)))
    np.testing.assert_array_equal(np.asarray(model(batch)), np.asarray(model(batch)))


def test_without_document_ids_the_score_is_that_of_documents_never_met():
    model = randomize(make(), seed=5)
    batch = batch_with_known_documents(4)
    met = score(model, batch)
    unknown = batch | {"candidate_doc": np.zeros_like(batch["candidate_doc"])}
    new = batch | {"candidate_doc": batch["candidate_doc"] + 1000}
    np.testing.assert_array_equal(score(model, unknown), score(model, new))
    assert not np.allclose(met, score(model, unknown))


def test_likeness_names_the_behavior_and_the_words_that_speak_for_a_candidate():
    model = randomize(make(), seed=5)
    batch = random_batch(1)
    found = {name: np.asarray(value) for name, value in model.explain_match(tensors(batch)).items()}
    tokens, weights = batch["text_tokens"], weights_of(model)
    filled = (tokens > 0).any(axis=1)
    np.testing.assert_allclose(found["shares"].sum(axis=2), np.repeat(filled[:, None], 3, axis=1))
    words = [[token for token in row if token] for row in tokens.tolist()]
    read = np.array([numpy_user_plus.aspects(text, weights, 3) for text in words])
    sharpness = numpy_user_plus.softplus(weights["kernel/sharpness"])
    history = np.asarray(padded_history(tensors(batch)).behaviors)
    session = np.asarray(padded_session(tensors(batch)).behaviors)
    slots = np.concatenate([history, session], axis=1)
    assert found["likeness"].shape == (*batch["candidate_text"].shape, slots.shape[1], 3)
    compared = 0
    for target, candidates in enumerate(batch["candidate_text"]):
        for place in np.flatnonzero(slots[target]):
            text = batch["behavior_text"][slots[target, place]]
            cosines = np.einsum("caw,aw->ca", read[candidates], read[text])
            expected = sharpness * (cosines - 1)
            np.testing.assert_allclose(found["likeness"][target, :, place], expected, atol=1e-9)
            compared += 1
    assert compared > 10
