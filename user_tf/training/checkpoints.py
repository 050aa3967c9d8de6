"""Checkpoints: everything a killed phase needs to go on as if nothing had happened.

One file holds every model variable (states of seed generators included), every optimizer
variable and the position, and replaces the one before in a single rename.
"""

import dataclasses
import json
import os
import pathlib

import keras
import numpy as np

LATEST = "latest.npz"


@dataclasses.dataclass
class Position:
    """Where a phase stands.

    Attributes:
        phase: Name of the phase.
        step: Training steps done.
        epoch: Epoch under way, from 0.
        windows: Windows of this epoch consumed, by all replicas together.
        best: Best validation MAP so far; -1 before the first evaluation.
        best_step: Step of `best`.
        waited: Evaluations since `best`.
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
    waited: int = 0
    groups: int = 0
    seconds: float = 0.0
    input_seconds: float = 0.0


def save(
    folder: pathlib.Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    position: Position,
) -> None:
    """Writes `folder/latest.npz`; a crash at any moment leaves the old or the new file whole."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
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
    """Brings model and optimizer to `folder/latest.npz`; None where there is no checkpoint.

    Raises:
        ValueError: The checkpoint is of a model of other variables.
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
        different = sorted(
            name
            for name in saved.keys() | variables.keys()
            if name not in saved
            or name not in variables
            or saved[name].shape != tuple(variables[name].shape)
        )
        if different:
            raise ValueError(
                f"{path} should hold this model's variables. Received: a checkpoint that differs "
                f"in {len(different)} of {len(variables)}, {different[0]} the first. It was made "
                "with another dataset or version of the program; choose another --run."
            )
        for name, variable in variables.items():
            variable.assign(saved[name])
        return Position(**json.loads(str(arrays["position"])))


def save_weights(path: pathlib.Path, model: keras.Model) -> None:
    """Writes a `.weights.h5` file in a single rename."""
    unfinished = path.with_name("unfinished." + path.name)
    model.save_weights(unfinished)
    os.replace(unfinished, path)
