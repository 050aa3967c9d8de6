"""Sinusoidal positions."""

import keras
import numpy as np

from tests.user_tf.layer_testing import run_layer_test
from tests.user_tf.layers.numpy_layers import sinusoid
from user_tf.layers.positions import Positions

IDS = np.array([[1, 2, 0], [101, 0, 7]], np.int32)


def test_vectors_equal_the_formula_and_id_0_is_zero():
    vectors = Positions(6, dtype="float64")(IDS, longest=101).numpy()
    for row, column in np.ndindex(*IDS.shape):
        expected = sinusoid(IDS[row, column], 6) if IDS[row, column] else np.zeros(6)
        np.testing.assert_allclose(vectors[row, column], expected, rtol=1e-9, atol=1e-12)


def test_half_precision_rounds_vectors_and_not_angles():
    vectors = Positions(6, dtype="mixed_bfloat16")(IDS, longest=101)
    assert vectors.dtype == "bfloat16"
    np.testing.assert_allclose(vectors[1, 0].numpy().astype(float), sinusoid(101, 6), atol=0.01)


def test_layer():
    @keras.saving.register_keras_serializable(package="user_tf")
    class UpTo101(Positions):
        def call(self, ids):
            return super().call(ids, longest=101)

    run_layer_test(
        lambda **kwargs: UpTo101(6, **kwargs), {"ids": IDS}, weights=0, varying=[("ids", 1)]
    )
