"""The configuration tree of a run; absl flags are generated from it.

`python -m user_tf.train --flagfile=configs/train/quickstart.flags --model.width=64` reads this tree,
saves it as `config.json` in the run folder, and the other commands read it back from there.
"""

import dataclasses
import json
import pathlib
from typing import Any

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.settings import BatchSettings

PREDICT_QUERIES = ("htps", "htps_unified")
"""Rankers that learn to predict the next query."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which dataset, which view of it, and how it is batched."""

    dataset: str = setting("", "Folder of the prepared dataset.")
    scenario: str = setting(
        "unified",
        "Behaviors the model sees: both, or one task's only (USER-S, USER-R).",
        choices=("unified", "search", "recommendation"),
    )
    batch: BatchSettings = dataclasses.field(default_factory=BatchSettings)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Every choice of reference `USER_MODEL`; the defaults are the paper's."""

    name: str = setting("user", "Ranker to build, a name of user_tf.models.registry.")
    width: int = setting(100, "Model width d.")
    num_heads: int = setting(8, "Attention heads of each transformer.")
    key_dim: int = setting(50, "Width of a head.")
    intermediate_dim: int = setting(256, "Feed-forward width of each transformer.")
    word_layers: int = setting(1, "Layers of the word-level transformer.")
    session_layers: int = setting(1, "Layers of the session-level transformer.")
    history_layers: int = setting(1, "Layers of the history-level transformer.")
    dropout: float = setting(0.1, "Dropout of sublayer outputs and attention weights.")
    word_vectors: bool = setting(True, "Start word embeddings from the dataset's word2vec vectors.")
    train_words: bool = setting(
        True,
        "Train the word embeddings; off: they stay as they start, which keeps a small log of rare "
        "tokens (ids) from being learned by heart.",
    )
    word_positions: bool = setting(False, "Sinusoidal positions at word level.")
    session_positions: bool = setting(True, "Sinusoidal positions at session level.")
    history_positions: str = setting(
        "forward",
        "`forward`: 1..n and the target n+1; `fixed`: the target always has the last id; "
        "`recency`: counted back from the target; `off`: none.",
        choices=("forward", "fixed", "recency", "off"),
    )
    session_types: bool = setting(True, "Type embeddings at session level.")
    co_attention: str = setting(
        "parallel",
        "`parallel`: Lu et al. 2016; `simple`: row and column sums of the affinity matrix, as "
        "released by the authors.",
        choices=("parallel", "simple"),
    )
    session_passes: int = setting(
        1, "Times the current session goes through the session transformer (released code: 2)."
    )
    session_encoder: bool = setting(True, "Off: ablation without session encoder.")
    history_encoder: bool = setting(True, "Off: ablation without history encoder.")
    knrm: bool = setting(True, "KNRM between query and candidate; off as in the released code.")
    init_scheme: str = setting(
        "average",
        "Initial weights: `average`: attention begins as the average of what it sees and the score "
        "as the sum of cosines, in rankers that have either; `glorot`: Glorot's throughout.",
        choices=("average", "glorot"),
    )
    score_tanh: bool = setting(False, "tanh on the score, as in the released code.")
    aspects: int = setting(8, "Aspects under which USER+ compares texts.")
    aspect_dim: int = setting(16, "Width of an aspect in USER+.")
    head_dim: int = setting(64, "Width of the hidden layer of USER+'s head.")
    token_dropout: float = setting(0.15, "Probability that USER+ leaves out a token in training.")
    part_dropout: float = setting(
        0.15, "Probability that USER+ leaves out a part of its score in training."
    )
    personal_rows: int = setting(100_000, "Rows that pairs of user and word are hashed to in PEPS.")
    next_query_weight: float = setting(
        1.0,
        "Weight of the loss of predicting the next query, in rankers that do; it needs "
        "--data.batch.next_queries. 0: off.",
    )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Phases, optimiser and stopping."""

    phases: tuple[str, ...] = dataclasses.field(
        default=("pretrain", "search", "recommendation"),
        metadata={
            "help": "Phases in order: pretrain (both tasks), search, recommendation. A fine-tuning "
            "phase starts from the pre-trained model, or from scratch where there is none."
        },
    )
    warm_start: str = setting(
        "",
        "Run on an earlier dataset whose weights a phase trained from scratch starts from; rows of "
        "words and users are found by name, new ones start as they would anyway.",
    )
    pretrain_epochs: int = setting(10, "Largest number of epochs of pre-training.")
    finetune_epochs: int = setting(5, "Largest number of epochs of a fine-tuning phase.")
    learning_rate: float = setting(1e-3, "Adam's learning rate in the first training of a model.")
    finetune_learning_rate: float = setting(1e-4, "Adam's learning rate in fine-tuning.")
    embedding_updates: str = setting(
        "table",
        "`table`: Adam, which moves every row of an embedding table at every step; `touched`: lazy "
        "Adam, which moves the rows of the batch, for tables of a million users.",
        choices=("table", "touched"),
    )
    clip_norm: float = setting(5.0, "Global norm of gradients above which they are scaled down.")
    patience: int = setting(2, "Evaluations without a better validation MAP before a phase stops.")
    evaluations_per_epoch: int = setting(1, "Validations in an epoch, evenly spaced.")
    validation_targets: int = setting(0, "Validation targets of each task used; 0: all of them.")
    checkpoint_minutes: float = setting(5.0, "Minutes between two checkpoints.")
    stop_after_steps: int = setting(
        0, "Stop cleanly after that many steps of this call, as if killed; 0: never (for tests)."
    )


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """Machine: strategy, precision, compilation, seed."""

    strategy: str = setting(
        "one_device",
        "tf.distribute strategy.",
        choices=("one_device", "mirrored", "multi_worker", "tpu"),
    )
    logical_cpus: int = setting(0, "Split the CPU into that many logical devices; 0: leave it.")
    tpu: str = setting("local", "Address of the TPU for --runtime.strategy=tpu.")
    precision: str = setting(
        "float32",
        "Keras dtype policy. mixed_float16 is not offered: it would need loss scaling.",
        choices=("float32", "float64", "mixed_bfloat16"),
    )
    jit: bool = setting(False, "Compile the training step with XLA.")
    seed: int = setting(1, "Seed of initial weights, window order, negatives and dropout.")
    tensorboard: bool = setting(True, "Write TensorBoard summaries.")


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything `python -m user_tf.train` can be told."""

    run: str = setting("", "Folder of the run: settings, checkpoints, metrics.")
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    runtime: RuntimeConfig = dataclasses.field(default_factory=RuntimeConfig)

    def save(self, folder: pathlib.Path) -> None:
        """Writes the resolved settings to `folder/config.json`."""
        text = json.dumps(flagtree.to_dict(self), indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: pathlib.Path) -> "Config":
        """Reads the settings a run was made with.

        Raises:
            FileNotFoundError: `folder` holds no run.
            ValueError: The file was written by another version of the program.
        """
        path = folder / "config.json"
        if not path.exists():
            raise FileNotFoundError(
                f"`run` should be a folder made by user_tf.train. Received: {folder}, which has no "
                "config.json. Set --run to such a folder."
            )
        return flagtree.from_dict(cls, json.loads(path.read_text(encoding="utf-8")))


