"""The Batch of one target, read from its window alone."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from data_pipeline.batching import packing, pad_sizes
from data_pipeline.batching.batches import tables_of
from data_pipeline.batching.parsing import Batch, parse, select
from data_pipeline.dataset.corrupt_windows import named_corruption
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.settings import BatchSettings
from user_tf.explore.target_catalogue import Target

_WINDOWS_AT_ONCE = 512


class TargetWindows:
    """Windows of one scenario and split, found by target.

    The first target that is asked for reads the target ids of all windows; no window is kept.

    Args:
        dataset: Opened dataset.
        scenario: A `Scenario`.
        split: A `Split`.

    Raises:
        ValueError: The dataset has no such windows.
    """

    def __init__(self, dataset: Dataset, scenario: str, split: str) -> None:
        self._dataset = dataset
        self._files = dataset.window_files(scenario, split)
        self._places: dict[int, tuple[str, int]] | None = None

    def batch(self, target_id: int, settings: BatchSettings) -> Batch | None:
        """Return the Batch of a target with its complete list, as evaluation makes it.

        Args:
            target_id: A target of the dataset.
            settings: Settings of the run: which features it sees.

        Returns:
            A Batch of one target; None where the windows do not hold it.

        Raises:
            ValueError: A window file is corrupt.
        """
        with named_corruption(self._dataset):
            if self._places is None:
                self._places = self._find_places()
            if target_id not in self._places:
                return None
            file, place = self._places[target_id]
            record = next(iter(tf.data.TFRecordDataset(file).skip(place).take(1)))
        # Buckets by length save time in large Batches; here they are more calls.
        settings = dataclasses.replace(settings, length_buckets=0)
        tables = tables_of(self._dataset)
        parsed = parse(record[tf.newaxis], tables)
        parsed = packing.complete_lists(select(parsed, parsed["target_id"] == target_id))
        parsed = packing.standardise(parsed, tables, settings)
        return pad_sizes.pad(packing.collect(parsed, tables, settings))

    def _find_places(self) -> dict[int, tuple[str, int]]:
        """Return file and number of the record of every target."""
        places: dict[int, tuple[str, int]] = {}
        kinds: dict[str, Any] = {"target_id": tf.io.RaggedFeature(tf.int64)}
        for file in self._files:
            first = 0
            for records in tf.data.TFRecordDataset(file).batch(_WINDOWS_AT_ONCE):
                found = tf.io.parse_example(records, kinds)["target_id"]
                rows = np.asarray(found.value_rowids()) + first
                ids = np.asarray(found.values)
                places |= {
                    target: (file, row)
                    for target, row in zip(ids.tolist(), rows.tolist(), strict=True)
                }
                first += len(records)
        return places


class Windows:
    """The windows of a dataset by scenario and split, each opened once.

    Args:
        dataset: Opened dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._opened: dict[tuple[str, str], TargetWindows] = {}

    def batch(self, target: Target, scenario: str, settings: BatchSettings) -> Any:
        """Return the Batch of a target in a scenario; None where its windows do not hold it."""
        key = (scenario, target.split)
        if key not in self._opened:
            self._opened[key] = TargetWindows(self.dataset, scenario, target.split)
        return self._opened[key].batch(target.target_id, settings)
