"""Sizes of batches under XLA: few of them, and none open on a TPU."""

import pytest
import tensorflow as tf

from data_pipeline.batching.batches import evaluation_batches
from tests.user_tf.runs.settings_effect_test import SMALL, replace
from tests.user_tf.training import tiny_dataset
from user_tf.config import Config
from user_tf.training import feeding, phases
from user_tf.training.steps.replicas import StepSettings
from user_tf.training.steps.tf_replicas import TensorFlowReplicas
from user_tf.training.steps.tf_step import make_train_step
from user_tf.training.trainer import Trainer

# Their output has a size that depends on values, which no program of a TPU can have.
OPEN_OPERATIONS = {"Where", "Unique", "UniqueV2", "DynamicPartition", "BooleanMask"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("data") / "dataset")


def make_config(dataset, name):
    """Return settings of a training on a TPU."""
    config = replace(Config(run="none"), SMALL)
    return replace(
        config,
        {
            "data.dataset": str(dataset.path),
            "model.name": name,
            "runtime.strategy": "tpu",
            "train.phases": ("pretrain", "search", "recommendation"),
        },
    )


def shapes_of(batch):
    return tuple(sorted((name, tuple(value.shape)) for name, value in batch.items()))


def test_all_epochs_and_phases_have_at_most_four_sizes(dataset):
    config = make_config(dataset, "nrms")
    trained, validated, batches = set(), set(), 0
    for name, epochs in (("pretrain", 3), ("search", 1), ("recommendation", 1)):
        phase = phases.plan(config, name)
        for epoch in range(epochs):
            epoch_of = feeding.replica_batches(config, phase, dataset, 1, epoch, 0)
            sizes = [shapes_of(batch) for batch in epoch_of(0, 1, 1)]
            trained.update(sizes)
            batches += len(sizes)
        settings = feeding.batch_settings(config)
        lists = evaluation_batches(dataset, "unified", "validation", settings, tasks=phase.tasks)
        validated.update(map(shapes_of, lists))
    assert batches == 5 * 6
    assert 1 <= len(trained) <= 4 and 1 <= len(validated) <= 4


@pytest.mark.parametrize("name", ["user", pytest.param("user_plus", marks=pytest.mark.slow)])
def test_no_open_size_reaches_the_step_or_the_validation_of_a_tpu(dataset, name):
    config = make_config(dataset, name)
    replicas = TensorFlowReplicas(tf.distribute.get_strategy())
    trainer = Trainer(config, dataset, replicas)
    phase = phases.plan(config, "pretrain")
    trainer.start(phase)
    settings = feeding.batch_settings(config)
    training = feeding.replica_batches(config, phase, dataset, 1, 0, 0)(0, 1, 1)
    step = make_train_step(
        trainer.model, trainer.optimizer, replicas.strategy, None, StepSettings(5.0)
    )
    numbers = tf.constant(1, tf.int64), tf.constant((1, 0), tf.int64)
    traced = step.get_concrete_function(next(iter(training)), *numbers)
    lists = evaluation_batches(dataset, "unified", "validation", settings)
    forward = tf.function(lambda batch: trainer.model(batch, training=False))
    batch = next(iter(lists))
    batch.pop("target_id")
    for function in (traced, forward.get_concrete_function(batch)):
        operations = function.graph.get_operations()
        assert len(operations) > 200
        for operation in operations:
            assert operation.type not in OPEN_OPERATIONS, operation.name
            for output in operation.outputs:
                # XLA computes the axes of BroadcastGradientArgs while it compiles.
                known = operation.type == "BroadcastGradientArgs"
                if not known and output.dtype not in (tf.resource, tf.variant):
                    assert output.shape.is_fully_defined(), operation.name


@pytest.mark.slow
def test_xla_compiles_the_step_of_every_size(dataset):
    config = replace(make_config(dataset, "user"), {"model.word_layers": 1})
    replicas = TensorFlowReplicas(tf.distribute.get_strategy())
    trainer = Trainer(config, dataset, replicas)
    phase = phases.plan(config, "pretrain")
    trainer.start(phase)
    training = feeding.replica_batches(config, phase, dataset, 1, 0, 0)(0, 1, 1)
    compiled = make_train_step(
        trainer.model, trainer.optimizer, replicas.strategy, None, StepSettings(5.0, jit=True)
    )
    for number, batch in enumerate(training):
        result = compiled(batch, number, (1, 0))
        assert float(result.gradient_norm) > 0
