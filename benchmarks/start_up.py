"""Measure start-up, input and evaluation of real commands.

    python -m benchmarks.start_up --work=work/throughput

Runs the commands themselves on the reference workload: seconds to import, to --help, from the start
of `user_tf.train` to its first step; share of an epoch that waits for input; groups/s and memory of
the input pipeline alone; candidates/s of evaluation and of training. Writes
benchmarks/results/start_up.json.
"""

import dataclasses
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks import workload
from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from user_tf.experiments.commands import call
from user_tf.run_folder import write_json


@dataclasses.dataclass(frozen=True)
class StartUpSettings:
    """Settings of `python -m benchmarks.start_up`."""

    work: str = setting("work/throughput", "Folder of the log, the datasets and the run.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    rounds: int = setting(3, "Calls of each command.")


def seconds(command: list[str], rounds: int) -> float:
    """Return the median wall seconds of a command."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def one_epoch(dataset: pathlib.Path, work: pathlib.Path) -> dict[str, Any]:
    """Time an epoch of `user_tf.train` at the paper's settings, and one step of it."""
    cores = sorted(os.sched_getaffinity(0))
    training = (
        "user_tf.train --flagfile=configs/train/user.flags --train.phases=pretrain "
        "--train.pretrain_epochs=1 --train.validation_targets=200 --data.dataset="
    )
    # The dataset's name only: its path is specific to this machine.
    result: dict[str, Any] = {"command": training + dataset.name}
    for name, flags in {"first step": "--train.stop_after_steps=1", "epoch": ""}.items():
        run = work / name.replace(" ", "-")
        shutil.rmtree(run, ignore_errors=True)
        started = time.perf_counter()
        call(f"{training}{dataset} --run={run} {flags}", work / "start-up.txt", cores)
        result[f"{name}, seconds of the whole command"] = time.perf_counter() - started
    done = json.loads((run / "pretrain" / "done.json").read_text(encoding="utf-8"))
    result["waiting for input, share of the epoch"] = done["input_seconds"] / done["seconds"]
    return result


def resident() -> float:
    """Return the resident GiB of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 2**30


def input_alone(folder: pathlib.Path, epochs: int = 20) -> dict[str, Any]:
    """Measure groups/s of the input pipeline without a model, and memory along its epochs."""
    from data_pipeline.batching.batches import training_batches
    from data_pipeline.dataset.dataset_folder import open_dataset
    from data_pipeline.settings import BatchSettings

    dataset = open_dataset(str(folder))
    stream = training_batches(dataset, "unified", BatchSettings(), seed=1, epoch=0)
    batches = iter(stream.repeat(epochs))
    next(batches)  # building the graph is start-up, not rate
    steps = -(-len(dataset.window_sizes("unified", "train")) // BatchSettings().windows_per_batch)
    rates, memory = [], []
    for _ in range(epochs // 5):
        started, groups = time.perf_counter(), 0.0
        for _, batch in zip(range(5 * steps - 1), batches, strict=False):
            groups += float(batch["target_weight"].numpy().sum())
        rates.append(groups / (time.perf_counter() - started))
        memory.append(resident())
    return {"groups_per_second": rates, "resident_gib_every_five_epochs": memory}


def candidates_per_second(folder: pathlib.Path, rounds: int) -> dict[str, Any]:
    """Measure candidates/s of evaluation on complete lists and of training steps in turns."""
    from benchmarks.train_throughput import Case, Trainer
    from data_pipeline.batching.batches import evaluation_batches
    from data_pipeline.dataset.dataset_folder import open_dataset
    from data_pipeline.settings import BatchSettings
    from user_tf.evaluation import evaluator

    trainer = Trainer(Case("training", dataset=str(folder)), folder.parent)
    settings = BatchSettings()
    batches = evaluation_batches(open_dataset(str(folder)), "unified", "train", settings)
    forward = evaluator.compiled_forward(trainer.model, batches.element_spec)

    def evaluate() -> tuple[float, int]:
        started = time.perf_counter()
        ids, scores = evaluator.score_targets(forward, batches)
        return np.isfinite(scores).sum() / (time.perf_counter() - started), len(ids)

    _, targets = evaluate()
    # A training group has one relevant candidate and four others.
    turns = [(evaluate()[0], 5 * trainer.train()) for _ in range(rounds)]
    return {
        "targets": targets,
        "evaluation": [evaluation for evaluation, _ in turns],
        "training": [training for _, training in turns],
        "ratio": [evaluation / training for evaluation, training in turns],
    }


def main(arguments: list[str]) -> None:
    """Measure and write the JSON."""
    del arguments
    from user_tf.evaluation import metrics_table

    settings = flagtree.read(StartUpSettings)
    work = pathlib.Path(settings.work)
    dataset = workload.dataset(work, 30)
    python = sys.executable
    content = {
        **metrics_table.provenance("python -m benchmarks.start_up", 1),
        "import user_tf, seconds": seconds([python, "-c", "import user_tf"], settings.rounds),
        "train --help, seconds": seconds(
            [python, "-m", "user_tf.train", "--help"], settings.rounds
        ),
        "training": one_epoch(dataset, work),
        "input alone": input_alone(dataset),
        "candidates per second": candidates_per_second(dataset, settings.rounds),
    }
    path = pathlib.Path(settings.output) / "start_up.json"
    write_json(path, content)
    print(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(StartUpSettings)
    command_line.run(main)
