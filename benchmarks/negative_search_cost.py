"""Measure the search for pseudo-negatives by the number of documents: seconds and recall.

    python -m benchmarks.negative_search_cost

Documents of random topics with Zipf-distributed openings; the best 100 of each target are searched
exactly and by the approximate index. Writes benchmarks/results/negative_search_cost.json with the recall of the index: the
share of the exact best 100 that it finds.
"""

import dataclasses
import itertools
import pathlib
import shlex
import sys
import time

import numpy as np
from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import PseudoNegativeSettings
from data_pipeline.targets.pseudo_negatives import BrowseTargets, Documents, draw_negatives
from data_pipeline.text.word_vectors import unit

TOPICS, SPREAD, ZIPF, LAST = 500, 0.7, 1.2, 10_000_000


@dataclasses.dataclass(frozen=True)
class NegativesBenchmark:
    """Settings of `python -m benchmarks.negative_search_cost`."""

    output: str = setting("benchmarks/results", "Folder of the JSON.")
    documents: tuple[str, ...] = dataclasses.field(
        default=("20000", "100000", "400000"), metadata={"help": "Numbers of documents."}
    )
    weights: tuple[str, ...] = dataclasses.field(
        default=("0.5", "0.1"), metadata={"help": "Weights of the popularity in the score."}
    )
    targets: tuple[str, ...] = dataclasses.field(
        default=("500", "5000"), metadata={"help": "Numbers of targets."}
    )
    width: int = setting(64, "Width of the title vectors.")
    seeds: tuple[str, ...] = dataclasses.field(
        default=("1", "2", "3"), metadata={"help": "Seeds of the documents, targets and centers."}
    )


def example(count: int, targets: int, width: int, seed: int) -> tuple[BrowseTargets, Documents]:
    """Documents that become available over time, their openings, and targets late in that time."""
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((TOPICS, width))
    noise = SPREAD * rng.standard_normal((count, width))
    vectors = unit(topics[rng.integers(0, TOPICS, count)] + noise)
    available = np.append(NEVER, rng.integers(0, LAST // 2, count - 1))
    opened = 1 + (rng.zipf(ZIPF, 4 * count) - 1) % (count - 1)
    known = np.maximum(rng.integers(0, LAST, 4 * count), available[opened]) + 1
    asked = BrowseTargets(
        target_id=np.arange(targets),
        user=np.ones(targets, np.int64),
        time=np.sort(rng.integers(LAST * 9 // 10, LAST, targets)),
        positive=rng.integers(1, count, targets),
    )
    return asked, Documents(available, vectors, opened, known)


def measure(count: int, asking: int, weight: float, width: int, seed: int) -> dict[str, float]:
    """Seconds of both searches and the recall of the index, for one draw of the documents."""
    targets, documents = example(count, asking, width, seed)
    nobody = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    found, seconds = [], []
    for exact in (count, count // 4):
        # All of the pool is drawn, so that a row of draws is the pool.
        search = PseudoNegativeSettings(weight, pool=100, count=100, exact_documents=exact)
        began = time.perf_counter()
        found.append(draw_negatives(targets, documents, nobody, search, seed))
        seconds.append(time.perf_counter() - began)
    shared = [len(np.intersect1d(*rows)) / 100 for rows in zip(*found, strict=True)]
    return {"recall": float(np.mean(shared)), "exact": seconds[0], "index": seconds[1]}


def main(arguments: list[str]) -> None:
    """Measures all sizes and writes the JSON."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    from user_tf.evaluation import metrics_table
    from user_tf.run_folder import write_json

    settings = flagtree.read(NegativesBenchmark)
    sizes = []
    cases = itertools.product(settings.documents, settings.targets, settings.weights)
    for count, asking, weight in ((int(n), int(m), float(share)) for n, m, share in cases):
        runs = [
            measure(count, asking, weight, settings.width, int(seed)) for seed in settings.seeds
        ]
        size: dict[str, float] = {
            "documents": count,
            "targets": asking,
            "popularity_weight": weight,
        }
        for name in runs[0]:
            values = [run[name] for run in runs]
            size[name], size[f"{name}_std"] = float(np.mean(values)), float(np.std(values, ddof=1))
        print(size, flush=True)
        sizes.append(size)
    command = ("python -m benchmarks.negative_search_cost " + shlex.join(sys.argv[1:])).strip()
    provenance = metrics_table.provenance(command, 0)
    del provenance["seed"]
    content = {"seeds": list(settings.seeds), "sizes": sizes}
    write_json(
        pathlib.Path(settings.output) / "negative_search_cost.json", {**provenance, **content}
    )


if __name__ == "__main__":
    flagtree.define(NegativesBenchmark)
    app.run(main)
