"""The run folder: names of its files, and the models trained in it.

RUN/config.json                        settings of the run
RUN/run.json                           the dataset: where it was, checksum of its manifest
RUN/<phase>/best.weights.h5            weights of the best validation MAP
RUN/<phase>/metrics.jsonl              one line for each evaluation
RUN/<phase>/checkpoints/latest.npz     checkpoint a killed phase resumes from; previous.npz before it
RUN/<phase>/done.json                  result of the phase, written last
RUN/tensorboard/<phase>/
"""

import json
import operator
import os
import pathlib
from typing import Any

from data_pipeline.common import flagtree
from data_pipeline.common.checksums import checksum
from user_tf.config import Config

RECORD = "run.json"
BEST = "best.weights.h5"
DONE = "done.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

_MANIFEST = "manifest.json"
# Settings of a call, not of a run: they change no number (the back end
# by rounding and dropout only) and may differ between calls. The dataset
# is compared by its checksum, since it may have moved.
_SETTINGS_OF_A_CALL = {
    "run",
    "data.dataset",
    "train.stop_after_steps",
    "train.checkpoint_minutes",
    "runtime.backend",
    "runtime.tensorboard",
}


def open_run(config: Config) -> pathlib.Path:
    """Return the folder of a run; the first call makes it and saves the settings.

    The place of the dataset is saved by every call, so that a run finds one that was moved.

    Raises:
        As `check_run`.
    """
    folder = pathlib.Path(config.run)
    check_run(config)
    record_dataset(folder, config.data.dataset)
    if not (folder / "config.json").exists():
        config.save(folder)
    return folder


def check_run(config: Config) -> None:
    """Refuse a training that cannot be the run of its folder; nothing is written.

    Raises:
        FileNotFoundError: There is no such dataset.
        ValueError: The folder belongs to a run with other settings, or on another dataset; the
            first one is named.
    """
    folder = pathlib.Path(config.run)
    if not (folder / "config.json").exists():
        if not (pathlib.Path(config.data.dataset) / _MANIFEST).is_file():
            raise FileNotFoundError(
                f"`data.dataset` must be a prepared dataset. Got {config.data.dataset!r}, which has "
                f"no {_MANIFEST}. Fix: set --data.dataset to its folder, or run `python -m "
                "data_pipeline.prepare` to its end."
            )
        return
    saved = Config.load(folder)
    for name, _, _ in flagtree.leaves(Config):
        before, now = operator.attrgetter(name)(saved), operator.attrgetter(name)(config)
        if name not in _SETTINGS_OF_A_CALL and now != before:
            raise ValueError(
                f"`{name}` must be {before!r}, the value of the run in {folder}. Got {now!r}. "
                f"Fix: set --{name} back, or choose another --run."
            )
    find_dataset(folder, config.data.dataset, "data.dataset")


def record_dataset(folder: pathlib.Path, dataset: str | os.PathLike[str]) -> None:
    """Write RUN/run.json: the place of the run's dataset, and the checksum of its manifest."""
    path, run = os.path.realpath(dataset), os.path.realpath(folder)
    entry = {
        "path": path,
        "relative": os.path.relpath(path, run),
        "manifest_sha256": checksum(os.path.join(path, _MANIFEST)),
    }
    write_json(folder / RECORD, {"dataset": entry})


def dataset_checksum(folder: pathlib.Path) -> str:
    """Return the SHA-256 of the manifest of the dataset that a run was trained on.

    Raises:
        FileNotFoundError: The run has no such record.
    """
    return str(_read_record(folder)["manifest_sha256"])


def is_dataset(folder: pathlib.Path, dataset: str | os.PathLike[str]) -> bool:
    """Return whether a folder is the dataset that a run was trained on, wherever it is."""
    path = pathlib.Path(dataset, _MANIFEST)
    return path.is_file() and checksum(path) == dataset_checksum(folder)


