"""Measure the preparation of logs by size: seconds and memory of every step.

    python -m benchmarks.preparation_cost --work=work/prepare

Simulates logs with their lists, prepares each as the paper does (8 of 13 weeks are history, all three
views) without word2vec, with several numbers of workers, and does the relational steps of a smaller one
also in straightforward pandas (`benchmarks.peers.pandas_steps`) in memory. Writes
benchmarks/results/preparation_cost.json; `make results` draws it. A dataset is removed
when it is measured; until then it takes several times the disk of its log.
"""

import dataclasses
import pathlib
import re
import shlex
import shutil
import sys

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.experiments import commands

USERS_A_MILLION = 36_400
"""Simulated users whose searches and browses are a million."""

SIMULATE = "data_pipeline.simulate --world.title_mean=7 --world.title_maximum=10"
PREPARE = (
    "data_pipeline.prepare --split.history_share=0.615 --text.width=64 --text.word2vec_epochs=0"
)
STEP = re.compile(r"^  (\S.*?)\s+([\d.]+) s\s+([\d.]+) GiB at most$", re.MULTILINE)
RELATIONAL = ("log", "sessions", "targets")


@dataclasses.dataclass(frozen=True)
class PrepareBenchmark:
    """Settings of `python -m benchmarks.preparation_cost`."""

    work: str = setting("work/prepare", "Folder of logs, which are used again, and of datasets.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    millions: tuple[str, ...] = dataclasses.field(
        default=("1", "10"), metadata={"help": "Sizes, in millions of behaviors."}
    )
    workers: tuple[str, ...] = dataclasses.field(
        default=("1", "2"), metadata={"help": "Numbers of worker processes and threads."}
    )
    memory_gib: float = setting(2.5, "Memory limit of the relational engine in GiB.")
    pandas_millions: float = setting(
        0.25, "Size of the log whose relational steps pandas does, too; 0: none."
    )


def measure(settings: PrepareBenchmark, millions: float, workers: int) -> dict:
    """Measure the cost of preparing one log; a missing one is simulated first.

    Args:
        settings: Folders and the memory limit.
        millions: Size of the log.
        workers: Worker processes and threads of `prepare`, each with a core.
    """
    work, cores = pathlib.Path(settings.work), list(range(workers))
    log, dataset = work / f"log-{millions:g}", work / f"dataset-{millions:g}-{workers}"
    if not log.exists():
        users = round(USERS_A_MILLION * millions)
        commands.call(f"{SIMULATE} --users={users} --output={log}", work / f"{log.name}.txt", cores)
    output = work / f"{dataset.name}.txt"
    output.unlink(missing_ok=True)
    shutil.rmtree(dataset, ignore_errors=True)
    command = f"{PREPARE} --threads={workers} --memory_gib={settings.memory_gib:g}"
    cost = commands.call(f"{command} --log={log} --output={dataset}", output, cores)
    from data_pipeline.dataset.dataset_folder import open_dataset

    manifest = open_dataset(dataset).manifest
    shutil.rmtree(dataset)
    text = output.read_text(encoding="utf-8")
    return {
        "workers": workers,
        "behaviors": manifest["statistics"]["all"]["behaviors"],
        "requests": manifest["logs"][0]["report"]["tables"]["requests"]["kept"],
        "targets": manifest["counts"]["targets"],
        "candidates": manifest["counts"]["candidates"],
        "seconds": round(cost.seconds, 1),
        "peak_gib": round(cost.peak_gib, 2),
        "steps": {
            name: {"seconds": float(seconds), "peak_gib": float(peak)}
            for name, seconds, peak in STEP.findall(text)
        },
        "command": f"python -m {command}",
    }


def compare_with_pandas(settings: PrepareBenchmark, workers: int) -> dict:
    """Measure the relational steps of one log here and in pandas."""
    ours = measure(settings, settings.pandas_millions, workers)
    work, cores = pathlib.Path(settings.work), list(range(workers))
    log = work / f"log-{settings.pandas_millions:g}"
    cost = commands.call(f"benchmarks.peers.pandas_steps {log}", work / "pandas.txt", cores)
    seconds = sum(ours["steps"][name]["seconds"] for name in RELATIONAL)
    return {
        "behaviors": ours["behaviors"],
        "seconds": round(cost.seconds, 1),
        "peak_gib": round(cost.peak_gib, 2),
        "ours_seconds": round(seconds, 1),
        "times": round(cost.seconds / seconds, 2),
    }


def main(arguments: list[str]) -> None:
    """Measure all sizes and write the JSON."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Settings must be flags. Got {arguments[1:]}. Fix: write --name=value."
        )
    settings = flagtree.read(PrepareBenchmark)
    workers = sorted(map(int, settings.workers))
    pathlib.Path(settings.work).mkdir(parents=True, exist_ok=True)
    results = []
    for size in sorted(map(float, settings.millions)):
        for count in workers:
            row = measure(settings, size, count)
            commands.say(f"{size:g} million: {row['seconds']} s, {row['peak_gib']} GiB, {count}")
            results.append(row)
    content: dict = {"sizes": results}
    if settings.pandas_millions:
        content["pandas"] = compare_with_pandas(settings, workers[-1])
        commands.say(f"pandas: {content['pandas']}")
    from user_tf.evaluation import metrics_table
    from user_tf.run_folder import write_json

    command = "python -m benchmarks.preparation_cost " + shlex.join(sys.argv[1:])
    provenance = metrics_table.provenance(command.strip(), 0)
    del provenance["seed"]
    write_json(pathlib.Path(settings.output) / "preparation_cost.json", {**provenance, **content})


if __name__ == "__main__":
    flagtree.define(PrepareBenchmark)
    app.run(main)
