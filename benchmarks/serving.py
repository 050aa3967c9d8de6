"""Measure the latency of a served model, signature by signature, on one core.

    python -m benchmarks.serving
    python -m benchmarks.serving --system=user_plus

Makes the model of a flagfile with random weights (latency does not depend on their values): 20,000
words, 5,000 users, 5,000 encoded documents, titles of 5 to 20 words by Zipf's law. Calls every
signature in one process that is bound to one core and one thread, in turns over the cases, so that
other load affects all of them; a case's first calls are not counted. The model is run as TensorFlow
Serving runs it, in a session; a Python function of the model adds .2 to .8 ms a call. Writes
benchmarks/results/serving_SYSTEM.json: milliseconds by the clock (p50, p95, p99), of processor time
(median and least), requests/s; the first request after loading, with and without a warm-up; and in the
same turns the sort of an array, whose spread is the machine's own.
"""

import dataclasses
import itertools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import app, logging

from benchmarks.served_workload import Workload
from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.run_folder import write_json

CANDIDATES = (20, 200)
HISTORIES = (0, 20, 100)
BATCHES = (1, 16)
SORTED = 80_000
"""Numbers that a call of `sort` sorts."""

STAGED = ("rank_with_state", "rank_documents")


@dataclasses.dataclass(frozen=True)
class ServingSettings:
    """Settings of `python -m benchmarks.serving`."""

    system: str = setting("user", "Model: the name of a flagfile in configs/systems.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    calls: int = setting(100, "Counted calls of each case of one request; a tenth of them of 16.")
    signatures: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"help": "Signatures to measure; none: all of them."}
    )


Signature = Callable[[Mapping[str, Any]], dict[str, Any]]


def load(folder: pathlib.Path) -> dict[str, Signature]:
    """Return the signatures of a SavedModel, from arrays to arrays, run as TensorFlow Serving does."""
    import tensorflow.compat.v1 as tf

    one = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    with tf.Graph().as_default():
        session = tf.Session(config=one)
        loaded = tf.saved_model.load(session, ["serve"], os.fspath(folder)).signature_def

    def prepare(signature: Any) -> Signature:
        inputs, outputs = [*signature.inputs], [*signature.outputs]
        run = session.make_callable(
            [signature.outputs[key].name for key in outputs],
            feed_list=[signature.inputs[key].name for key in inputs],
        )
        return lambda arrays: dict(zip(outputs, run(*map(arrays.get, inputs)), strict=True))

    return {name: prepare(signature) for name, signature in loaded.items() if signature.outputs}


def feeds(workload: Workload, served: Mapping[str, Signature], case: Any) -> dict[str, Any]:
    """Return the arrays of one call of a case (signature, candidates, history, batch)."""
    from user_tf.serving.request import to_arrays
    from user_tf.serving.signatures import SIGNATURES

    name, candidates, history, batch = case
    drawn = [workload.request(candidates, history) for _ in range(batch)]
    arrays: dict[str, Any] = dict(to_arrays([request for request, _ in drawn]))
    if name == "rank_with_features":
        arrays["features"] = np.zeros([batch, candidates, 18], np.float32)
    arrays["task"] = np.array(["search"] * batch, object)
    arrays["document_ids"] = np.array([ids for _, ids in drawn], object)
    if name in STAGED:
        arrays["state"] = served["encode_user"](arrays)["state"]
    return {key: arrays[key] for key in SIGNATURES[name]}


