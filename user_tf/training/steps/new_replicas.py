"""The replicas that the settings of a run ask for."""

import keras

from user_tf.config import RuntimeConfig
from user_tf.training.steps.replicas import Replicas


def make_replicas(runtime: RuntimeConfig) -> Replicas:
    """Return the replicas of `--runtime.backend` and `--runtime.strategy`.

    Raises:
        ValueError: Keras runs on another back end; `multi_worker` has no cluster in TF_CONFIG, or
            its workers have unequal numbers of devices.

    Example:
        >>> make_replicas(RuntimeConfig()).count
        1
    """
    if keras.backend.backend() != runtime.backend:
        raise ValueError(
            f"`runtime.backend` must be the back end of Keras in this process. Got "
            f"{runtime.backend!r}; Keras runs on {keras.backend.backend()}. Fix: set the environment "
            f"variable KERAS_BACKEND={runtime.backend} before Keras is imported."
        )
    if runtime.backend == "jax":
        from user_tf.training.steps.jax_replicas import JaxReplicas

        return JaxReplicas(runtime)
    from user_tf.training.steps.tf_replicas import TensorFlowReplicas, make_strategy

    return TensorFlowReplicas(make_strategy(runtime))
