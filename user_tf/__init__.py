"""USER (CIKM 2021): one model for personalized search and recommendation, in Keras.

    import user_tf

    data = user_tf.load_dataset("work/dataset")
    model = user_tf.build_model("user", data, width=32)
    run = user_tf.fit(model, data, run="work/run", pretrain_epochs=3)
    print(user_tf.evaluate(run, split="test"))
    user_tf.export(run, "work/model")
    served = user_tf.load_served("work/model")
    served.rank(user_id="...", query="shoes", history=[...], candidates=[...])

Importing this package imports none of NumPy, Keras and TensorFlow; the first use of a name does.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from user_tf.api.behaviors import Browse, Search
    from user_tf.api.evaluate_run import EvaluationResult, evaluate
    from user_tf.api.export_run import export
    from user_tf.api.fit import fit
    from user_tf.api.model import build_model, load_dataset
    from user_tf.api.served import ServedRanker, load_served
    from user_tf.api.trained_run import Run

__version__ = "0.1.0"
__all__ = [
    "Browse",
    "EvaluationResult",
    "Run",
    "Search",
    "ServedRanker",
    "build_model",
    "evaluate",
    "export",
    "fit",
    "load_dataset",
    "load_served",
]

_MODULES = {
    "Browse": "behaviors",
    "EvaluationResult": "evaluate_run",
    "Run": "trained_run",
    "Search": "behaviors",
    "ServedRanker": "served",
    "build_model": "model",
    "evaluate": "evaluate_run",
    "export": "export_run",
    "fit": "fit",
    "load_dataset": "model",
    "load_served": "served",
}


class _Package(types.ModuleType):
    """Import the module of a name at its first use."""

    def __getattr__(self, name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.api.{_MODULES[name]}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the command user_tf.evaluate must not replace the function user_tf.evaluate.
        if not (name in _MODULES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *__all__})


sys.modules[__name__].__class__ = _Package
