"""Settings of the data side: what a log holds, how a dataset is prepared, how batches are laid."""

import dataclasses

from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """How raw rows become a canonical behavior log."""

    mask_users: bool = setting(True, "Replace user ids by their HMAC-SHA256 under the owner's key.")
    key_file: str = setting(
        "", "File with the masking key; empty: the environment variable USER_TF_USER_KEY."
    )
    quarantine_share: float = setting(
        0.01, "Largest share of rows of a table that may be quarantined; more stops the run."
    )


@dataclasses.dataclass(frozen=True)
class SequenceSettings:
    """What a behavior, a session and a satisfied click are (DESIGN 3 and 4)."""

    relevance: str = setting(
        "satisfied",
        "`satisfied`: clicked and dwell above `satisfied_seconds`; `click`: clicked, known at once.",
        choices=("satisfied", "click"),
    )
    satisfied_seconds: float = setting(
        30.0, "A click with more dwell is satisfied; a click is known that long after its time."
    )
    session_minutes: float = setting(30.0, "Gap between starts, in minutes, that ends a session.")
    session_behaviors: int = setting(5, "Behaviors kept of a session: the most recent ones.")
    past_sessions: int = setting(20, "Past sessions kept: the most recent ones.")
    clicked_titles: int = setting(3, "Clicked titles kept of a search: the earliest ones.")
    filter_sessions: bool = setting(
        False, "Keep only sessions with both behaviors and their neighbors, as in the paper."
    )
    filter_neighbors: int = setting(3, "Sessions kept around each session with both behaviors.")


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """Where history ends and how the rest is split by session start."""

    history_share: float = setting(
        0.0, "Share of the log's time that is history only (8 of 13 weeks in the paper: 0.615)."
    )
    train_parts: int = setting(4, "Parts of the sessions with targets used for training.")
    validation_parts: int = setting(1, "Parts used for validation.")
    test_parts: int = setting(1, "Parts used for test.")


@dataclasses.dataclass(frozen=True)
class TextSettings:
    """Tokens, vocabulary and word vectors."""

    tokenizer: str = setting(
        "words",
        "`words`: lower-case words, a character each in Chinese and Japanese; `ids`: what stands "
        "between spaces as it is, for hashed terms; `wordpiece`: words cut into learned pieces, "
        "which needs TensorFlow Text.",
        choices=("words", "ids", "wordpiece"),
    )
    text_length: int = setting(30, "Tokens kept of a text: the first ones.")
    minimum_count: int = setting(2, "Occurrences a word needs to enter the vocabulary.")
    vocabulary_limit: int = setting(200_000, "Words of the vocabulary at the most.")
    wordpiece_limit: int = setting(30_000, "Pieces that `wordpiece` learns at the most.")
    wordpiece_vocabulary: str = setting(
        "",
        "File of pieces for `wordpiece`, one a line, the first [PAD], as BERT's uncased ones are; "
        "empty: learn them.",
    )
    oov_buckets: int = setting(
        1000,
        "Hashed buckets for words outside the vocabulary, so that a rare token matches itself.",
    )
    width: int = setting(100, "Width of the word vectors.")
    word2vec_epochs: int = setting(5, "Passes of word2vec over the texts; 0: random vectors.")
    word2vec_workers: int = setting(1, "Threads of word2vec; more than one is not deterministic.")


@dataclasses.dataclass(frozen=True)
class PseudoNegativeSettings:
    """Pseudo-negatives of browses whose list was not logged (DESIGN 4)."""

    popularity_weight: float = setting(
        0.5, "a in a * normalised log(1 + clicks) + (1 - a) * topic cosine."
    )
    pool: int = setting(100, "Best-scored documents to draw from.")
    count: int = setting(9, "Pseudo-negatives drawn for each browse.")
    exact_documents: int = setting(
        200_000,
        "Documents available to a target up to which the best are found exactly; among more an "
        "approximate index proposes them (extra `scale`).",
    )


