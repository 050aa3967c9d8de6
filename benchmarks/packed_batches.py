"""Pack batches of the reference workload as .npz files, for training without TensorFlow.

    python -m benchmarks.packed_batches --work=work/gpu

Writes one folder for each number of windows in a batch, `batches_folder(...)`: batch-000.npz, ... with
the fields of `data_pipeline.batching.spec`, and last of all manifest.json. Packing needs TensorFlow;
`load` needs NumPy alone, so that the folder may be copied to another machine.
"""

import dataclasses
import importlib.metadata
import itertools
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks import workload
from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class PackSettings:
    """Settings of `python -m benchmarks.packed_batches`."""

    work: str = setting("work/gpu", "Folder of the log, the datasets and the packed batches.")
    history: int = setting(100, "Past behaviors of a target: 10, 30 or 100.")
    windows_per_batch: tuple[int, ...] = dataclasses.field(
        default=(8, 32, 128), metadata={"help": "Windows of a batch, one folder each."}
    )
    batches: int = setting(16, "Batches of a folder at the most; an epoch may hold fewer.")
    seed: int = setting(1, "Seed of window order and draws.")


def batches_folder(work: pathlib.Path, history: int, windows: int) -> pathlib.Path:
    """Return the folder of the batches of `windows` windows.

    Example:
        >>> batches_folder(pathlib.Path("work"), 100, 8).as_posix()
        'work/packed-history-100-windows-8'
    """
    return work / f"packed-history-{history}-windows-{windows}"


def save(
    folder: pathlib.Path,
    batches: Iterable[Mapping[str, Any]],
    sizes: Mapping[str, int],
    origin: Mapping[str, Any],
) -> None:
    """Write batches, then the manifest.

    Args:
        folder: Folder to write.
        batches: Batches of arrays.
        sizes: Fields of `user_tf.models.ranker.Sizes`.
        origin: Origin of the batches, plain values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, batch in enumerate(batches, 1):
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in batch.items()}
        np.savez_compressed(folder / f"batch-{count - 1:03}.npz", **arrays)
    manifest = {"batches": count, "sizes": dict(sizes), "origin": dict(origin)}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def load(folder: pathlib.Path) -> tuple[list[Arrays], dict[str, int], dict[str, Any]]:
    """Read batches, sizes and origin as given to `save`.

    Raises:
        FileNotFoundError: `folder` holds no finished batches.
    """
    if not (folder / "manifest.json").exists():
        raise FileNotFoundError(
            f"`work` must hold packed batches. Got no manifest.json in {folder}. Fix: run "
            "`python -m benchmarks.packed_batches` where TensorFlow is installed and copy the "
            "folder."
        )
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    batches = []
    for number in range(manifest["batches"]):
        with np.load(folder / f"batch-{number:03}.npz") as arrays:
            batches.append(dict(arrays))
    return batches, manifest["sizes"], manifest["origin"]


def pack(settings: PackSettings, windows: int) -> None:
    """Pack the first full batches of `windows` windows, unless that is done.

    Raises:
        ValueError: An epoch has fewer windows than one batch.
    """
    from data_pipeline.batching.batches import training_batches, windows_in_epoch
    from data_pipeline.dataset.dataset_folder import open_dataset
    from data_pipeline.settings import BatchSettings

    work = pathlib.Path(settings.work)
    folder = batches_folder(work, settings.history, windows)
    if (folder / "manifest.json").exists():
        print(f"there already: {folder}")
        return
    dataset = open_dataset(str(workload.dataset(work, settings.history)))
    full = windows_in_epoch(dataset, "unified") // max(windows, 1)
    if windows < 1 or full < 1:
        raise ValueError(
            "`windows_per_batch` must be from 1 to the windows of an epoch, "
            f"{windows_in_epoch(dataset, 'unified')}. Got {windows}. Fix: set --windows_per_batch."
        )
    batch_settings = BatchSettings(windows_per_batch=windows, fixed_sizes="on")
    stream = training_batches(dataset, "unified", batch_settings, settings.seed, epoch=0)
    sizes = {
        "vocabulary": dataset.vocabulary_size + dataset.oov_buckets,
        "users": len(dataset.user_ids),
        "features": len(dataset.feature_mean),
        "clicked_titles": dataset.clicked_titles,
        "session_behaviors": dataset.session_behaviors,
        "past_sessions": dataset.past_sessions,
    }
    origin = {
        "log": workload.LOG,
        "prepare": workload.PREPARE,
        "history": settings.history,
        "seed": settings.seed,
        "batch": flagtree.to_dict(batch_settings),
        "tensorflow": importlib.metadata.version("tensorflow"),
    }
    taken = itertools.islice(stream.as_numpy_iterator(), min(settings.batches, full))
    save(folder, taken, sizes, origin)
    print(f"written: {folder}")


def main(arguments: list[str]) -> None:
    """Pack batches of every size in the settings."""
    del arguments
    settings = flagtree.read(PackSettings)
    for windows in settings.windows_per_batch:
        pack(settings, windows)


if __name__ == "__main__":
    flagtree.define(PackSettings)
    command_line.run(main)
