"""The settings of a run; absl flags are generated from them.

`python -m user_tf.train --flagfile=configs/train/quickstart.flags --model.width=64` reads this tree
and saves it as `config.json` in the run folder, where the other commands read it.
"""

import dataclasses
import json
import pathlib

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.settings import BatchSettings

USER_PLUS_PARTS = ("match", "same", "near", "query", "places")
"""Signals of USER+ beside those of USER, in the order of its head's weights."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The dataset, the behaviors used of it, and how they are batched."""

    dataset: str = setting("", "Folder of the prepared dataset.", path=True)
    scenario: str = setting(
        "unified",
        "Behaviors the model sees: both, or one task's only (USER-S, USER-R).",
        choices=("unified", "search", "recommendation"),
    )
    batch: BatchSettings = dataclasses.field(default_factory=BatchSettings)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Settings of a ranker; the defaults are those of the USER paper.

    A layer that takes one of these as an argument uses the same name for it. The released code of
    the authors differs from the paper in `co_attention=simple`, `session_passes=2`, `score_tanh`,
    and in positions, types and KNRM, which are off there.
    """

    name: str = setting("user", "Ranker to build: a name in user_tf.registry.")

    # Sizes of every ranker.
    width: int = setting(100, "Width d of words, texts, behaviors and intents.")
    num_heads: int = setting(8, "Number of attention heads.")
    key_dim: int = setting(50, "Width of one attention head.")
    intermediate_dim: int = setting(256, "Hidden width of the feed-forward part of a transformer.")
    dropout: float = setting(0.1, "Dropout rate of sublayer outputs and attention weights.")
    init_scheme: str = setting(
        "average",
        "Initial weights. `average`: attention starts as the average of the rows it sees and the "
        "score as the sum of cosines, in rankers with attention or cosines; `glorot`: Glorot uniform.",
        choices=("average", "glorot"),
    )

    # Words.
    word_vectors: bool = setting(
        True, "Initialize word embeddings with the word2vec vectors of the dataset."
    )
    train_words: bool = setting(
        True,
        "Train word embeddings. Off: keep their initial values, to avoid overfitting on small logs "
        "with rare ids.",
    )
    word_layers: int = setting(1, "Number of layers of the transformer over words.")
    co_attention: str = setting(
        "parallel",
        "Co-attention of a query and its clicked titles. `parallel`: as in the paper (Lu et al., "
        "2016); `simple`: row and column sums of the affinity matrix, as in the released code.",
        choices=("parallel", "simple"),
    )

    # Session encoder.
    session_encoder: bool = setting(True, "Use the session encoder. Off: an ablation of the paper.")
    session_layers: int = setting(1, "Number of layers of the transformer over a session.")
    session_positions: bool = setting(True, "Add sinusoidal positions to behaviors of a session.")
    session_types: bool = setting(True, "Add type embeddings to behaviors of a session.")
    session_passes: int = setting(
        1, "Number of times the current session goes through its transformer (released code: 2)."
    )

    # History encoder.
    history_encoder: bool = setting(True, "Use the history encoder. Off: an ablation of the paper.")
    history_layers: int = setting(1, "Number of layers of the transformer over past sessions.")
    history_positions: str = setting(
        "forward",
        "Positions of the n past behaviors and the target. `forward`: 1 ... n, target n + 1; "
        "`fixed`: the target always has the last position; `recency`: counted back from the target, "
        "target 1; `off`: none.",
        choices=("forward", "fixed", "recency", "off"),
    )

    # Score.
    knrm: bool = setting(
        True, "Match query and candidate words by KNRM. The released code does not use it."
    )
    score_tanh: bool = setting(False, "Apply tanh to the score, as in the released code.")
    head: str = setting(
        "linear",
        "`linear`: a linear score over cosines, KNRM and F, as in the paper; `mlp`: plus a hidden "
        "layer over them.",
        choices=("linear", "mlp"),
    )
    head_dim: int = setting(64, "Width of the hidden layer of `mlp`, and of the head of USER+.")

    # USER+.
    parts: tuple[str, ...] = dataclasses.field(
        default=USER_PLUS_PARTS,
        metadata={
            "help": "USER+: signals of the residual beside those of USER: match, same, near, query, "
            "places. Fewer: an ablation."
        },
    )
    aspects: int = setting(8, "USER+: number of aspects under which texts are compared.")
    aspect_dim: int = setting(16, "USER+: width of an aspect.")
    token_dropout: float = setting(0.15, "USER+: share of tokens left out in training.")
    text_dropout: float = setting(
        0.2, "USER+: share of targets in training whose score is left with F alone."
    )

    # Baselines.
    personal_rows: int = setting(
        100_000, "PEPS: number of rows that pairs of user and word are hashed to."
    )
    next_query_weight: float = setting(
        1.0,
        "HTPS: weight of the loss of predicting the next query. Needs --data.batch.next_queries. "
        "0: off.",
    )

    @property
    def transformer(self) -> dict[str, int | float]:
        """Return the arguments that all transformers of a ranker share.

        Example:
            >>> ModelConfig(dropout=0.2).transformer["dropout"]
            0.2
        """
        names = ("num_heads", "key_dim", "intermediate_dim", "dropout")
        return {name: getattr(self, name) for name in names}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Phases, optimiser and stopping."""

    phases: tuple[str, ...] = dataclasses.field(
        default=("pretrain", "search", "recommendation"),
        metadata={
            "help": "Phases in order: pretrain (both tasks), search, recommendation. search and "
            "recommendation start from the pre-trained model, without pretrain from scratch."
        },
    )
    warm_start: str = setting(
        "",
        "Run on an earlier dataset. A phase that would start from scratch starts from its weights; "
        "rows of words and users are found by name, new ones get initial weights.",
        path=True,
    )
    pretrain_epochs: int = setting(
        10,
        "Largest number of epochs of pretrain. Without it, search and recommendation are trained "
        "from scratch and have these epochs and `finetune_epochs` together.",
    )
    finetune_epochs: int = setting(
        5,
        "Largest number of epochs of search and of recommendation after pretrain; without it, added "
        "to `pretrain_epochs`.",
    )
    learning_rate: float = setting(
        1e-3,
        "Adam's learning rate in the first training of a model: pretrain, or a phase without it.",
    )
    finetune_learning_rate: float = setting(
        1e-4, "Adam's learning rate of search and recommendation after pretrain."
    )
    embedding_updates: str = setting(
        "table",
        "`table`: Adam, which changes every row of an embedding table at every step; `touched`: lazy "
        "Adam, which changes only the rows of the batch, for tables of a million users.",
        choices=("table", "touched"),
    )
    clip_norm: float = setting(5.0, "Global norm of gradients above which they are scaled down.")
    patience: int = setting(2, "Evaluations without a better validation MAP that end a phase.")
    evaluations_per_epoch: int = setting(1, "Validations in an epoch, evenly spaced.")
    validation_targets: int = setting(0, "Validation targets of each task used; 0: all of them.")
    checkpoint_minutes: float = setting(5.0, "Minutes between two checkpoints.")
    stop_after_steps: int = setting(
        0, "Stop after this number of steps of this call, as if killed; 0: never (for tests)."
    )


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """Strategy, precision, compilation and seed."""

    backend: str = setting(
        "tensorflow",
        "Keras back end of training; TensorFlow reads the data for both.",
        choices=("tensorflow", "jax"),
    )
    strategy: str = setting(
        "one_device",
        "tf.distribute strategy; with JAX `mirrored` is all devices of this machine.",
        choices=("one_device", "mirrored", "multi_worker", "tpu"),
    )
    logical_cpus: int = setting(0, "Logical devices the CPU is split into; 0: do not split it.")
    tpu: str = setting("local", "Address of the TPU for --runtime.strategy=tpu.")
    precision: str = setting(
        "float32",
        "Keras dtype policy. There is no mixed_float16, which would need loss scaling.",
        choices=("float32", "float64", "mixed_bfloat16"),
    )
    jit: bool = setting(False, "Compile the training step with XLA.")
    seed: int = setting(1, "Seed of initial weights, window order, negatives and dropout.")
    tensorboard: bool = setting(True, "Write TensorBoard summaries.")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of `python -m user_tf.train`."""

    run: str = setting("", "Folder of the run: settings, checkpoints, metrics.", path=True)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    runtime: RuntimeConfig = dataclasses.field(default_factory=RuntimeConfig)

    def save(self, folder: pathlib.Path) -> None:
        """Write the settings to `folder/config.json`, completely or not at all."""
        unfinished = folder / "config.json.unfinished"
        text = json.dumps(flagtree.to_dict(self), indent=2) + "\n"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / "config.json")

    @classmethod
    def load(cls, folder: pathlib.Path) -> "Config":
        """Read the settings a run was made with.

        Raises:
            FileNotFoundError: `folder` holds no run.
            ValueError: The file was written by another version of the program.
        """
        path = folder / "config.json"
        if not path.exists():
            raise FileNotFoundError(
                f"`run` must be a folder made by user_tf.train. Got {str(folder)!r}, which has no "
                "config.json. Fix: set --run to such a folder."
            )
        return flagtree.from_dict(cls, json.loads(path.read_text(encoding="utf-8")))
