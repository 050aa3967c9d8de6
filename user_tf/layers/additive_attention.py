"""Pool a sequence into one vector by additive attention."""

import keras
from keras import ops

from user_tf.layers.masking import masked_softmax
from user_tf.layers.rows import flatten_rows


@keras.saving.register_keras_serializable(package="user_tf")
class AdditiveAttention(keras.layers.Layer):
    """Pool a sequence by additive attention, as in the text encoder of USER.

        a_i = softmax_i( v . tanh(W c_i + b) ) over the real places;   r = sum_i a_i c_i

    Args:
        units: Width of W c_i. Default: the width of the inputs.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`, true at real places. A row without any gives 0.

    Returns:
        Float tensor `[B, d]`.

    Example:
        >>> pool = AdditiveAttention()
        >>> pooled = pool(ops.ones((2, 3, 2)), padding_mask=ops.array([[True] * 3, [False] * 3]))
        >>> ops.convert_to_numpy(pooled).round(3).tolist()
        [[1.0, 1.0], [0.0, 0.0]]

    Reference:
        Yang et al., Hierarchical Attention Networks for Document Classification, NAACL 2016.
    """

    def __init__(self, units=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        units = self.units or width
        self.hidden = keras.layers.Dense(
            units, activation="tanh", dtype=self.dtype_policy, name="hidden"
        )
        self.hidden.build((None, width))
        # No bias: the softmax would cancel it.
        self.score = keras.layers.Dense(1, use_bias=False, dtype=self.dtype_policy, name="score")
        self.score.build((None, units))

    def call(self, inputs, padding_mask):
        weights = self.pooling_weights(inputs, padding_mask)
        return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), inputs), axis=1)

    def pooling_weights(self, inputs, padding_mask):
        """Return the weights a, `[B, L]`: 0 where masked, of sum 1 where a place is real."""
        logits = self.score(self.hidden(flatten_rows(inputs)))
        logits = ops.reshape(logits, (-1, ops.shape(inputs)[1]))
        return ops.cast(masked_softmax(logits, padding_mask), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
