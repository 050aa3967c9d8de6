"""The studies of RESULTS.md: datasets, systems and flags.

A study is data: commands that make datasets, and systems, each one training run a seed. The
simulator's settings were fixed before any result was seen; learning rate, dropout and epochs
were chosen on validation.
"""

import dataclasses

SEARCH_ONLY = ("--data.scenario=search", "--train.phases=search")
RECOMMENDATION_ONLY = ("--data.scenario=recommendation", "--train.phases=recommendation")
_LONG_WINDOWS = "--text.width=32 --windows.targets_per_window=32"
_WORLD = ("--users=6500", "--world.title_mean=7", "--world.title_maximum=10")


@dataclasses.dataclass(frozen=True)
class System:
    """One row of a table: a name, the dataset it is trained on, flags after the flagfile."""

    name: str
    dataset: str
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Study:
    """A question, the commands that make its datasets, and the systems compared.

    Attributes:
        question: Question of the study.
        flagfile: Settings all systems share.
        commands: By dataset, the module calls that make it; `{work}` is the study's folder,
            `{trivago}` the log file given on the command line.
        systems: Systems trained, once a seed.
        split: Split of the table's targets.
    """

    question: str
    flagfile: str
    commands: dict[str, tuple[str, ...]]
    systems: tuple[System, ...]
    split: str = "test"

    def has_truth(self, dataset: str) -> bool:
        """Return whether a dataset is simulated, so that its best ranking is known."""
        return any(command.startswith("data_pipeline.truth") for command in self.commands[dataset])


def _simulated(world: str, *flags: str, prepare: str = "") -> tuple[str, ...]:
    log, dataset = f"{{work}}/{world}-log", f"{{work}}/{world}"
    return (
        f"data_pipeline.simulate --output={log} {' '.join(flags)}",
        f"data_pipeline.prepare --log={log} --output={dataset} {prepare}",
        f"data_pipeline.truth --log={log} --dataset={dataset} --output={dataset}.truth.parquet",
    )


def _trio(dataset: str) -> tuple[System, ...]:
    return (
        System(f"USER, {dataset}", dataset),
        System(f"USER-S, {dataset}", dataset, SEARCH_ONLY),
        System(f"USER-R, {dataset}", dataset, RECOMMENDATION_ONLY),
    )


def _windows_of(targets: int) -> tuple[str, ...]:
    return _simulated(
        f"upto{targets}",
        "--users=1500",
        prepare=f"--text.width=32 --scenarios=unified --windows.targets_per_window={targets}",
    )


def _layout(targets: int, windows: int, *flags: str, name: str = "") -> System:
    return System(
        name or f"targets a window: {targets}, windows a batch: {windows}",
        f"upto{targets}",
        ("--train.phases=pretrain", f"--data.batch.windows_per_batch={windows}", *flags),
    )


_TRIVAGO = (
    "data_pipeline.import_log --source=trivago --input={trivago} --output={work}/trivago-log",
    "data_pipeline.prepare --log={work}/trivago-log --output={work}/trivago "
    "--sequence.relevance=click --text.width=64 --text.oov_buckets=50000 "
    "--text.word2vec_epochs=0 --windows.targets_per_window=32",
)

STUDIES = {
    "trivago": Study(
        question="Does USER beat most-recently-touched-first on real rows, with F and without?",
        flagfile="configs/train/trivago.flags",
        commands={
            "trivago": _TRIVAGO,
        },
        systems=(
            System("USER with F", "trivago"),
            # At 3e-3, which F needs, the encoders alone overfit the training clicks.
            System(
                "USER without F",
                "trivago",
                (
                    "--nodata.batch.features",
                    "--train.learning_rate=3e-4",
                    "--train.finetune_learning_rate=1e-4",
                ),
            ),
            System(
                "USER with F, its query-free part for recommendations too",
                "trivago",
                ("--data.batch.recommendation_features",),
            ),
        ),
    ),
    "simulated": Study(
        question="Does unified data help, and does the advantage shrink where the services are "
        "independent?",
        flagfile="configs/train/simulated.flags",
        commands={
            "linked": _simulated("linked", *_WORLD, prepare=_LONG_WINDOWS),
            "independent": _simulated(
                "independent",
                *_WORLD,
                "--strength.shared_interests=0",
                "--strength.browse_to_search=0",
                "--strength.search_to_browse=0",
                prepare=_LONG_WINDOWS,
            ),
        },
        systems=(*_trio("linked"), *_trio("independent")),
    ),
    "quickstart": Study(
        question="What does the quickstart reach, and how far do its seeds differ?",
        flagfile="configs/train/quickstart.flags",
        commands={
            "quickstart": _simulated("quickstart", "--users=2000", prepare="--text.width=32")
        },
        systems=(System("USER, quickstart", "quickstart"),),
    ),
    "user": Study(
        question="What do the settings of the paper reach on the linked world of "
        "configs/datasets/linked.flags, whose systems are narrower?",
        flagfile="configs/train/user.flags",
        commands={
            "linked": _simulated("linked", "--users=3000", *_WORLD[1:], prepare="--text.width=100")
        },
        systems=(System("USER, settings of the paper", "linked"),),
    ),
    "sharing": Study(
        question="Do windows with several targets of a user side by side reach the quality of "
        "batches of single targets (pre-training on both tasks), and with how many targets a "
        "window and windows a batch?",
        flagfile="configs/train/simulated.flags",
        commands={f"upto{targets}": _windows_of(targets) for targets in (1, 8, 32)},
        systems=(
            _layout(1, 128),
            _layout(8, 10),
            _layout(8, 20),
            _layout(32, 8),
            _layout(32, 16),
        ),
        split="validation",
    ),
    "faster": Study(
        question="Do bfloat16 and lazy Adam cost quality (pre-training on both tasks)?",
        flagfile="configs/train/simulated.flags",
        commands={"upto8": _windows_of(8)},
        systems=(
            _layout(8, 20),
            _layout(8, 20, "--runtime.precision=mixed_bfloat16", name="bfloat16"),
            _layout(8, 20, "--train.embedding_updates=touched", name="lazy Adam"),
        ),
        split="validation",
    ),
}
