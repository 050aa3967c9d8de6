"""Measure groups/s of training, against the machine's product rate and unshared training.

    python -m benchmarks.train_throughput --work=work/throughput

The cases of a comparison are measured in turns, so that other load affects all of them;
batches are made beforehand (`benchmarks.start_up` times input). Writes
benchmarks/results/train_throughput.json.
"""

import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import workload
from benchmarks.workload import summary
from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from user_tf.run_folder import write_json


@dataclasses.dataclass(frozen=True)
class ThroughputSettings:
    """Settings of `python -m benchmarks.train_throughput`."""

    work: str = setting("work/throughput", "Folder of the log and the datasets.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    rounds: int = setting(7, "Turns of each case; more for steadier medians.")
    comparisons: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"help": "Comparisons to measure; none: all of them."}
    )
    trivago: str = setting("", "A dataset prepared from trivago's log; measured too if given.")


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to train, on the reference workload by default.

    Attributes:
        name: Its difference from the default.
        history: Past behaviors of a target.
        targets: Targets of a window.
        windows: Windows of a batch.
        shared: Whether a text of several places is encoded once.
        length_buckets: Buckets of texts by length; 0: no row subsets either.
        precision: Keras dtype policy.
        updates: `table` or `touched` rows of embedding tables.
        users: Rows of the user table; 0: the dataset's.
        dataset: Folder of another dataset.
        jit: Compile forward and gradient with XLA.
        fixed_sizes: `on`: pad batches to one of four sizes; `off`: exact sizes.
    """

    name: str
    history: int = 30
    targets: int = 32
    windows: int = 8
    shared: bool = True
    length_buckets: int = 4
    precision: str = "float32"
    updates: str = "table"
    users: int = 0
    dataset: str = ""
    jit: bool = False
    fixed_sizes: str = "off"


def single(name: str, history: int) -> Case:
    """Return a case of every target alone: nothing shared, no work on padding."""
    return Case(name, history, targets=1, windows=64, shared=False)


COMPARISONS: dict[str, tuple[Case, ...]] = {
    "history": (
        Case("shared, 10", 10),
        Case("shared, 30", 30),
        Case("shared, 100", 100),
        single("each target alone, 10", 10),
        single("each target alone, 30", 30),
        single("each target alone, 100", 100),
    ),
    "shortcuts": (
        Case("none", length_buckets=0),
        Case("only the rows that need it", length_buckets=1),
        Case("2 groups of texts", length_buckets=2),
        Case("4 groups of texts"),
    ),
    "precision": (
        Case("float32"),
        Case("bfloat16", precision="mixed_bfloat16"),
        Case("float32, padded to one of four sizes", fixed_sizes="on"),
        Case("float32, padded to one of four sizes, XLA", fixed_sizes="on", jit=True),
    ),
    "targets a window": (
        Case("1", targets=1, windows=256),
        Case("8", targets=8, windows=32),
        Case("32"),
    ),
    "windows a batch": (
        Case("2", windows=2),
        Case("4", windows=4),
        Case("8"),
        Case("16", windows=16),
    ),
    "users": tuple(
        Case(f"{users:,} users, {updates}", users=users, updates=updates)
        for users in (1_000, 100_000, 1_000_000)
        for updates in ("table", "touched")
    ),
}


class Trainer:
    """A compiled training step at the paper's widths and a few batches of a case."""

    def __init__(self, case: Case, work: pathlib.Path) -> None:
        import keras
        import tensorflow as tf

        from data_pipeline.batching.batches import training_batches
        from data_pipeline.dataset.dataset_folder import open_dataset
        from data_pipeline.settings import BatchSettings
        from user_tf import run_folder
        from user_tf.config import Config, ModelConfig
        from user_tf.registry import build_ranker
        from user_tf.training.steps.optimizer import SummedGradientAdam
        from user_tf.training.steps.replicas import StepSettings
        from user_tf.training.steps.tf_step import make_train_step

        self.case = case
        folder = case.dataset or str(workload.dataset(work, case.history, case.targets))
        dataset = open_dataset(folder)
        self.config = Config(model=ModelConfig(word_vectors=False))
        self.stream = training_batches(
            dataset,
            "unified",
            BatchSettings(
                windows_per_batch=case.windows,
                share_texts=case.shared,
                length_buckets=case.length_buckets,
                fixed_sizes=case.fixed_sizes,
            ),
            seed=1,
            epoch=0,
        )
        keras.config.set_dtype_policy(case.precision)
        sizes = run_folder.read_sizes(self.config, dataset)
        if case.users:
            sizes = dataclasses.replace(sizes, users=case.users)
        self.model = build_ranker(self.config.model, sizes)
        self.optimizer = SummedGradientAdam(1e-3)
        self.optimizer.build(self.model.trainable_variables)
        self.seed = tf.constant((1, 0), tf.int64)
        self.step = make_train_step(
            self.model,
            self.optimizer,
            tf.distribute.get_strategy(),
            self.stream.element_spec,
            StepSettings(5.0, case.jit, touched_rows=case.updates == "touched"),
        )
        self.batches = list(self.stream.take(3))
        self.train()

    def train(self) -> float:
        """Return groups/s over the batches."""
        started = time.perf_counter()
        groups = sum(self.train_step(number) for number in range(len(self.batches)))
        return groups / (time.perf_counter() - started)

    def train_step(self, number: int) -> float:
        """Train on one of the batches and return its number of groups."""
        import tensorflow as tf

        return float(
            self.step(self.batches[number], tf.constant(number, tf.int64), self.seed).groups
        )

    def operations(self) -> dict[str, float]:
        """Count operations of training a group by stage, work on padding included."""
        from benchmarks import step_stages

        groups = sum(float(batch["target_weight"].numpy().sum()) for batch in self.batches)
        totals: dict[str, float] = {}
        for batch in self.batches:
            for stage, value in step_stages.count_operations(self.config.model, batch).items():
                totals[stage] = totals.get(stage, 0.0) + step_stages.TRAINING * value / groups
        return totals


