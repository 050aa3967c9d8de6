"""Runs with random weights on a tiny dataset."""

import dataclasses

from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.training.records import checkpoints

MODEL = ModelConfig(width=tiny_dataset.WIDTH, num_heads=2, key_dim=3, intermediate_dim=10)


def make_run(folder, dataset, name, scenario="unified"):
    """Write a run with the initial weights of its model; return its folder."""
    phase = "pretrain" if scenario == "unified" else scenario
    config = Config(
        run=str(folder),
        data=DataConfig(dataset=str(dataset.path), scenario=scenario),
        model=dataclasses.replace(MODEL, name=name),
        train=TrainConfig(phases=(phase,)),
    )
    run_folder.open_run(config)
    (folder / phase).mkdir()
    checkpoints.save_weights(
        folder / phase / run_folder.BEST, run_folder.build_model(config, dataset)
    )
    return str(folder)
