"""Every setting of a run does something: changing it changes a plan, a model, a batch or a training."""

import dataclasses
import functools
import operator
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching.batches import evaluation_batches, training_batches
from data_pipeline.common import flagtree
from data_pipeline.dataset.dataset_folder import open_dataset
from tests.user_tf.reporting.made_runs import make_run
from tests.user_tf.runs.seen_devices import see_backend, see_devices
from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.config import Config
from user_tf.training import loop, phase_training, phases
from user_tf.training.run_checks import check
from user_tf.training.steps.tf_replicas import TensorFlowReplicas
from user_tf.training.trainer import Trainer

SMALL = {
    "model.width": 8,
    "model.num_heads": 2,
    "model.key_dim": 3,
    "model.intermediate_dim": 10,
    "model.personal_rows": 50,
    "data.batch.windows_per_batch": 2,
    "data.batch.evaluation_windows_per_batch": 2,
    "data.batch.negatives": 3,
    "train.phases": ("pretrain", "search"),
}

# A graph that is traced in a moment, where only steps are counted.
WITHOUT_ENCODERS = {
    "model.session_encoder": False,
    "model.history_encoder": False,
    "model.knrm": False,
}


def replace(config, changes):
    """Return a configuration with other values, by the names of the settings."""
    for name, value in changes.items():
        parents, last = name.split(".")[:-1], name.split(".")[-1]
        value = dataclasses.replace(_at(config, parents), **{last: value})
        for depth in range(len(parents), 0, -1):
            node = _at(config, parents[: depth - 1])
            value = dataclasses.replace(node, **{parents[depth - 1]: value})
        config = value
    return config


def _at(config, parents):
    return operator.attrgetter(".".join(parents))(config) if parents else config


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory):
    """Write a dataset, a copy of another seed and a trained run; return the settings of a small run."""
    folder = tmp_path_factory.mktemp("settings")
    dataset = tiny_dataset.write(folder / "dataset")
    tiny_dataset.write(folder / "other", seed=1)
    make_run(folder / "earlier", dataset, "nrms")
    return replace(
        Config(), SMALL | {"run": str(folder / "run"), "data.dataset": str(dataset.path)}
    )


def summarise(arrays):
    """Return shapes and rounded content of arrays by name."""
    return {
        name: (np.shape(value), np.round(np.asarray(value, np.float64), 5).tobytes())
        for name, value in sorted(arrays.items())
    }


# ---- What a setting may change ----
def see_plan(config):
    return [phases.plan(config, name) for name in config.train.phases]


@functools.cache
def see_batches(config):
    dataset = open_dataset(config.data.dataset)
    scenario, settings = config.data.scenario, config.data.batch
    train = training_batches(dataset, scenario, settings, 1, 0)
    validation = evaluation_batches(dataset, scenario, "validation", settings)
    return [summarise(next(iter(batches))) for batches in (train, validation)]


def see_groups(config):
    """Return the training batches, or why lists are no groups of these settings."""
    try:
        return see_batches(config)
    except ValueError as error:
        return str(error)


@functools.cache
def _new_model(config):
    keras.utils.set_random_seed(1)
    return run_folder.build_model(config, open_dataset(config.data.dataset))


def see_model(config):
    """Return the variables of a new model, which is faster than its scores."""
    variables = {f"{n}": v.numpy() for n, v in enumerate(_new_model(config).trainable_variables)}
    return summarise(variables)


@functools.cache
def see_scores(config):
    """Return scores and losses of a training batch."""
    model, dataset = _new_model(config), open_dataset(config.data.dataset)
    batch = next(iter(training_batches(dataset, "unified", config.data.batch, 1, 0)))
    return summarise({"scores": model(batch, training=True), "losses": sum(model.losses)})


def new_trainer(config):
    """Return the trainer of a run on one device."""
    replicas = TensorFlowReplicas(tf.distribute.get_strategy())
    return Trainer(config, open_dataset(config.data.dataset), replicas)


@functools.cache
def see_training(config):
    """Return how a training of the first phase is made up, which then does not start."""
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            TensorFlowReplicas, "make_step", lambda *arguments: seen.update(step=arguments[-1])
        )
        patch.setattr(
            phase_training,
            "make_validation",
            lambda config, *_: seen.update(train=config.train) or float,
        )
        run = pathlib.Path(config.run)
        plan = phases.plan(config, config.train.phases[0])
        training = phase_training.PhaseTraining(
            config, plan, open_dataset(config.data.dataset), new_trainer(config)
        )
    training.journal.close()
    position = training._position
    position.evaluations_without_improvement = 3
    weights = {f"{n}": v.numpy() for n, v in enumerate(training.model.trainable_variables)}
    return {
        "step": seen["step"],
        "batches": {name: spec.shape for name, spec in training._batches.element_spec.items()},
        "evaluates": training._evaluate_after,
        "over": training.out_of_patience(),
        "first": training.starts_from_trained_weights(),
        "weights": summarise(weights),
        "summaries": (run / run_folder.TENSORBOARD / plan.name).exists(),
    }


def see_validation(config):
    """Return how many targets a validation scores."""
    dataset = open_dataset(config.data.dataset)
    batches = evaluation_batches(
        dataset,
        config.data.scenario,
        "validation",
        config.data.batch,
        limit=config.train.validation_targets,
    )
    return sum(int((batch["target_id"].numpy() >= 0).sum()) for batch in batches)


def see_steps(config):
    """Return the steps of a short training, and the checkpoints that it wrote."""
    saved = []
    config = replace(config, WITHOUT_ENCODERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            phase_training.PhaseTraining, "save", lambda self: saved.append(self._position.step)
        )
        plan = phases.plan(config, config.train.phases[0])
        dataset = open_dataset(config.data.dataset)
        limit = config.train.stop_after_steps
        done = loop.train_phase(config, plan, dataset, new_trainer(config), limit)
    return done, saved


