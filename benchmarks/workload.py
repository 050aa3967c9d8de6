"""The reference workload of speed measurements, and the summary of repeated ones.

Simulated users come back 150 times.

Windows are full (nearly all of 32 targets), histories of 10, 30 or 100 behaviors are full, titles
have 5 to 20 tokens, documents are popular by Zipf's law.
"""

import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from user_tf.experiments.commands import call

HISTORIES = {10: 2, 30: 6, 100: 20}
"""Past behaviors to the past sessions of 5 that hold them."""

LOG = (
    "data_pipeline.simulate --users=60 --session.sessions=150 --session.days=365 "
    "--world.title_mean=10"
)
PREPARE = "data_pipeline.prepare --scenarios=unified --text.word2vec_epochs=0"


def dataset(work: pathlib.Path, history: int, targets: int = 32) -> pathlib.Path:
    """Return the workload's dataset with histories of `history` behaviors, made if missing.

    Args:
        work: Folder of the log and the datasets; existing ones are kept.
        history: 10, 30 or 100.
        targets: Targets of a window.
    """
    log, folder = work / "log", work / f"history-{history}-targets-{targets}"
    if not log.exists():
        call(f"{LOG} --output={log}", work / "log.txt", [0])
    if not folder.exists():
        call(
            f"{PREPARE} --log={log} --output={folder} "
            f"--sequence.past_sessions={HISTORIES[history]} --windows.targets_per_window={targets}",
            folder.with_suffix(".txt"),
            [0],
        )
    return folder


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return median, least and most with all values.

    Example:
        >>> summary([3.0, 1.0, 2.0])
        {'median': 2.0, 'least': 1.0, 'most': 3.0, 'rounds': [3.0, 1.0, 2.0]}
    """
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "rounds": list(values),
    }