def call(signature: Signature, arrays: Mapping[str, Any]) -> tuple[float, float]:
    """Return milliseconds of one call by the clock, and of processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    signature(arrays)
    return 1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - processor)


def summarise(case: Any, times: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return the figures of a case.

    Example:
        >>> found = summarise(("rank", 20, 0, 16), [(2.0, 1.0), (4.0, 3.0)])
        >>> found["p50_ms"], found["processor_ms"]["least"], round(found["requests_per_second"])
        (3.0, 1.0, 5333)
    """
    name, candidates, history, batch = case
    clock, processor = zip(*times, strict=True)
    percentiles = np.percentile(clock, [50, 95, 99]).tolist()
    return {
        "signature": name,
        "candidates": candidates,
        "history": history,
        "batch": batch,
        "calls": len(clock),
        **dict(zip(("p50_ms", "p95_ms", "p99_ms"), percentiles, strict=True)),
        "processor_ms": {"median": float(np.median(processor)), "least": min(processor)},
        "requests_per_second": batch * len(clock) / sum(clock) * 1e3,
    }


def sort(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Sort numbers, which is work without TensorFlow."""
    return {"sorted": np.sort(arrays["numbers"], kind="stable")}


def measure(workload: Workload, names: Sequence[str], calls: int) -> list[dict[str, Any]]:
    """Return the figures of all cases, `sort` among them."""
    served = load(workload.model) | {"sort": sort}
    numbers = {"numbers": np.random.default_rng(1).random(SORTED)}
    rows = []
    for batch in BATCHES:
        cases = [
            (name, candidates, history, batch)
            for name, candidates, history in itertools.product(names, CANDIDATES, HISTORIES)
            if name != "encode_user" or candidates == CANDIDATES[0]
        ]
        number = max(5, calls // (1 if batch == 1 else 10))
        inputs = {case: [feeds(workload, served, case) for _ in range(3)] for case in cases}
        if batch == 1:
            cases.append(("sort", 0, 0, 1))
            inputs[cases[-1]] = [numbers] * 3
        times: dict[Any, list[tuple[float, float]]] = {case: [] for case in cases}
        for turn in range(number + 3):
            for case in cases:
                found = call(served[case[0]], inputs[case][turn % 3])
                if turn >= 3:
                    times[case].append(found)
        for case in cases:
            rows.append(summarise(case, times[case]))
            row = rows[-1]
            print(
                f"{case[0]:20} {case[1]:4} candidates {case[2]:4} behaviors {batch:3} requests: "
                f"p50 {row['p50_ms']:7.1f}  p99 {row['p99_ms']:7.1f}  processor "
                f"{row['processor_ms']['median']:7.1f} ms",
                flush=True,
            )
    return rows


def first_requests(workload: Workload, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return milliseconds of the first request of each signature, without and with a warm-up.

    The warm-up is one smaller request of each signature.
    """
    found: dict[str, dict[str, Any]] = {name: {"signature": name} for name in names}
    for warm in (False, True):
        served, other = load(workload.model), load(workload.model)
        for name in names:
            small, large = (
                feeds(workload, other, (name, *sizes, 1)) for sizes in ((3, 5), (20, 20))
            )
            if warm:
                call(served[name], small)
            kind = "after_warm_up_ms" if warm else "cold_ms"
            found[name][kind] = call(served[name], large)[0]
    return list(found.values())


def main(arguments: list[str]) -> None:
    """Measure and write the JSON."""
    del arguments
    settings = flagtree.read(ServingSettings)
    # TensorFlow's saver reports every captured input at the level INFO.
    logging.set_verbosity(logging.WARNING)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import tensorflow as tf

    from user_tf.evaluation import metrics_table

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    others = [os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(pathlib.Path(folder), settings.system, max(CANDIDATES))
        names = settings.signatures or workload.names
        size = sum(file.stat().st_size for file in workload.model.rglob("*") if file.is_file())
        first = first_requests(workload, names)
        rows = measure(workload, names, settings.calls)
    others.append(os.getloadavg())
    command = f"python -m benchmarks.serving --system={settings.system} --calls={settings.calls}"
    content = {
        **metrics_table.provenance(command, 1),
        "load_average_before_and_after": others,
        "model_bytes": size,
        "first_request": first,
        "cases": rows,
    }
    path = pathlib.Path(settings.output) / f"serving_{settings.system}.json"
    write_json(path, content)
    print(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(ServingSettings)
    app.run(main)
