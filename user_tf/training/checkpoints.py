"""Checkpoints: everything a killed phase needs to resume as if it had not been killed.

One file holds every model variable (states of seed generators included), every optimizer variable
and the position. It replaces the previous one in a single rename.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np

LATEST = "latest.npz"


@dataclasses.dataclass
class Position:
    """The position of a phase in its training.

    Attributes:
        phase: Name of the phase.
        step: Training steps done.
        epoch: Current epoch, from 0.
        windows: Windows of this epoch consumed, by all replicas together.
        best: Best validation MAP so far; -1 before the first evaluation.
        best_step: Step of `best`.
        evaluations_without_improvement: Evaluations since `best`.
        groups: Real groups trained on.
        seconds: Seconds spent training and evaluating, over all calls.
        input_seconds: Of these, seconds spent waiting for input.
    """

    phase: str
    step: int = 0
    epoch: int = 0
    windows: int = 0
    best: float = -1.0
    best_step: int = 0
    evaluations_without_improvement: int = 0
    groups: int = 0
    seconds: float = 0.0
    input_seconds: float = 0.0

    def update_best(self, score: float) -> bool:
        """Count an evaluation; return whether its score is the best so far.

        Example:
            >>> position = Position("pretrain", step=7)
            >>> position.update_best(0.5), position.update_best(0.5)
            (True, False)
            >>> position.best_step, position.evaluations_without_improvement
            (7, 1)
        """
        if score > self.best:
            self.best, self.best_step = score, self.step
            self.evaluations_without_improvement = 0
            return True
        self.evaluations_without_improvement += 1
        return False


def save(
    folder: pathlib.Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    position: Position,
) -> None:
    """Write `folder/latest.npz`; after a crash the old or the new file is there, complete."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        f"{owner}/{index:05d}": np.asarray(variable.numpy())
        for owner, variables in (("model", model.variables), ("optimizer", optimizer.variables))
        for index, variable in enumerate(variables)
    }
    arrays["position"] = np.array(json.dumps(dataclasses.asdict(position)))
    unfinished = folder / (LATEST + ".unfinished")
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / LATEST)


def restore(
    folder: pathlib.Path, model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> Position | None:
    """Load `folder/latest.npz` into model and optimizer; return None without a checkpoint.

    Raises:
        ValueError: The checkpoint has other variables, or is of another version of the program.
    """
    path = folder / LATEST
    if not path.exists():
        return None
    with np.load(path) as arrays:
        variables = {
            f"{owner}/{index:05d}": variable
            for owner, owned in (("model", model.variables), ("optimizer", optimizer.variables))
            for index, variable in enumerate(owned)
        }
        saved = {name: arrays[name] for name in arrays.files if name != "position"}
        position = json.loads(str(arrays["position"]))
    fields = {field.name for field in dataclasses.fields(Position)}
    different = sorted(position.keys() ^ fields) + sorted(
        name
        for name in saved.keys() | variables.keys()
        if name not in saved
        or name not in variables
        or saved[name].shape != tuple(variables[name].shape)
    )
    if different:
        raise ValueError(
            f"`run` must hold checkpoints of this model. Got {path}, which differs in "
            f"{len(different)} of {len(variables) + len(fields)} entries, {different[0]} first. "
            "Fix: choose another --run; the checkpoint was made with another dataset or version of "
            "the program."
        )
    for name, variable in variables.items():
        variable.assign(saved[name])
    return Position(**position)


def save_weights(path: pathlib.Path, model: keras.Model) -> None:
    """Write a `.weights.h5` file in a single rename."""
    unfinished = path.with_name("unfinished." + path.name)
    model.save_weights(unfinished)
    os.replace(unfinished, path)
