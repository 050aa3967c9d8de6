"""Groups/s of training: windows that share against one-target windows that share nothing.

    python -m benchmarks.train_throughput --work=work/throughput

Same simulated log, same model at the paper's widths, same machine, both at exact sizes (no work on
padding), batches made beforehand (input is no part of it). The two are measured in turns, so that
the machine's moods fall on both. Writes benchmarks/results/train_throughput.json.
"""

import dataclasses
import json
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

from absl import app

from benchmarks.commands import call
from data_pipeline import flagtree
from data_pipeline.flagtree import setting


@dataclasses.dataclass(frozen=True)
class ThroughputSettings:
    """Everything `python -m benchmarks.train_throughput` can be told."""

    work: str = setting("work/throughput", "Folder of the log and the datasets.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    rounds: int = setting(5, "Turns of each form; more for steadier medians.")
    groups: int = setting(128, "Groups of a batch, about, in both forms.")


_LOG = (
    "data_pipeline.simulate --users=150 --session.sessions=25 --session.days=90 "
    "--world.title_mean=10"
)
_FORMS = {"up to 32 targets, shared": 32, "one target, nothing shared": 1}


def prepare(work: pathlib.Path) -> dict[str, pathlib.Path]:
    """Makes the log and a dataset of each form, unless they are there."""
    log = work / "log"
    if not log.exists():
        call(f"{_LOG} --output={log}", work / "log.txt", [0])
    datasets = {}
    for name, targets in _FORMS.items():
        datasets[name] = work / f"windows-of-{targets}"
        if not datasets[name].exists():
            call(
                f"data_pipeline.prepare --log={log} --output={datasets[name]} "
                f"--scenarios=unified --windows.targets_per_window={targets}",
                work / f"windows-of-{targets}.txt",
                [0],
            )
    return datasets


def trainer(
    folder: pathlib.Path, targets: int, groups_a_batch: int
) -> tuple[Callable[[], tuple[int, float]], dict]:
    """A function that trains on a few batches and returns (groups, seconds); and their sizes."""
    import tensorflow as tf

    from data_pipeline.batch import training_batches
    from data_pipeline.dataset import open_dataset
    from data_pipeline.packing import sizes
    from data_pipeline.settings import BatchSettings
    from user_tf.config import Config, ModelConfig
    from user_tf.training import runs
    from user_tf.training.optimizer import SummedGradientAdam
    from user_tf.training.step import make_train_step

    dataset = open_dataset(str(folder))
    settings = BatchSettings(
        windows_per_batch=max(groups_a_batch // targets, 1), share_texts=targets > 1, rungs=0
    )
    stream = training_batches(dataset, "unified", settings, seed=1, epoch=0)
    model = runs.build_model(Config(model=ModelConfig(word_vectors=False)), dataset)
    optimizer = SummedGradientAdam(1e-3)
    optimizer.build(model.trainable_variables)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    step = make_train_step(model, optimizer, strategy, stream.element_spec, 5.0, (1, 0))
    batches = list(stream.take(4))
    step(batches[0], tf.constant(0, tf.int64))

    def train() -> tuple[int, float]:
        started, groups = time.perf_counter(), 0.0
        for number, batch in enumerate(batches):
            groups += float(step(batch, tf.constant(number, tf.int64)).groups)
        return int(groups), time.perf_counter() - started

    axes = ("texts", "behaviors", "sessions", "targets")
    means = [
        statistics.fmean(map(float, column)) for column in zip(*map(sizes, batches), strict=True)
    ]
    return train, dict(zip(axes, means, strict=True))


def main(arguments: list[str]) -> None:
    """Measures both forms in turns and writes the JSON."""
    del arguments
    from user_tf.evaluation import report

    settings = flagtree.read(ThroughputSettings)
    datasets = prepare(pathlib.Path(settings.work))
    trainers, rows = {}, {}
    for name, folder in datasets.items():
        trainers[name], rows[name] = trainer(folder, _FORMS[name], settings.groups)
    rates: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(settings.rounds):
        for name, train in trainers.items():
            groups, seconds = train()
            rates[name].append(groups / seconds)
            print(f"{name}: {rates[name][-1]:.1f} groups/s", flush=True)
    shared, single = rates.values()

    def summary(values: list[float]) -> dict[str, Any]:
        return {"median": statistics.median(values), "least": min(values), "most": max(values)}

    content = {
        "question": "How much does encoding each distinct text, behavior and session once save?",
        "shared_by": "Model at the paper's widths, float32, histories of up to 100 behaviors. Rows "
        "a batch: "
        + "; ".join(
            f"{name}: " + ", ".join(f"{value:,.0f} {axis}" for axis, value in sizes.items())
            for name, sizes in rows.items()
        )
        + ".",
        **report.provenance("python -m benchmarks.train_throughput", 1),
        "log": _LOG,
        "rows_of_a_batch": rows,
        "groups_per_second": {name: summary(values) for name, values in rates.items()},
        "ratio": summary([a / b for a, b in zip(shared, single, strict=True)]),
    }
    path = pathlib.Path(settings.output) / "train_throughput.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(ThroughputSettings)
    app.run(main)