# By setting: another value, settings of the base where it matters, and where the change is seen.
PLUS = {"model.name": "user_plus"}
HTPS = {"model.name": "htps", "data.batch.next_queries": True}
EFFECTS = {
    "data.dataset": ("{other}", {}, see_batches),
    "data.scenario": ("search", {}, None),
    "data.batch.windows_per_batch": (3, {}, see_batches),
    "data.batch.evaluation_windows_per_batch": (3, {}, see_batches),
    "data.batch.negatives": (2, {}, see_batches),
    "data.batch.train_share": (0.5, {}, see_batches),
    "data.batch.multi_positive": (True, {}, see_groups),
    "data.batch.share_texts": (False, {}, see_batches),
    "data.batch.length_buckets": (0, {}, see_batches),
    "data.batch.unknown_user_rate": (1.0, {}, see_batches),
    "data.batch.features": (False, {}, see_batches),
    "data.batch.recommendation_features": (True, {}, see_batches),
    "data.batch.fixed_sizes": ("on", {"data.batch.fixed_sizes": "off"}, see_batches),
    "data.batch.next_queries": (True, {}, see_batches),
    "model.name": ("nrms", {}, see_model),
    "model.width": (4, {}, see_model),
    "model.num_heads": (1, {}, see_model),
    "model.key_dim": (2, {}, see_model),
    "model.intermediate_dim": (6, {}, see_model),
    "model.dropout": (0.5, {}, see_scores),
    "model.init_scheme": ("glorot", {}, see_model),
    "model.word_vectors": (False, {}, see_model),
    "model.train_words": (False, {}, see_model),
    "model.word_layers": (2, {}, see_model),
    "model.co_attention": ("simple", {"model.init_scheme": "glorot"}, see_scores),
    "model.session_encoder": (False, {}, see_model),
    "model.session_layers": (2, {}, see_model),
    "model.session_positions": (False, {"model.init_scheme": "glorot"}, see_scores),
    "model.session_types": (False, {}, see_model),
    "model.session_passes": (2, {}, see_scores),
    "model.history_encoder": (False, {}, see_model),
    "model.history_layers": (2, {}, see_model),
    "model.history_positions": ("off", {"model.init_scheme": "glorot"}, see_scores),
    "model.knrm": (False, {}, see_model),
    "model.score_tanh": (True, {}, see_scores),
    "model.head": ("mlp", {}, see_model),
    "model.parts": (("match",), PLUS, see_model),
    "model.aspects": (4, PLUS, see_model),
    "model.aspect_dim": (8, PLUS, see_model),
    "model.head_dim": (32, PLUS, see_model),
    "model.token_dropout": (0.5, PLUS, see_scores),
    "model.text_dropout": (0.4, PLUS, see_scores),
    "model.personal_rows": (40, {"model.name": "peps"}, see_model),
    "model.next_query_weight": (0.0, HTPS, see_scores),
    "train.phases": (("search",), {}, see_plan),
    "train.warm_start": ("{earlier}", {}, see_training),
    "train.pretrain_epochs": (3, {}, see_plan),
    "train.finetune_epochs": (3, {}, see_plan),
    "train.learning_rate": (0.1, {}, see_plan),
    "train.finetune_learning_rate": (0.1, {}, see_plan),
    "train.embedding_updates": ("touched", {}, see_training),
    "train.clip_norm": (0.1, {}, see_training),
    "train.patience": (9, {}, see_training),
    "train.evaluations_per_epoch": (2, {}, see_training),
    "train.validation_targets": (1, {}, see_validation),
    "train.checkpoint_minutes": (0.0, {"train.stop_after_steps": 2}, see_steps),
    "train.stop_after_steps": (1, {"train.stop_after_steps": 2}, see_steps),
    "runtime.backend": ("jax", {}, see_backend),
    "runtime.strategy": ("mirrored", {}, see_devices),
    "runtime.logical_cpus": (2, {}, see_devices),
    "runtime.tpu": ("host", {"runtime.strategy": "tpu"}, see_devices),
    "runtime.precision": ("mixed_bfloat16", {}, see_devices),
    "runtime.jit": (True, {}, see_training),
    "runtime.seed": (2, {}, see_plan),
    "runtime.tensorboard": (False, {}, see_training),
}


def test_every_setting_of_the_tree_is_walked():
    names = sorted(name for name, _, _ in flagtree.leaves(Config) if name != "run")
    assert sorted(EFFECTS) == names


@pytest.mark.parametrize("name", EFFECTS)
def test_a_changed_setting_changes_something_or_is_refused(base, name, tmp_path):
    value, where, see = EFFECTS[name]
    if isinstance(value, str):
        folder = pathlib.Path(base.run).parent
        value = value.format(other=folder / "other", earlier=folder / "earlier")
    config = replace(base, where)
    if see in (see_training, see_steps):
        # A small model: what is seen does not depend on it.
        config = replace(config, {"model.name": "nrms"})
    check(config)
    changed = replace(config, {name: value})
    if see is None:
        with pytest.raises(ValueError, match=" Fix: "):
            check(changed)
        return
    check(changed)
    if see in (see_training, see_steps):
        changed = replace(changed, {"run": str(tmp_path / "run")})
    assert see(config) != see(changed)


def test_a_run_is_written_into_its_folder(base, tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert run_folder.open_run(replace(base, {"run": str(folder)})) == folder
        assert (folder / "config.json").exists()