def compare(
    name: str, cases: Sequence[Case], work: pathlib.Path, rounds: int
) -> list[dict[str, Any]]:
    """Measure cases in turns: rates, ratio to the first case turn by turn, operations a group."""
    print(name, flush=True)
    trainers = [Trainer(case, work) for case in cases]
    rates = [[trainer.train() for trainer in trainers] for _ in range(rounds)]
    rows = []
    for column, trainer in enumerate(trainers):
        mine = [turn[column] for turn in rates]
        rows.append(
            {
                **dataclasses.asdict(trainer.case),
                # Its name only: its path is specific to this machine.
                "dataset": pathlib.Path(trainer.case.dataset).name,
                "groups_per_second": summary(mine),
                "of_first": summary([turn[column] / turn[0] for turn in rates]),
                "operations_a_group": sum(trainer.operations().values()),
            }
        )
        print(f"  {trainer.case.name}: {rows[-1]['groups_per_second']['median']:.0f} groups/s")
    return rows


def split(case: Case, work: pathlib.Path, rounds: int) -> dict[str, Any]:
    """Measure seconds and product rate of every stage, forward and backward, and of the step."""
    from benchmarks import step_stages

    print(f"split, {case.precision}", flush=True)
    trainer = Trainer(case, work)
    batch = trainer.batches[0]
    trainer.batches = [batch]
    groups = float(batch["target_weight"].numpy().sum())
    operations = trainer.operations()
    rate = step_stages.product_rate("float32" if case.precision == "float32" else "bfloat16")
    parts = {
        name: step_stages.seconds(run, rounds)
        for name, run in step_stages.stages(trainer.model, trainer.optimizer, batch).items()
    }
    return {
        "precision": case.precision,
        "groups": groups,
        "products_per_second_of_the_machine": rate,
        "step_seconds": step_stages.seconds(trainer.train, rounds),
        "stage_seconds": parts,
        "share_of_the_machine": {
            name: groups * value / parts[name] / rate for name, value in operations.items()
        },
        "text_products_share": step_stages.text_products(
            trainer.config.model, batch, case.precision
        )
        / rate,
    }


def main(arguments: list[str]) -> None:
    """Measure all comparisons and write the JSON."""
    del arguments
    from user_tf.evaluation import metrics_table

    settings = flagtree.read(ThroughputSettings)
    work, rounds = pathlib.Path(settings.work), settings.rounds
    comparisons = dict(COMPARISONS)
    if settings.trivago:
        own = Case("shared", dataset=settings.trivago, windows=100)
        comparisons["trivago"] = (
            own,
            dataclasses.replace(own, name="no shortcut", length_buckets=0),
            dataclasses.replace(own, name="bfloat16", precision="mixed_bfloat16"),
        )
    command = f"python -m benchmarks.train_throughput --rounds={rounds}"
    if settings.comparisons:
        unknown = set(settings.comparisons) - set(comparisons)
        if unknown:
            raise ValueError(
                f"`comparisons` must be among {sorted(comparisons)}. Got {sorted(unknown)}. Fix: set "
                "--comparisons."
            )
        comparisons = {name: comparisons[name] for name in settings.comparisons}
        command += f" --comparisons='{','.join(settings.comparisons)}'"
    content = {
        **metrics_table.provenance(command, 1),
        "workload": f"`{workload.LOG}`, `{workload.PREPARE}`",
        "comparisons": {
            name: compare(name, cases, work, rounds) for name, cases in comparisons.items()
        },
        "split": [split(case, work, rounds) for case in COMPARISONS["precision"][:2]],
    }
    path = pathlib.Path(settings.output) / "train_throughput.json"
    write_json(path, content)
    print(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(ThroughputSettings)
    command_line.run(main)
