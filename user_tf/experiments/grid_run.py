"""One system with one seed: trained and evaluated by the ordinary commands, unless that is done."""

import dataclasses
import json
import pathlib
import shlex
from typing import Any

from user_tf.config import Config
from user_tf.experiments.commands import call
from user_tf.experiments.systems import make_flags
from user_tf.run_folder import write_json

_COST = "cost.json"
_LAMBDAMART = "lambdamart"


def evaluation_path(run: pathlib.Path, split: str) -> pathlib.Path:
    """The JSON of a run's evaluation."""
    return run / "evaluation" / f"{split}.json"


def is_done(run: pathlib.Path, split: str) -> bool:
    """Whether a run has both files of its evaluation; the table of queries is written last."""
    queries = run / "evaluation" / f"{split}-queries.parquet"
    return evaluation_path(run, split).exists() and queries.exists()


def read_cost(run: pathlib.Path) -> dict[str, Any]:
    """By module, seconds and largest memory of the call that finished its part of a run."""
    path = run / _COST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def commands(config: Config, split: str, truth: str = "") -> list[list[str]]:
    """The modules that make a run and its evaluation, with their flags.

    Example:
        >>> from user_tf.config import DataConfig
        >>> for command in commands(Config(run="run", data=DataConfig(dataset="data")), "test"):
        ...     print(*command)
        user_tf.train --run=run --data.dataset=data
        user_tf.evaluate --run=run --split=test
    """
    evaluation = [f"--run={config.run}", f"--split={split}"]
    if truth:
        evaluation.append(f"--truth={truth}")
    if config.model.name == _LAMBDAMART:
        data = [flag for flag in make_flags(config) if flag.startswith(("--data.", "--nodata."))]
        return [["user_tf.lambdamart", *data, f"--seed={config.runtime.seed}", *evaluation]]
    return [["user_tf.train", *make_flags(config)], ["user_tf.evaluate", *evaluation]]


def train_and_evaluate(config: Config, split: str, truth: str, cores: list[int]) -> str:
    """Makes the run `config.run`, or goes on with it; a finished one is left as it is.

    What the commands print goes to `RUN.txt`, what they took to `RUN/cost.json`.

    Args:
        config: Settings of the run.
        split: Targets to evaluate.
        truth: Parquet of the simulator's truth; empty: unknown.
        cores: Cores to run on.

    Returns:
        A line about the run: its seconds and MAP.

    Raises:
        RuntimeError: A command failed; names the file with its output.
    """
    run = pathlib.Path(config.run)
    if is_done(run, split):
        return "done before"
    seconds = 0.0
    for module, *flags in commands(config, split, truth):
        cost = call(shlex.join([module, *flags]), run.with_suffix(".txt"), cores)
        seconds += cost.seconds
        write_json(run / _COST, read_cost(run) | {module: dataclasses.asdict(cost)})
    content = json.loads(evaluation_path(run, split).read_text(encoding="utf-8"))
    maps = [
        f"{task} MAP {part['rankings'][content['model']]['metrics']['map']:.4f}"
        for task, part in content["tasks"].items()
    ]
    return ", ".join([f"{seconds:.0f} s", *maps])
