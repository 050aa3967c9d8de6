"""Look up sinusoidal position vectors by position id."""

import keras
import keras_nlp
from keras import ops

from user_tf.layers.masking import precise_dtype
from user_tf.layers.rows import take_rows


@keras.saving.register_keras_serializable(package="user_tf")
class Positions(keras.layers.Layer):
    """Return the vectors of positions 1, 2, ...; id 0 means "no position" and gives the zero vector.

    The table is `SinePositionEncoding` of Keras Hub: at position p, width d

        P[p, 2i] = sin(p / 10000^(2i/d)),   P[p, 2i+1] = cos(p / 10000^(2i/d))

    It is computed in at least float32 and holds no weights; a compiler folds it into a constant.

    Args:
        width: Width d of the vectors.

    Call arguments:
        ids: int tensor `[...]` of position ids in 0..`longest`.
        longest: Largest id there may be, at least 1; an int, or a scalar tensor.

    Returns:
        Float tensor `[..., d]`.

    Example:
        >>> Positions(4)(ops.array([[1, 0]]), longest=2)
        <tf.Tensor: shape=(1, 2, 4), dtype=float32, ...

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.sine = keras_nlp.layers.SinePositionEncoding(dtype=precise_dtype(self.compute_dtype))

    def build(self, ids_shape):
        """Make nothing: the vectors are a function of the ids."""
        self.built = True

    def call(self, ids, longest):
        blank = ops.zeros((1, longest, self.width), dtype=self.sine.compute_dtype)
        table = ops.concatenate([blank[0, :1], self.sine(blank, start_index=1)[0]], axis=0)
        return take_rows(ops.cast(table, self.compute_dtype), ids)

    def get_config(self):
        return {**super().get_config(), "width": self.width}
