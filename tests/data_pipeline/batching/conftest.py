"""A small simulated dataset, shared by the tests of batches."""

import pytest

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import BatchSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SimulateSettings


@pytest.fixture(scope="package")
def batch_settings():
    return BatchSettings(windows_per_batch=3, evaluation_windows_per_batch=2)


@pytest.fixture(scope="package")
def batch_dataset(tmp_path_factory, small_settings):
    folder = tmp_path_factory.mktemp("batch")
    write_simulated_log(SimulateSettings(output=str(folder / "log"), users=40))
    prepare(small_settings(folder / "log", folder / "dataset"))
    return open_dataset(folder / "dataset")
