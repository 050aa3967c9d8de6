"""The run folder: names of its files, and the models trained in it.

RUN/config.json                        settings of the run
RUN/<phase>/best.weights.h5            weights of the best validation MAP
RUN/<phase>/metrics.jsonl              one line for each evaluation
RUN/<phase>/checkpoints/latest.npz     checkpoint a killed phase resumes from
RUN/<phase>/done.json                  result of the phase, written last
RUN/tensorboard/<phase>/
"""

import json
import operator
import pathlib
from typing import Any

from data_pipeline.common import flagtree
from user_tf.config import Config

BEST = "best.weights.h5"
DONE = "done.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

# Settings of a call, not of a run: they change no number and may differ between calls.
_SETTINGS_OF_A_CALL = {
    "run",
    "train.stop_after_steps",
    "train.checkpoint_minutes",
    "runtime.tensorboard",
}


def open_run(config: Config) -> pathlib.Path:
    """Return the folder of a run; the first call makes it and saves the settings.

    Raises:
        ValueError: The folder belongs to a run with other settings; the first one is named.
    """
    folder = pathlib.Path(config.run)
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        config.save(folder)
        return folder
    saved = Config.load(folder)
    for name, _, _ in flagtree.leaves(Config):
        before, now = operator.attrgetter(name)(saved), operator.attrgetter(name)(config)
        if name not in _SETTINGS_OF_A_CALL and now != before:
            raise ValueError(
                f"`{name}` must be {before!r}, the value of the run in {folder}. Got {now!r}. "
                f"Fix: set --{name} back, or choose another --run."
            )
    return folder


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


def load_model(run: str | pathlib.Path, phase: str) -> tuple[Any, Config, Any]:
    """Return the trained model of a phase, the settings of the run and its dataset.

    Args:
        run: Folder of the run.
        phase: `pretrain`, `search` or `recommendation`; `user_tf.training.phases.serving` gives
            the one of a task.

    Raises:
        FileNotFoundError: The folder is no run, or the phase is not trained yet.
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
    dataset = open_dataset(config.data.dataset)
    model = build_ranker(config.model, read_sizes(config, dataset))
    model.load_weights(weights)
    return model, config, dataset
