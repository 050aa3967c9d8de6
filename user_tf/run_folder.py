"""The run folder: what lies where, and how the other commands get a trained model from it.

RUN/config.json                        resolved settings
RUN/<phase>/best.weights.h5            weights of the best validation MAP
RUN/<phase>/metrics.jsonl              one line an evaluation
RUN/<phase>/checkpoints/latest.npz     where a killed run goes on
RUN/<phase>/done.json                  written last: the phase's result
RUN/tensorboard/<phase>/
"""

import json
import pathlib
from typing import Any

from data_pipeline.common import flagtree
from user_tf.config import Config

BEST = "best.weights.h5"
DONE = "done.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

# Settings of a call, not of a run: they change no number and may differ from call to call.
_OF_A_CALL = {
    "run",
    "train.stop_after_steps",
    "train.checkpoint_minutes",
    "runtime.tensorboard",
}


def open_run(config: Config) -> pathlib.Path:
    """The run's folder, made at the first call; a later call must have the same settings.

    Raises:
        ValueError: The folder belongs to a run of other settings; the first one is named.
    """
    folder = pathlib.Path(config.run)
    if (folder / "config.json").exists():
        before, now = _flat(Config.load(folder)), _flat(config)
        for name, value in now.items():
            if name not in _OF_A_CALL and value != before[name]:
                raise ValueError(
                    f"`{name}` should be that of the run in {folder}, {before[name]!r}. Received: "
                    f"{value!r}. Set --{name} back, or choose another --run."
                )
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    config.save(folder)
    return folder


def _flat(config: Config) -> dict[str, Any]:
    plain = flagtree.to_dict(config)
    flat = {}
    for name, _, _ in flagtree.leaves(Config):
        node: Any = plain
        for part in name.split("."):
            node = node[part]
        flat[name] = node
    return flat


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes `content` as JSON, whole or not at all, and makes the folder for it.

    Args:
        path: File to write; one of this name is replaced.
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


def keep_metrics_until(path: pathlib.Path, step: int) -> None:
    """Drops lines of evaluations after `step`, which a resumed run will make again."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        path.write_text("".join(kept), encoding="utf-8")


def phase_of(config: Config, task: str) -> str:
    """The phase whose model serves `task`: its own, else the pre-trained one.

    Raises:
        ValueError: No phase of the run trains on `task`.

    Example:
        >>> phase_of(Config(), "search")
        'search'
    """
    for phase in (task, "pretrain"):
        if phase in config.train.phases:
            return phase
    raise ValueError(
        f"`task` should be one the run was trained on. Received: {task!r}, while its phases are "
        f"{', '.join(config.train.phases)}. Choose one of them, or train with that phase."
    )


def model_sizes(config: Config, dataset: Any) -> Any:
    """The `Sizes` a ranker for a dataset is built with."""
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
    """A new, built ranker for a dataset, with random weights."""
    import numpy as np

    from user_tf.registry import build_ranker

    vectors = np.asarray(dataset.word_vectors) if config.model.word_vectors else None
    ranker = build_ranker(config.model, model_sizes(config, dataset), vectors)
    ranker.use_dataset(dataset, config.data.scenario)
    return ranker


def load_model(run: str | pathlib.Path, phase: str) -> tuple[Any, Config, Any]:
    """The trained model of a phase, the run's settings and its dataset.

    Args:
        run: Folder of the run.
        phase: `pretrain`, `search` or `recommendation`; `phase_of` gives a task's.

    Raises:
        FileNotFoundError: The folder is no run, or the phase has not been trained yet.
    """
    from data_pipeline.dataset.dataset_folder import open_dataset
    from user_tf.registry import build_ranker

    folder = pathlib.Path(run)
    config = Config.load(folder)
    weights = folder / phase / BEST
    if not weights.exists():
        raise FileNotFoundError(
            f"`run` {folder} should have trained weights of the phase {phase!r}. Received: no "
            f"{weights}. Its phases are {', '.join(config.train.phases)}; run "
            f"`python -m user_tf.train` on it to the end, with --train.phases holding {phase}."
        )
    dataset = open_dataset(config.data.dataset)
    model = build_ranker(config.model, model_sizes(config, dataset))
    model.load_weights(weights)
    return model, config, dataset
