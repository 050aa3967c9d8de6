"""Runs a study of `benchmarks.studies`: datasets, then every system and seed, then one JSON.

    python -m benchmarks.study --study=simulated --work=work/studies

Every run is a folder made by the ordinary commands; a run that is finished is not done again, one
that was interrupted goes on. Writes benchmarks/results/STUDY.json.
"""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import queue
import shlex
import statistics
import threading
import time

from absl import app

from benchmarks.commands import call
from benchmarks.studies import STUDIES, Study, System
from data_pipeline import flagtree
from data_pipeline.flagtree import setting


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """Everything `python -m benchmarks.study` can be told."""

    study: str = setting("simulated", "Study to run.", choices=tuple(sorted(STUDIES)))
    work: str = setting("work/studies", "Folder of logs, datasets and runs.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    seeds: tuple[str, ...] = dataclasses.field(
        default=("1", "2", "3"), metadata={"help": "Seeds, one run of every system each."}
    )
    parallel: int = setting(2, "Runs at a time, each on its share of the cores.")
    trivago: str = setting(
        "../shared/data/trivago/sessions_dev.csv.gz", "The log of the RecSys Challenge 2019."
    )


_PRINT = threading.Lock()


def say(text: str) -> None:
    """One line, whole, whatever other threads print."""
    with _PRINT:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def make_dataset(
    study: Study, name: str, trivago: str, work: pathlib.Path, cores: list[int]
) -> None:
    """Makes a dataset by its commands, unless it is there."""
    if (work / name / "manifest.json").exists() and (
        not study.truth or (work / f"{name}.truth.parquet").exists()
    ):
        return
    for command in study.commands[name]:
        command = command.format(work=work, trivago=trivago)
        output = command.split("--output=")[1].split()[0]
        if not pathlib.Path(output).exists():
            say(f"python -m {command}")
            call(command, work / f"{name}.txt", cores)


def folder(system: System, seed: str, work: pathlib.Path) -> pathlib.Path:
    """Folder of one run."""
    slug = "".join(c if c.isalnum() else "-" for c in system.name.lower())
    return work / "runs" / f"{slug}-seed{seed}"


def train_and_evaluate(
    study: Study, system: System, seed: str, work: pathlib.Path, cores: list[int]
) -> None:
    """Trains and evaluates one system with one seed, unless that is done."""
    run = folder(system, seed, work)
    if (run / "evaluation" / f"{study.split}.json").exists():
        return
    started = time.monotonic()
    dataset = work / system.dataset
    call(
        f"user_tf.train --flagfile={study.flagfile} --data.dataset={dataset} --run={run} "
        f"--runtime.seed={seed} {shlex.join(system.flags)}",
        run.with_suffix(".txt"),
        cores,
    )
    truth = f"--truth={dataset}.truth.parquet" if study.truth else ""
    call(
        f"user_tf.evaluate --run={run} --split={study.split} {truth}",
        run.with_suffix(".txt"),
        cores,
    )
    say(f"{system.name}, seed {seed}: {time.monotonic() - started:.0f} s")


def spread(values: list[float]) -> dict[str, float | list[float]]:
    """Mean and standard deviation over seeds, with the values themselves.

    Example:
        >>> spread([0.5, 0.7])["mean"]
        0.6
    """
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {
        "mean": round(statistics.fmean(values), 6),
        "std": round(deviation, 6),
        "values": values,
    }


def collect(settings: StudySettings, study: Study, work: pathlib.Path) -> dict:
    """One entry a system: by task, mean and spread over seeds of every ranking's metrics."""
    systems = {}
    provenance: dict = {}
    for system in study.systems:
        runs = [folder(system, seed, work) for seed in settings.seeds]
        reports = [
            json.loads((run / "evaluation" / f"{study.split}.json").read_text()) for run in runs
        ]
        provenance = {key: reports[0][key] for key in ("machine", "versions", "date")}
        tasks: dict = {}
        for task, first in reports[0]["tasks"].items():
            model = reports[0]["model"]
            tasks[task] = {
                "queries": first["queries"],
                "users": first["users"],
                "model": model,
                "rankings": {
                    name: {
                        metric: spread(
                            [r["tasks"][task]["rankings"][name]["metrics"][metric] for r in reports]
                        )
                        for metric in first["rankings"][name]["metrics"]
                    }
                    for name in first["rankings"]
                },
                "share_of_gain": {
                    metric: spread(
                        [
                            r["tasks"][task]["rankings"][model]["share_of_gain"][metric]
                            for r in reports
                        ]
                    )
                    for metric in first["rankings"][model].get("share_of_gain", {})
                },
            }
        manifest = json.loads((work / system.dataset / "manifest.json").read_text())
        systems[system.name] = {
            "dataset": system.dataset,
            "flags": list(system.flags),
            "tasks": tasks,
            "phases": [
                {
                    done.parent.name: json.loads(done.read_text())
                    for done in sorted(run.glob("*/done.json"))
                }
                for run in runs
            ],
            "counts": manifest.get("counts"),
        }
    return {
        "study": settings.study,
        "question": study.question,
        "command": f"python -m benchmarks.study --study={settings.study} "
        f"--seeds={','.join(settings.seeds)}",
        "flagfile": study.flagfile,
        "seeds": [int(seed) for seed in settings.seeds],
        "split": study.split,
        **provenance,
        "commands": study.commands,
        "systems": systems,
    }


def main(arguments: list[str]) -> None:
    """Makes the datasets, runs what is missing, writes the JSON."""
    del arguments
    settings = flagtree.read(StudySettings)
    study, work = STUDIES[settings.study], pathlib.Path(settings.work) / settings.study
    work.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    shares: queue.Queue = queue.Queue()
    for i in range(settings.parallel):
        shares.put(cores[i :: settings.parallel] or cores)

    def with_cores(task, *parts) -> None:
        mine = shares.get()
        try:
            task(*parts, work, mine)
        finally:
            shares.put(mine)

    with concurrent.futures.ThreadPoolExecutor(settings.parallel) as pool:
        list(
            pool.map(
                lambda name: with_cores(make_dataset, study, name, settings.trivago), study.commands
            )
        )
        jobs = [(system, seed) for seed in settings.seeds for system in study.systems]
        list(pool.map(lambda job: with_cores(train_and_evaluate, study, *job), jobs))
    output = pathlib.Path(settings.output)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{settings.study}.json"
    path.write_text(json.dumps(collect(settings, study, work), indent=1) + "\n", encoding="utf-8")
    say(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(StudySettings)
    app.run(main)