def _read_record(folder: pathlib.Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.exists():
        raise FileNotFoundError(
            f"`run` must say which dataset it was trained on. Got {os.fspath(folder)!r}, which has "
            f"no {RECORD}. Fix: train it again in a new --run; the folder is incomplete, or an earlier "
            "version of the program made it."
        )
    return json.loads(path.read_text(encoding="utf-8"))["dataset"]


def find_dataset(
    folder: pathlib.Path, dataset: str | os.PathLike[str] = "", flag: str = "dataset"
) -> pathlib.Path:
    """Return the folder of the dataset that a run was trained on.

    It is looked for where it was from the run, then where it was on the machine.

    Args:
        folder: Folder of the run.
        dataset: Its place, if it was moved. Default: as recorded.
        flag: Flag of the command that names the place, for the message.

    Raises:
        FileNotFoundError: There is no dataset, or the run has no record of its dataset.
        ValueError: The dataset is another one: its manifest has another checksum.
    """
    record = _read_record(folder)
    recorded = [os.path.normpath(folder / record["relative"]), record["path"]]
    places = [os.fspath(dataset)] if dataset else list(dict.fromkeys(recorded))
    manifests = [pathlib.Path(place, _MANIFEST) for place in places]
    found = {path.parent: checksum(path) for path in manifests if path.is_file()}
    for place, its_checksum in found.items():
        if its_checksum == record["manifest_sha256"]:
            return place
    if not found:
        raise FileNotFoundError(
            f"`{flag}` must be the dataset of the run {os.fspath(folder)!r}. Got none at "
            f"{' or '.join(map(repr, places))}. Fix: set --{flag} to the folder it was moved to, or "
            "move it back."
        )
    place, its_checksum = next(iter(found.items()))
    raise ValueError(
        f"`{flag}` must be the dataset that the run {os.fspath(folder)!r} was trained on, with the "
        f"manifest of SHA-256 {record['manifest_sha256']} and last at {record['path']!r}. Got "
        f"{os.fspath(place)!r} with {its_checksum}: another dataset, or one prepared again with other "
        f"settings. Fix: set --{flag} to the dataset of the run, or train a new --run."
    )


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write `content` as JSON, completely or not at all, and make the folder for it.

    Args:
        path: File to write; an existing one is replaced.
        content: Plain values.

    Raises:
        TypeError: A value is not a plain one.
        ValueError: A number is not finite.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "search" / DONE
        ...     write_json(path, {"steps": 3})
        ...     json.loads(path.read_text(encoding="utf-8"))
        {'steps': 3}
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def read_sizes(config: Config, dataset: Any) -> Any:
    """Return the `Sizes` a ranker for a dataset is built with."""
    from user_tf.models.ranker import Sizes

    return Sizes(
        vocabulary=dataset.vocabulary_size + dataset.oov_buckets,
        users=len(dataset.user_ids),
        features=len(dataset.feature_mean) if config.data.batch.features else 0,
        clicked_titles=dataset.clicked_titles,
        session_behaviors=dataset.session_behaviors,
        past_sessions=dataset.past_sessions,
        documents=len(dataset.document_texts),
        text_length=dataset.text_length,
    )


def build_model(config: Config, dataset: Any) -> Any:
    """Return a new, built ranker for a dataset, with initial weights."""
    import numpy as np

    from user_tf.registry import build_ranker

    vectors = np.asarray(dataset.word_vectors) if config.model.word_vectors else None
    ranker = build_ranker(config.model, read_sizes(config, dataset), vectors)
    ranker.use_dataset(dataset, config.data.scenario)
    return ranker


def load_model(
    run: str | os.PathLike[str], phase: str, dataset: str | os.PathLike[str] = ""
) -> tuple[Any, Config, Any]:
    """Return the trained model of a phase, the settings of the run and its dataset.

    Args:
        run: Folder of the run.
        phase: `pretrain`, `search` or `recommendation`; `user_tf.training.phases.serving` gives
            the one of a task.
        dataset: Its dataset, if it was moved. Default: as recorded.

    Raises:
        FileNotFoundError: The folder is no run, the phase is not trained yet, or the dataset is
            gone.
        ValueError: The dataset is not the one of the training.
    """
    from data_pipeline.dataset.dataset_folder import open_dataset
    from user_tf.registry import build_ranker

    folder = pathlib.Path(run)
    config = Config.load(folder)
    weights = folder / phase / BEST
    if not weights.exists():
        raise FileNotFoundError(
            f"`run` must have trained weights of the phase {phase!r}. Got {folder}, which has no "
            f"{phase}/{BEST}; its phases are {', '.join(config.train.phases)}. Fix: run "
            f"`python -m user_tf.train` on it to the end, with {phase} in --train.phases."
        )
    opened = open_dataset(find_dataset(folder, dataset))
    model = build_ranker(config.model, read_sizes(config, opened))
    model.load_weights(weights)
    return model, config, opened