@dataclasses.dataclass(frozen=True)
class EvalCandidateSettings:
    """What validation and test targets are ranked among; training lists are always those shown."""

    protocol: str = setting(
        "shown",
        "`shown`: the list shown (of a browse without one, pseudo-negatives); `pseudo`: the "
        "relevant documents among `pseudo_negatives.count` pseudo-negatives; `sampled`: among `count` "
        "documents drawn as `drawn_by` says. Other papers sample.",
        choices=("shown", "pseudo", "sampled"),
    )
    count: int = setting(
        99,
        "Documents drawn for a list of `sampled`, often 99 or 999; with many of them a smaller "
        "--windows.targets_per_window keeps evaluation batches small.",
    )
    drawn_by: str = setting(
        "uniform",
        "Documents of `sampled` are drawn alike, or in proportion to 1 + their openings before the "
        "target.",
        choices=("uniform", "popularity"),
    )


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """How targets are grouped into records."""

    targets_per_window: int = setting(8, "Consecutive targets of one user in a window.")
    windows_per_shard: int = setting(2000, "Windows in a TFRecord file.")


@dataclasses.dataclass(frozen=True)
class PrepareSettings:
    """Everything `python -m data_pipeline.prepare` can be told."""

    log: str = setting("", "Folder of the behavior log; of several, the latest.")
    earlier_logs: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"help": "Folders of the logs before `log`, the earliest first."}
    )
    extend: str = setting(
        "",
        "Dataset prepared from `earlier_logs`, to go on from: vocabulary, word vectors, lists and "
        "features are taken over.",
    )
    vocabulary: str = setting(
        "", "Dataset whose vocabulary and word vectors are taken; empty: learn them, or `extend`'s."
    )
    output: str = setting("", "Folder of the dataset to write; must not exist.")
    seed: int = setting(1, "Seed of every draw.")
    scenarios: tuple[str, ...] = dataclasses.field(
        default=("unified", "search", "recommendation"),
        metadata={"help": "Views to write: unified, search (USER-S), recommendation (USER-R)."},
    )
    engine: str = setting(
        "duckdb",
        "Where relational work runs; the dataset's bytes are the same.",
        choices=("duckdb", "spark"),
    )
    spark_master: str = setting(
        "local",
        "Spark's master: `local` (Spark here, with `threads` and `memory_gib`) or a cluster's, such "
        "as spark://host:7077; empty: as spark-submit or spark-defaults.conf say.",
    )
    threads: int = setting(2, "Threads of the relational engine.")
    memory_gib: float = setting(6.0, "Memory limit of the relational engine in GiB.")
    sequence: SequenceSettings = dataclasses.field(default_factory=SequenceSettings)
    split: SplitSettings = dataclasses.field(default_factory=SplitSettings)
    text: TextSettings = dataclasses.field(default_factory=TextSettings)
    pseudo_negatives: PseudoNegativeSettings = dataclasses.field(
        default_factory=PseudoNegativeSettings
    )
    eval_candidates: EvalCandidateSettings = dataclasses.field(
        default_factory=EvalCandidateSettings
    )
    windows: WindowSettings = dataclasses.field(default_factory=WindowSettings)


@dataclasses.dataclass(frozen=True)
class BatchSettings:
    """Settings of packing windows as a Batch (`data_pipeline.batching.spec`)."""

    windows_per_batch: int = setting(16, "Windows of a training batch.")
    evaluation_windows_per_batch: int = setting(16, "Windows of an evaluation batch.")
    negatives: int = setting(4, "Negatives drawn for each group, anew each epoch (K).")
    share_texts: bool = setting(
        True, "Encode each distinct text of a batch once; off only to measure what sharing saves."
    )
    length_buckets: int = setting(
        4,
        "Number of length buckets (the longest text halved repeatedly). Each is encoded apart, so "
        "that short texts cost less; 0: no bucket and no other row subset.",
    )
    unknown_user_rate: float = setting(
        0.1, "Probability that a recommendation target uses the unknown user's row in training."
    )
    features: bool = setting(True, "Feed the relevance features F; off: zeros.")
    recommendation_features: bool = setting(
        False, "Feed the query-free part of F to recommendations too (the paper: off)."
    )
    fixed_sizes: str = setting(
        "auto",
        "Pad batches to one of four sizes, so that few programs are compiled. `auto`: with XLA, on "
        "TPUs and on GPUs; `off`: exact sizes.",
        choices=("auto", "on", "off"),
    )
    next_queries: bool = setting(
        False, "Carry the texts of next queries, for baselines trained to predict them."
    )