def check(config: Config) -> None:
    """Refuses impossible combinations before any work starts.

    Raises:
        ValueError: Names the setting, the rule, the value and the mend.

    Example:
        >>> check(Config(run="run", data=DataConfig(dataset="dataset")))
        >>> check(Config(run="", data=DataConfig(dataset="dataset")))
        Traceback (most recent call last):
        ValueError: `run` should name a folder. Received: ''. Set --run.
    """
    rules = [
        (config.run != "", "`run` should name a folder", config.run, "Set --run."),
        (
            config.data.dataset != "",
            "`data.dataset` should name a prepared dataset",
            config.data.dataset,
            "Set --data.dataset to a folder made by data_pipeline.prepare.",
        ),
        (
            set(config.train.phases) <= {"pretrain", "search", "recommendation"}
            and len(config.train.phases) == len(set(config.train.phases)) > 0
            and "pretrain" not in config.train.phases[1:],
            "`train.phases` should be distinct names of pretrain, search, recommendation, "
            "pretrain first",
            config.train.phases,
            "Set --train.phases, for example to pretrain,search,recommendation.",
        ),
        (
            config.data.scenario == "unified" or config.train.phases == (config.data.scenario,),
            "`train.phases` should be the scenario's own task where one task's data is used",
            config.train.phases,
            f"Set --train.phases={config.data.scenario}, or --data.scenario=unified.",
        ),
        (
            0 <= config.model.dropout < 1,
            "`model.dropout` should be in [0, 1)",
            config.model.dropout,
            "Set --model.dropout.",
        ),
        (
            config.data.batch.next_queries
            or not (config.model.name in PREDICT_QUERIES and config.model.next_query_weight),
            "`data.batch.next_queries` should be on where the ranker predicts the next query",
            config.data.batch.next_queries,
            "Set --data.batch.next_queries, or --model.next_query_weight=0.",
        ),
        (
            not (config.runtime.jit and config.runtime.strategy == "multi_worker"),
            "`runtime.jit` cannot be combined with the multi-worker strategy",
            config.runtime.jit,
            "Set --noruntime.jit.",
        ),
        (
            config.runtime.logical_cpus == 0
            or config.runtime.strategy in ("one_device", "mirrored"),
            "`runtime.logical_cpus` needs the one_device or mirrored strategy",
            config.runtime.logical_cpus,
            "Set --runtime.logical_cpus=0.",
        ),
        (
            not (config.runtime.jit and config.train.embedding_updates == "touched"),
            "`train.embedding_updates` should be `table` where XLA compiles the gradient",
            config.train.embedding_updates,
            "Set --train.embedding_updates=table, or --noruntime.jit.",
        ),
        (
            -1 <= config.data.batch.rungs <= 4,
            "`data.batch.rungs` should be between -1 and 4",
            config.data.batch.rungs,
            "Set --data.batch.rungs.",
        ),
        (
            config.data.batch.rungs != 0
            or not (config.runtime.jit or config.runtime.strategy == "tpu"),
            "`data.batch.rungs` should not be 0 where XLA compiles for fixed sizes",
            config.data.batch.rungs,
            "Set --data.batch.rungs=4, or --noruntime.jit on a CPU or GPU.",
        ),
    ]
    for name in (
        "model.width",
        "model.num_heads",
        "model.key_dim",
        "model.intermediate_dim",
        "model.word_layers",
        "model.session_layers",
        "model.history_layers",
        "model.session_passes",
        "model.personal_rows",
        "data.batch.windows_per_batch",
        "data.batch.evaluation_windows_per_batch",
        "data.batch.negatives",
        "train.patience",
        "train.evaluations_per_epoch",
    ):
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        rules.append((value >= 1, f"`{name}` should be at least 1", value, f"Set --{name}."))
    for holds, rule, received, mend in rules:
        if not holds:
            raise ValueError(f"{rule}. Received: {received!r}. {mend}")
