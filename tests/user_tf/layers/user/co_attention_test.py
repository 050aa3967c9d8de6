"""Co-attention."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_layer_test, weights_of
from tests.user_tf.layers.user import numpy_encoders
from user_tf.layers.user.co_attention import CoAttention

RNG = np.random.default_rng(0)
QUERY, DOCUMENTS = RNG.normal(size=(4, 3, 4)), RNG.normal(size=(4, 6, 4))
QUERY_MASK = np.arange(3) < np.array([[3], [1], [0], [2]])
# Titles one after the other: real tokens have padding between them.
DOCUMENTS_MASK = np.array(
    [[1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool
)
ARGUMENTS = {
    "query": QUERY,
    "documents": DOCUMENTS,
    "query_mask": QUERY_MASK,
    "documents_mask": DOCUMENTS_MASK,
}


@pytest.mark.parametrize("form", ["parallel", "simple"])
def test_output_equals_the_equations_over_real_tokens(form):
    layer = CoAttention(form, dtype="float64")
    layer.build(QUERY.shape, DOCUMENTS.shape)
    outputs = randomize(layer)(**ARGUMENTS).numpy()
    for row in range(4):
        expected = numpy_encoders.co_attention(
            QUERY[row, QUERY_MASK[row]],
            DOCUMENTS[row, DOCUMENTS_MASK[row]],
            weights_of(layer),
            form,
        )
        np.testing.assert_allclose(outputs[row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", ["parallel", "simple"])
def test_padding_does_not_matter_on_either_side(form):
    layer = CoAttention(form, dtype="float64")
    expected = layer(**ARGUMENTS)
    noisy = {
        **ARGUMENTS,
        "query": np.where(QUERY_MASK[..., None], QUERY, 7.0),
        "documents": np.where(DOCUMENTS_MASK[..., None], DOCUMENTS, 7.0),
    }
    np.testing.assert_allclose(layer(**noisy), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("form", "weights"), [("parallel", 7), ("simple", 3)])
def test_layer(form, weights):
    run_layer_test(
        lambda **kwargs: CoAttention(form, **kwargs),
        ARGUMENTS,
        weights,
        varying=[(name, 1) for name in ARGUMENTS],
    )


def test_an_unknown_form_is_refused():
    with pytest.raises(
        ValueError,
        match=r"`co_attention` must be one of .*Got 'paralel'.*Fix: .*model\.co_attention",
    ):
        CoAttention("paralel")
