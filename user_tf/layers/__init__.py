"""Provide the Keras 3 layers of USER and its baselines: one public class a file, `keras.ops` only.

Axis letters, the same in every docstring:

    X   distinct texts of a batch           T   targets
    L   tokens of a text                    C   candidates of a target
    N   distinct behaviors of a batch       S   distinct past sessions of a batch
    d   width of the model                  F   relevance features, and their number

Two more appear in layers that serve several stages: B rows of any kind, and K places of a context
that Q rows attend to.

Names, the same in settings, arguments, attributes and `get_config`: `dropout` is a rate (the layer
that applies it is `dropout_layer`); `num_layers`, `num_heads`, `key_dim` and `intermediate_dim` are
sizes of a transformer, `num_layers` being `word_layers`, `session_layers` or `history_layers` in
the settings of a ranker; a `padding_mask` is true at real places.

Every layer is registered with Keras under the package `user_tf`: a model that contains one loads
without custom objects once the layer's module is imported; `user_tf.registry` imports them all.
"""
