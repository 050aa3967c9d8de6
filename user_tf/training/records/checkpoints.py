"""Checkpoints: everything a killed phase needs to resume as if it had not been killed.

One file holds every model variable (states of seed generators included), every optimizer variable
and the position. The one before it is kept, for the case that the newest is damaged on the disk.
"""

import dataclasses
import json
import os
import pathlib
import zipfile
from typing import Any

import keras
import numpy as np

LATEST, PREVIOUS = "latest.npz", "previous.npz"
# What NumPy and the checksums of a zip file raise on a file that is cut, empty or changed.
_DAMAGE = (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError)


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
    """Write `folder/latest.npz` and keep the one before; after a crash one of them is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        name: np.asarray(variable.numpy()) for name, variable in _named(model, optimizer).items()
    }
    arrays["position"] = np.array(json.dumps(dataclasses.asdict(position)))
    unfinished = folder / (LATEST + ".unfinished")
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    if (folder / LATEST).exists():
        os.replace(folder / LATEST, folder / PREVIOUS)
    os.replace(unfinished, folder / LATEST)


def restore(
    folder: pathlib.Path, model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> tuple[Position, str] | None:
    """Load the newest complete checkpoint into model and optimizer; return None without any.

    Returns:
        Its position, and what is to be said about a newer one that is damaged: empty, or a sentence.

    Raises:
        ValueError: The checkpoint has other variables, or is of another version of the program, or
            every checkpoint is damaged.
    """
    variables = _named(model, optimizer)
    damaged = []
    for path in (folder / LATEST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            with np.load(path) as arrays:
                saved = {name: arrays[name] for name in arrays.files}
            position = json.loads(str(saved.pop("position")))
        except _DAMAGE as error:
            damaged.append(f"{path} ({error or type(error).__name__})")
            continue
        _check_entries(path, saved, variables, position)
        for name, variable in variables.items():
            variable.assign(saved[name])
        said = f"; {damaged[0]} is damaged" if damaged else ""
        return Position(**position), said
    if damaged:
        raise ValueError(
            f"`run` must hold a checkpoint that can be read. Got {' and '.join(damaged)}. Fix: delete "
            f"{folder.parent}, which trains this phase anew, or choose another --run."
        )
    return None


def _named(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    return {
        f"{owner}/{index:05d}": variable
        for owner, variables in (("model", model.variables), ("optimizer", optimizer.variables))
        for index, variable in enumerate(variables)
    }


def _check_entries(
    path: pathlib.Path,
    saved: dict[str, Any],
    variables: dict[str, keras.Variable],
    position: dict[str, Any],
) -> None:
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


def save_weights(path: pathlib.Path, model: keras.Model) -> None:
    """Write a `.weights.h5` file in a single rename."""
    unfinished = path.with_name("unfinished." + path.name)
    model.save_weights(unfinished)
    os.replace(unfinished, path)
