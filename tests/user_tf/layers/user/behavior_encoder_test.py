"""Behavior encoder."""

import numpy as np

from tests.user_tf.layer_testing import randomize, run_layer_test, weights_of
from tests.user_tf.layers import numpy_layers
from tests.user_tf.layers.user import numpy_encoders
from user_tf.layers.user.behavior_encoder import BehaviorEncoder

RNG = np.random.default_rng(0)
LENGTHS = np.array([[0], [3], [1], [2], [0]])
WORDS_MASK = np.arange(3) < LENGTHS
WORDS = RNG.normal(size=(5, 3, 4)) * WORDS_MASK[..., None]
VECTORS = RNG.normal(size=(5, 4)) * (LENGTHS > 0)
ARGUMENTS = {
    "words": WORDS,
    "vectors": VECTORS,
    "words_mask": WORDS_MASK,
    "types": np.array([0, 1, 2, 2, 2, 1, 2, 2], np.int32),
    "texts": np.array([0, 1, 1, 3, 2, 4, 0, 1], np.int32),
    # Row 7 clicked the empty title 4 only; row 5 is a browse that (wrongly) carries clicks.
    "clicked": np.array([[0, 0], [0, 0], [0, 0], [1, 2], [3, 0], [1, 2], [2, 1], [4, 0]], np.int32),
}


def test_browses_and_searches_are_encoded_as_the_equations_say():
    layer = BehaviorEncoder(dtype="float64")
    layer.build(WORDS.shape)
    outputs = randomize(layer)(**ARGUMENTS).numpy()
    for row in (0, 1, 2, 5, 7):
        np.testing.assert_array_equal(outputs[row], VECTORS[ARGUMENTS["texts"][row]])
    fuse = numpy_layers.part(weights_of(layer), "co_attention")
    for row, clicked in ((3, [1, 2]), (4, [3]), (6, [2, 1])):
        text = ARGUMENTS["texts"][row]
        expected = numpy_encoders.co_attention(
            WORDS[text, WORDS_MASK[text]],
            np.concatenate([WORDS[title, WORDS_MASK[title]] for title in clicked]),
            fuse,
        )
        np.testing.assert_allclose(outputs[row], expected, rtol=1e-9, atol=1e-9)


def test_layer():
    names = [("words", 1), ("words_mask", 1)]
    run_layer_test(BehaviorEncoder, ARGUMENTS, weights=7, varying=names)
    run_layer_test(
        lambda **kwargs: BehaviorEncoder("simple", **kwargs), ARGUMENTS, weights=3, varying=names
    )
