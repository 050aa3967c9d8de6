"""TensorFlow Ranking without its package `__init__`.

`import tensorflow_ranking` fails under TensorFlow 2.16 and later, because its `__init__` imports
the removed `tf.estimator`. The modules that hold the losses and metrics need nothing but
TensorFlow; they are loaded below stand-ins for the parent packages, which are taken away again.
The paths are those of tensorflow-ranking 0.5.3, the pinned version.
"""

import dataclasses
import functools
import importlib
import importlib.util
import sys
import types

_PACKAGES = (
    "tensorflow_ranking",
    "tensorflow_ranking.python",
    "tensorflow_ranking.python.keras",
)


@dataclasses.dataclass(frozen=True)
class TensorFlowRanking:
    """The loaded modules.

    Attributes:
        losses_impl: Losses on tensors, e.g. `SoftmaxLoss`.
        metrics_impl: Metrics on tensors, e.g. `MRRMetric`.
        metrics: `tfr.keras.metrics`: `MRRMetric`, `NDCGMetric`, ... as Keras metrics.
    """

    losses_impl: types.ModuleType
    metrics_impl: types.ModuleType
    metrics: types.ModuleType


@functools.cache
def load() -> TensorFlowRanking:
    """Loads TensorFlow Ranking's losses and metrics, once a process.

    Padding is a label below 0. Its metrics break ties at random and count a list without a
    relevant item as 0: reported numbers come from `user_tf.evaluation`, never from them.

    Raises:
        ModuleNotFoundError: tensorflow-ranking is not installed.

    Example:
        >>> load().losses_impl.SoftmaxLoss(name="softmax").name
        'softmax'
    """
    # find_spec on the top-level name locates the package without running it.
    spec = importlib.util.find_spec("tensorflow_ranking")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "`tensorflow_ranking` should be installed. Received: no such package. "
            "Run `pip install tensorflow-ranking==0.5.3`."
        )
    root = next(iter(spec.submodule_search_locations))
    stand_ins = []
    for name in _PACKAGES:
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = ["/".join([root, *name.split(".")[1:]])]
            sys.modules[name] = package
            stand_ins.append(name)
    try:
        return TensorFlowRanking(
            losses_impl=importlib.import_module("tensorflow_ranking.python.losses_impl"),
            metrics_impl=importlib.import_module("tensorflow_ranking.python.metrics_impl"),
            metrics=importlib.import_module("tensorflow_ranking.python.keras.metrics"),
        )
    finally:
        # A later `import tensorflow_ranking` gives its own answer, not an empty package.
        for name in stand_ins:
            del sys.modules[name]
