"""Import modules of TensorFlow Ranking without its package `__init__`.

`import tensorflow_ranking` fails under TensorFlow 2.16 and later, because its `__init__` imports
the removed `tf.estimator`. The modules of losses and metrics need TensorFlow only; they are
imported below empty parent packages, which are removed afterwards. The paths are those of
tensorflow-ranking 0.5.3, the pinned version.
"""

import functools
import importlib
import importlib.util
import sys
import types

_PARENTS = (
    "tensorflow_ranking",
    "tensorflow_ranking.python",
    "tensorflow_ranking.python.keras",
)


@functools.cache
def import_module(name: str) -> types.ModuleType:
    """Import `tensorflow_ranking.python.NAME`.

    In its losses and metrics, padding is a label below 0. Its metrics break ties at random and
    count a list without a relevant item as 0; reported numbers come from `user_tf.evaluation`.

    Args:
        name: Such as `losses_impl` or `keras.metrics`.

    Raises:
        ModuleNotFoundError: tensorflow-ranking is not installed.

    Example:
        >>> import_module("losses_impl").SoftmaxLoss(name="softmax").name
        'softmax'
    """
    # find_spec on the top-level name finds the package without running it.
    spec = importlib.util.find_spec("tensorflow_ranking")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "`tensorflow_ranking` must be installed. Got no such package. "
            "Fix: run `pip install tensorflow-ranking==0.5.3`."
        )
    root = next(iter(spec.submodule_search_locations))
    added = [parent for parent in _PARENTS if parent not in sys.modules]
    for parent in added:
        package = types.ModuleType(parent)
        package.__path__ = ["/".join([root, *parent.split(".")[1:]])]
        sys.modules[parent] = package
    try:
        return importlib.import_module(f"tensorflow_ranking.python.{name}")
    finally:
        # A later `import tensorflow_ranking` must give its own answer, not an empty package.
        for parent in added:
            del sys.modules[parent]
