"""Leave words out of texts in training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="user_tf")
class TokenDropout(keras.layers.Layer):
    """Replace tokens of a Batch's texts by padding, each with the same probability.

    A word that is missing now and then cannot be learned by heart.

    Args:
        rate: Probability of a token to be left out, in [0, 1).

    Call arguments:
        batch: A Batch; only `text_tokens` `[X, L]` changes.
        training: Whether tokens are left out.

    Example:
        >>> batch = {"text_tokens": ops.ones((2, 3), "int32")}
        >>> TokenDropout(0.5)(batch)["text_tokens"].shape
        TensorShape([2, 3])
    """

    def __init__(self, rate, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.rate = rate
        self.seeds = keras.random.SeedGenerator()

    def call(self, batch, training=False):
        if not training or not self.rate:
            return batch
        tokens = batch["text_tokens"]
        drawn = keras.random.uniform(ops.shape(tokens), dtype="float32", seed=self.seeds)
        return {**batch, "text_tokens": ops.where(drawn < self.rate, 0, tokens)}

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
