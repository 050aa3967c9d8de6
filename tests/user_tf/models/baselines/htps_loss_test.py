"""The loss of the language model of HTPS."""

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.models.baselines.htps_testing import make, train_loss
from tests.user_tf.models.ranker_testing import (
    EMPTINESS,
    longer,
    tensors,
    with_row_subsets,
)
from tests.user_tf.random_batch import random_batch


def test_the_language_model_adds_its_loss_in_training_only_and_by_its_weight():
    model, batch = make(), tensors(random_batch(2))
    model(batch)
    assert model.losses == []
    _, gradients = train_loss(model, batch)
    norms = {
        variable.path.split("/")[1]: float(tf.linalg.global_norm([gradient]))
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
    }
    parts = {"embedding", "word_encoder", "query_encoder", "next_encoder", "mask_vector"}
    assert {name for name, norm in norms.items() if norm > 0} == parts
    silent = make(next_query_weight=0.0)
    silent(batch, training=True)
    assert silent.losses == []


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_longer_padding_row_subsets_and_xla_do_not_change_the_loss(compiled):
    model, batch = make(), random_batch(6)
    expected, expected_gradients = train_loss(model, tensors(batch))
    graph = tf.function(lambda batch: train_loss(model, batch), jit_compile=compiled)
    loss, gradients = graph(with_row_subsets(longer(batch), more=3))
    np.testing.assert_allclose(loss, expected, rtol=1e-9)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-7, atol=1e-9)


def test_every_kind_of_emptiness_gives_a_finite_loss():
    model = make()
    for emptiness in EMPTINESS:
        batch = random_batch(8)
        emptiness(batch)
        loss, gradients = train_loss(model, tensors(batch))
        assert np.isfinite(loss), emptiness
        assert np.isfinite(tf.linalg.global_norm(gradients)), emptiness
    batch["next_query_text"][:] = 0
    assert float(train_loss(model, tensors(batch))[0]) == 0.0
