"""Settings of the data side: importing a log, preparing a dataset, building batches."""

import dataclasses

from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """Settings of `import_log` and `simulate`: how raw rows become a behavior log."""

    mask_users: bool = setting(True, "Replace user ids by their HMAC-SHA256 under the owner's key.")
    key_file: str = setting(
        "",
        "File with the masking key; empty: the environment variable USER_TF_USER_KEY.",
        path=True,
    )
    quarantine_share: float = setting(
        0.01, "Largest share of rows of a table that may be quarantined; more stops the run."
    )


@dataclasses.dataclass(frozen=True)
class SequenceSettings:
    """Satisfied clicks, sessions, and how much history is kept."""

    relevance: str = setting(
        "satisfied",
        "`satisfied`: clicked with a dwell time above `satisfied_seconds`; `click`: clicked, known at "
        "once.",
        choices=("satisfied", "click"),
    )
    satisfied_seconds: float = setting(
        30.0,
        "A click with a longer dwell time is satisfied; whether it is, is known that many seconds "
        "after the click.",
    )
    session_minutes: float = setting(30.0, "Gap between starts, in minutes, that ends a session.")
    session_behaviors: int = setting(5, "Behaviors kept of a session: the most recent ones.")
    past_sessions: int = setting(20, "Past sessions kept: the most recent ones.")
    clicked_titles: int = setting(3, "Clicked titles kept of a search: the earliest ones.")
    filter_sessions: bool = setting(
        False,
        "Keep only sessions with both kinds of behavior and three sessions on each side of them, as "
        "in the paper.",
    )


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """The history period, and the split of later sessions by their start."""

    history_share: float = setting(
        0.0, "Share of the log's time that is history only (8 of 13 weeks in the paper: 0.615)."
    )
    train_parts: int = setting(4, "Parts of the sessions with targets used for training.")
    validation_parts: int = setting(1, "Parts used for validation.")
    test_parts: int = setting(1, "Parts used for test.")
    validation_begins: str = setting(
        "",
        "Time (ISO 8601, UTC) at which validation begins, as of a published split; empty: by parts.",
    )
    test_begins: str = setting(
        "", "Time (ISO 8601, UTC) at which the test period begins; empty: by parts."
    )
    column: bool = setting(
        True,
        "Follow the column `split` of the log's requests, where it has one, as of a published split; "
        "off: cut by time anew.",
    )


@dataclasses.dataclass(frozen=True)
class TextSettings:
    """Tokens, vocabulary and word vectors."""

    tokenizer: str = setting(
        "words",
        "`words`: lower-case words, single characters in scripts without spaces; `ids`: strings "
        "between spaces, unchanged, for hashed terms; `wordpiece`: words cut into learned pieces, "
        "needs TensorFlow Text.",
        choices=("words", "ids", "wordpiece"),
    )
    text_length: int = setting(30, "Tokens kept of a text: the first ones.")
    minimum_count: int = setting(2, "Occurrences a word needs to enter the vocabulary.")
    vocabulary_limit: int = setting(200_000, "Maximum number of words in the vocabulary.")
    wordpiece_limit: int = setting(30_000, "Maximum number of pieces that `wordpiece` learns.")
    wordpiece_vocabulary: str = setting(
        "",
        "File of pieces for `wordpiece`, one a line, the first [PAD], as in BERT's uncased "
        "vocabulary; empty: learn them.",
        path=True,
    )
    oov_buckets: int = setting(
        1000,
        "Hashed buckets for words outside the vocabulary, so that a rare word matches itself.",
    )
    width: int = setting(100, "Width of the word vectors.")
    word2vec_epochs: int = setting(5, "Passes of word2vec over the texts; 0: random vectors.")


@dataclasses.dataclass(frozen=True)
class PseudoNegativeSettings:
    """Pseudo-negatives of browses whose list was not logged."""

    popularity_weight: float = setting(
        0.5, "a in a * normalised log(1 + clicks) + (1 - a) * topic cosine."
    )
    pool: int = setting(100, "Best-scored documents to draw from.")
    count: int = setting(9, "Pseudo-negatives drawn for each browse.")
    exact_documents: int = setting(
        200_000,
        "Up to this many available documents the search for the best is exact; above, an "
        "approximate index proposes them (extra `scale`).",
    )


@dataclasses.dataclass(frozen=True)
class EvalCandidateSettings:
    """Candidates of validation and test targets; training lists are always those shown."""

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
        "Documents of `sampled` are drawn uniformly, or in proportion to 1 + the number of times "
        "they were opened before the target.",
        choices=("uniform", "popularity"),
    )


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """Windows: consecutive targets of one user, the records of the TFRecord files."""

    targets_per_window: int = setting(8, "Consecutive targets of one user in a window.")


@dataclasses.dataclass(frozen=True)
class PrepareSettings:
    """Settings of `python -m data_pipeline.prepare`."""

    log: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={
            "help": "Folder of the behavior log; of several that follow each other in time, the "
            "earliest first, comma-separated.",
            "path": True,
        },
    )
    vocabulary: str = setting(
        "",
        "Earlier dataset whose vocabulary and word vectors are reused; empty: learn them.",
        path=True,
    )
    output: str = setting("", "Folder of the dataset to write; must not exist.", path=True)
    seed: int = setting(1, "Seed of every draw.")
    scenarios: tuple[str, ...] = dataclasses.field(
        default=("unified", "search", "recommendation"),
        metadata={"help": "Scenarios to write: unified, search (USER-S), recommendation (USER-R)."},
    )
    engine: str = setting(
        "duckdb",
        "Engine of relational work; the bytes of the dataset do not depend on it.",
        choices=("duckdb", "spark"),
    )
    spark_master: str = setting(
        "local",
        "Master of Spark: `local` (this machine, with `threads` and `memory_gib`) or a cluster, such "
        "as spark://host:7077; empty: the setting of spark-submit or spark-defaults.conf.",
    )
    threads: int = setting(2, "Threads of the relational engine, and worker processes of shards.")
    shards: int = setting(
        0,
        "Shards of users, worked on one by one with the memory of one; 0: by the size of the log. The "
        "bytes of the dataset do not depend on it.",
    )
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
    """Settings of the packing of windows as a Batch (`data_pipeline.batching.spec`)."""

    windows_per_batch: int = setting(16, "Windows of a training batch.")
    evaluation_windows_per_batch: int = setting(16, "Windows of an evaluation batch.")
    negatives: int = setting(
        4,
        "Negatives drawn for each group, anew each epoch (K). As many as the longest list has, or "
        "more: whole lists.",
    )
    multi_positive: bool = setting(
        False,
        "One training group a list, with all its positives; off: one a positive, as in the paper. "
        "Needs whole lists (--data.batch.negatives).",
    )
    train_share: float = setting(
        1.0, "Share of the training windows used, in (0, 1], for learning curves; drawn once."
    )
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
