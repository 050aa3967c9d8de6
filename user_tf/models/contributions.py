"""Name the parts of USER's score."""

from collections.abc import Iterable

from user_tf.config import ModelConfig

COSINES = ("cos(I_s, r_D)", "cos(I_s, r_l)", "cos(I_l, r_D)", "cos(I_l, r_l)")


def contribution_names(config: ModelConfig, features: Iterable[str]) -> list[str]:
    """Return the names of the contributions that `User.explain` gives, in order.

    Args:
        config: Settings of the model.
        features: Names of F; none for a model without F.

    Example:
        >>> contribution_names(ModelConfig(history_encoder=False), ["recency"])
        ['cos(I_s, r_D)', 'knrm', 'recency']
    """
    return [
        *COSINES[: 4 if config.history_encoder else 1],
        *(["knrm"] if config.knrm else []),
        *features,
        *(["hidden layer"] if config.head == "mlp" else []),
    ]
