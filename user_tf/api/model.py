"""Datasets and models that are not trained yet."""

import dataclasses
import os
from typing import Any

from data_pipeline.common.paths import local_path
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from user_tf import run_folder
from user_tf.api.keywords import replace_settings
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.training.run_checks import check


def load_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open a dataset made by `python -m data_pipeline.prepare`.

    Arrays are mapped from disk, not read into memory.

    Args:
        path: Folder of the dataset.

    Returns:
        The `data_pipeline.dataset.dataset_folder.Dataset`.

    Raises:
        FileNotFoundError: The folder is no complete dataset.
    """
    return open_dataset(local_path("path", path))


def build_model(name: str, data: Dataset, **settings: Any) -> Any:
    """Build a ranker for a dataset, with initial weights.

    Args:
        name: Ranker, a name of `user_tf.registry.RANKERS`: `user`, or a baseline.
        data: Dataset of `load_dataset`.
        **settings: Settings of the model and of the data, by the last part of their flags' names:
            `width=32` for --model.width=32, `scenario="search"` for --data.scenario=search.
            Default: as `python -m user_tf.train --helpfull` lists them.

    Returns:
        A built `user_tf.models.ranker.Ranker`, a Keras model. Its `run_settings` are the `Config`
        that `fit` trains it with. Its weights are drawn from the global state of Keras, under the
        dtype policy in force; `fit` draws its own.

    Raises:
        ValueError: A setting is unknown or impossible.
    """
    start = Config(model=ModelConfig(name=name), data=DataConfig(dataset=os.fspath(data.path)))
    config = replace_settings(start, settings, ("model.", "data.scenario", "data.batch."))
    one_task = config.data.scenario != "unified"
    phases = (config.data.scenario,) if one_task else TrainConfig().phases
    check(dataclasses.replace(config, run="unnamed", train=TrainConfig(phases=phases)))
    model = run_folder.build_model(config, data)
    model.run_settings = config
    return model
