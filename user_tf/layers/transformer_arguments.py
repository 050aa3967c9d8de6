"""Hold the arguments that a transformer and the encoders around one have in common."""

import keras


class TransformerArguments(keras.layers.Layer):
    """Keep the sizes of a transformer; base of `Transformer` and of every encoder around one.

    Each argument, the attribute that keeps it and its key in `get_config` have one name. A subclass
    adds arguments of its own and passes the rest on, and need not repeat these.

    Args:
        num_layers: Number of layers. Default: 1.
        num_heads: Number of attention heads. Default: 8.
        key_dim: Width of a head. Default: 50.
        intermediate_dim: Width of the hidden layer of the feed-forward part. Default: 256.
        dropout: Dropout rate of sublayer outputs and of attention weights. Default: 0.

    Example:
        >>> layer = TransformerArguments(num_heads=2, name="layer")
        >>> layer.transformer_arguments()["num_heads"], layer.get_config()["num_heads"]
        (2, 2)
    """

    def __init__(
        self,
        num_layers=1,
        num_heads=8,
        key_dim=50,
        intermediate_dim=256,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout

    def transformer_arguments(self):
        """Return the five arguments by name, for the transformer inside an encoder."""
        names = ("num_layers", "num_heads", "key_dim", "intermediate_dim", "dropout")
        return {name: getattr(self, name) for name in names}

    def get_config(self):
        return {**super().get_config(), **self.transformer_arguments()}
