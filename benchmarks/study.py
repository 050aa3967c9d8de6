"""Run a study of `benchmarks.studies`: datasets, then every system and seed, then one JSON.

    python -m benchmarks.study --study=simulated --work=work/studies

Runs are made as by `user_tf.experiment`: a finished one is kept, an interrupted one resumes.
Writes benchmarks/results/STUDY.json.
"""

import dataclasses
import functools
import json
import os
import pathlib
import sys

from absl import app

from benchmarks.studies import STUDIES, Study, System
from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.experiments import commands, grid_run, results
from user_tf.experiments.systems import make_run_config, resolve


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """Settings of `python -m benchmarks.study`."""

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


def make_dataset(
    study: Study, name: str, trivago: str, work: pathlib.Path, cores: list[int]
) -> str:
    """Make a dataset by its commands, unless it exists."""
    if (work / name / "manifest.json").exists() and (
        not study.has_truth(name) or (work / f"{name}.truth.parquet").exists()
    ):
        return "made before"
    for command in study.commands[name]:
        command = command.format(work=work, trivago=trivago)
        output = command.split("--output=")[1].split()[0]
        if not pathlib.Path(output).exists():
            commands.say(f"python -m {command}")
            commands.call(command, work / f"{name}.txt", cores)
    return "made"


def folder(system: System, seed: str, work: pathlib.Path) -> pathlib.Path:
    """Return the folder of one run."""
    slug = "".join(c if c.isalnum() else "-" for c in system.name.lower())
    return work / "runs" / f"{slug}-seed{seed}"


def job(study: Study, system: System, seed: str, work: pathlib.Path) -> commands.Job:
    """Return the job of one system with one seed; a finished run is kept."""
    dataset = str(work / system.dataset)
    settings = resolve([f"--flagfile={study.flagfile}", *system.flags]).config
    config = make_run_config(settings, dataset, str(folder(system, seed, work)), int(seed))
    truth = f"{dataset}.truth.parquet" if study.has_truth(system.dataset) else ""
    return functools.partial(grid_run.train_and_evaluate, config, study.split, truth)


def collect(settings: StudySettings, study: Study, work: pathlib.Path) -> dict:
    """Return one entry a system: by task, mean and spread over seeds of every ranking's metrics."""
    systems = {}
    provenance: dict = {}
    for system in study.systems:
        runs = [folder(system, seed, work) for seed in settings.seeds]
        first = json.loads(
            results.evaluation_path(runs[0], study.split).read_text(encoding="utf-8")
        )
        provenance = {key: first[key] for key in ("machine", "versions", "date")}
        manifest = json.loads((work / system.dataset / "manifest.json").read_text())
        systems[system.name] = {
            "dataset": system.dataset,
            "flags": list(system.flags),
            "tasks": results.collect_tasks(runs, study.split),
            "phases": [results.read_phases(path) for path in runs],
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
        "cores_a_run": max(1, len(os.sched_getaffinity(0)) // settings.parallel),
        **provenance,
        "commands": study.commands,
        "systems": systems,
    }


def main(arguments: list[str]) -> None:
    """Make the datasets, run what is missing, write the JSON."""
    del arguments
    settings = flagtree.read(StudySettings)
    study, work = STUDIES[settings.study], pathlib.Path(settings.work) / settings.study
    # Importing a log masks its users' ids; here any key will do.
    os.environ.setdefault("USER_TF_USER_KEY", "studies")
    datasets = {
        name: functools.partial(make_dataset, study, name, settings.trivago, work)
        for name in study.commands
    }
    jobs = {
        f"{system.name}, seed {seed}": job(study, system, seed, work)
        for seed in settings.seeds
        for system in study.systems
    }
    for part in (datasets, jobs):
        if failed := commands.run_all(part, settings.parallel):
            sys.exit(f"Failed: {'; '.join(failed)}. Rerun the same command to continue.")
    path = pathlib.Path(settings.output) / f"{settings.study}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(collect(settings, study, work), indent=1) + "\n", encoding="utf-8")
    commands.say(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(StudySettings)
    app.run(main)
