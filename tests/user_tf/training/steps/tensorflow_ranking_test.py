"""TensorFlow Ranking without its `__init__`."""

import subprocess
import sys

import pytest

from user_tf.training.steps import tensorflow_ranking


def test_losses_and_metrics_are_loaded_and_work():
    metric = tensorflow_ranking.import_module("keras.metrics").MRRMetric()
    metric.update_state([[0.0, 1.0, 0.0]], [[3.0, 2.0, 1.0]])  # rank 2
    assert float(metric.result()) == pytest.approx(1 / 2)
    losses_impl = tensorflow_ranking.import_module("losses_impl")
    losses, weights = losses_impl.SoftmaxLoss("softmax").compute_per_list(
        [[0.0, 1.0]], [[1.0, 1.0]], None
    )
    assert float(losses[0]) == pytest.approx(0.693147)
    assert float(weights[0]) == 1.0


def test_padding_is_a_negative_label():
    metric = tensorflow_ranking.import_module("metrics_impl").MRRMetric("mrr", topn=None)
    padded, _ = metric.compute([[0.0, 1.0, -1.0]], [[3.0, 2.0, 9.0]])
    assert float(padded[0, 0]) == pytest.approx(1 / 2)


def test_loading_leaves_no_empty_package_behind():
    tensorflow_ranking.import_module("losses_impl")
    assert "tensorflow_ranking" not in sys.modules
    assert "tensorflow_ranking.python.losses_impl" in sys.modules


def test_importing_the_module_does_not_import_tensorflow():
    code = (
        "import sys, user_tf.training.steps.tensorflow_ranking; print('tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


def test_a_missing_package_is_named_with_the_fix(monkeypatch):
    monkeypatch.setattr(tensorflow_ranking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorflow-ranking"):
        tensorflow_ranking.import_module.__wrapped__("losses_impl")
