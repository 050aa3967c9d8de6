"""Measure groups/s of training USER at the paper's widths on the device of JAX: GPU, TPU, CPU.

    python -m benchmarks.gpu --work=work/gpu --backend=jax

Batches are packed beforehand (`benchmarks.packed_batches`, by this command itself where they are
missing) and lie on the device: input is no part of the rates. Training needs Keras, Keras Hub, JAX
and NumPy; TensorFlow is not imported, so that a folder packed on one machine can be trained on at
another. A round is many steps, enqueued one after the other; the host waits at its end only. Where
the only device is a CPU the same runs there, and the device's name says so; `--padded_sizes=1
--windows_per_batch=8 --passes=1 --rounds=2` keeps it short. Writes benchmarks/results/gpu.json.
"""

import collections
import dataclasses
import json
import math
import os
import pathlib
import shlex
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import packed_batches
from benchmarks.jax_trainer import JaxTrainer, batch_shapes
from benchmarks.workload import summary
from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from user_tf.config import ModelConfig, TrainConfig
from user_tf.evaluation.provenance import provenance as describe_machine
from user_tf.experiments.commands import call
from user_tf.run_folder import write_json

PRECISIONS = ("float32", "mixed_bfloat16")
PAPER_SCALE = 1_000_000  # groups of an epoch


@dataclasses.dataclass(frozen=True)
class GpuSettings:
    """Settings of `python -m benchmarks.gpu`."""

    work: str = setting("work/gpu", "Folder of the packed batches.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    backend: str = setting("jax", "Keras back end.", choices=("jax",))
    history: int = setting(100, "Past behaviors of a target: 10, 30 or 100.")
    windows_per_batch: tuple[int, ...] = dataclasses.field(
        default=(8, 32, 128), metadata={"help": "Windows of a batch, one measurement each."}
    )
    precision: tuple[str, ...] = dataclasses.field(
        default=PRECISIONS,
        metadata={"help": "Keras dtype policies, one measurement each: float32, mixed_bfloat16."},
    )
    rounds: int = setting(5, "Timed rounds; more for steadier medians.")
    passes: int = setting(8, "Passes over the packed batches in a round.")
    padded_sizes: int = setting(
        0, "Train on batches of that many of the commonest padded sizes only; 0: on all batches."
    )
    peak_tflops: tuple[float, ...] = dataclasses.field(
        default=(),
        metadata={"help": "The device's peak for each --precision, in 1e12 operations/s."},
    )
    profile: str = setting("", "Folder of traces by jax.profiler, one a measurement; empty: none.")
    seed: int = setting(1, "Seed of initial weights and dropout.")
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)


_PACKAGES = ("keras", "keras-hub", "jax", "jaxlib", "numpy")
_PLACES = ("work", "output", "profile")
_NOTES = {
    "rates": "Batches lie on the device: reading, packing and uploading them is no part of it.",
    "floating_point_operations": "Matrix products of forward and backward pass, counted from the "
    "shapes of the traced program, padding included; element-wise work, gathers and Adam are not.",
    "share_of_peak": "Of --peak_tflops, which is not checked; null without it.",
    "device_memory": "The device's own counters, peaks since the process began; null without any.",
    "program_bytes": "The compiler's account of the largest step: arguments, results, temporaries.",
    "seconds_to_compile": "Tracing, lowering and compiling of all padded sizes.",
    "seconds_extrapolated": "1,000,000 groups at the median rate; no such epoch was run.",
}


def check(settings: GpuSettings) -> None:
    """Refuse impossible settings before any work starts.

    Raises:
        ValueError: The error names the setting, the rule, the value and the fix.

    Example:
        >>> check(GpuSettings(rounds=0))
        Traceback (most recent call last):
        ValueError: `rounds` must be at least 1. Got 0. Fix: set --rounds.
    """
    peaks = settings.peak_tflops
    rules = [
        ("rounds", "at least 1", settings.rounds >= 1),
        ("passes", "at least 1", settings.passes >= 1),
        ("padded_sizes", "at least 0", settings.padded_sizes >= 0),
        ("windows_per_batch", "one number or more", len(settings.windows_per_batch) > 0),
        (
            "precision",
            f"one or more of {', '.join(PRECISIONS)}",
            set(settings.precision) <= set(PRECISIONS) and len(settings.precision) > 0,
        ),
        (
            "peak_tflops",
            f"a number above 0 for each --precision ({', '.join(settings.precision)}), or none",
            len(peaks) in (0, len(settings.precision)) and all(peak > 0 for peak in peaks),
        ),
    ]
    for name, rule, holds in rules:
        if not holds:
            value = getattr(settings, name)
            raise ValueError(f"`{name}` must be {rule}. Got {value!r}. Fix: set --{name}.")


def keep_commonest_sizes(
    batches: Sequence[packed_batches.Arrays], count: int
) -> Sequence[packed_batches.Arrays]:
    """Return the batches of the `count` commonest padded sizes, in order; all for 0.

    Example:
        >>> import numpy as np
        >>> batches = [{"task": np.zeros(size)} for size in (7, 5, 9, 5)]
        >>> [len(batch["task"]) for batch in keep_commonest_sizes(batches, 1)]
        [5, 5]
    """
    common = collections.Counter(map(batch_shapes, batches)).most_common(count or None)
    kept = {shapes for shapes, _ in common}
    return [batch for batch in batches if batch_shapes(batch) in kept]


def measure(
    settings: GpuSettings, windows: int, precision: str, peak_tflops: float | None
) -> dict[str, Any]:
    """Train on the batches of `windows` windows; return one entry of the JSON."""
    import keras

    from user_tf.models.ranker import Sizes
    from user_tf.registry import build_ranker

    folder = packed_batches.batches_folder(pathlib.Path(settings.work), settings.history, windows)
    packed, sizes, _ = packed_batches.load(folder)
    batches = keep_commonest_sizes(packed, settings.padded_sizes)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(settings.seed)
    model = build_ranker(settings.model, Sizes(**sizes))
    optimizer = keras.optimizers.Adam(TrainConfig.learning_rate)
    optimizer.build(model.trainable_variables)
    trainer = JaxTrainer(model, optimizer, batches, TrainConfig.clip_norm)
    losses = [trainer.train(1)]
    seconds = []
    for _ in range(settings.rounds):
        started = time.perf_counter()
        losses.append(trainer.train(settings.passes))
        seconds.append(time.perf_counter() - started)
    groups = sum(int(batch["target_weight"].sum()) for batch in batches)
    rates = summary([settings.passes * groups / s for s in seconds])
    speed = summary([settings.passes * trainer.operations / s for s in seconds])
    extrapolated = PAPER_SCALE / rates["median"]
    entry = {
        "windows_per_batch": windows,
        "precision": precision,
        "batches_packed": len(packed),
        "batches": len(batches),
        "padded_sizes": len({batch_shapes(batch) for batch in batches}),
        "groups_of_a_batch": groups / len(batches),
        "padded_rows_of_a_batch": {
            table: statistics.fmean(len(batch[field]) for batch in batches)
            for table, field in (
                ("texts", "text_tokens"),
                ("behaviors", "behavior_type"),
                ("sessions", "session_behaviors"),
                ("targets", "target_id"),
            )
        },
        "weights": sum(math.prod(weight.shape) for weight in model.trainable_variables),
        "steps_of_a_round": settings.passes * len(batches),
        "groups_per_second": rates,
        "floating_point_operations_per_second": speed,
        "floating_point_operations_of_a_group": trainer.operations / groups,
        "peak_tflops": peak_tflops,
        "share_of_peak": speed["median"] / (peak_tflops * 1e12) if peak_tflops else None,
        "seconds_to_compile": trainer.compile_seconds,
        "program_bytes": trainer.program_bytes,
        "device_memory": trainer.memory(),
        "paper_scale_epoch": {"groups": PAPER_SCALE, "seconds_extrapolated": extrapolated},
        "mean_loss": [statistics.fmean(part) for part in losses],
    }
    if settings.profile:
        trainer.profile(pathlib.Path(settings.profile) / f"windows-{windows}-{precision}")
    return entry


def origins(settings: GpuSettings) -> dict[str, Any]:
    """Return the origin of the batches of each size; pack missing ones in a process of their own.

    Raises:
        RuntimeError: Packing failed, as it does where TensorFlow is not installed.
    """
    work, found = pathlib.Path(settings.work), {}
    for windows in settings.windows_per_batch:
        manifest = packed_batches.batches_folder(work, settings.history, windows) / "manifest.json"
        if not manifest.exists():
            call(
                f"benchmarks.packed_batches --work={shlex.quote(settings.work)} "
                f"--history={settings.history} --windows_per_batch={windows}",
                work / "packed.txt",
                sorted(os.sched_getaffinity(0)),
            )
        found[str(windows)] = json.loads(manifest.read_text(encoding="utf-8"))["origin"]
    return found


def provenance(settings: GpuSettings) -> dict[str, Any]:
    """Return command, date, machine, device and versions (without PyArrow)."""
    import jax

    command = "python -m benchmarks.gpu"
    plain, usual = flagtree.to_dict(settings), flagtree.to_dict(GpuSettings())
    for tree in (plain, usual):
        tree |= {f"model.{name}": value for name, value in tree.pop("model").items()}
    for name, value in plain.items():
        if value != usual[name] and name not in _PLACES:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            command += f" --{name}={shlex.quote(text)}"
    device = jax.devices()[0]
    products = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return {
        "command": command,
        **describe_machine(_PACKAGES),
        "device": {"platform": device.platform, "name": device.device_kind},
        "float32_products": products or "the device's default",
    }


def main(arguments: list[str]) -> None:
    """Measure every size of batch in every precision and write the JSON."""
    del arguments
    settings = flagtree.read(GpuSettings)
    check(settings)
    batches_from = origins(settings)
    os.environ["KERAS_BACKEND"] = settings.backend
    # Keras Hub imports TensorFlow where it finds it; this process is as where it does not.
    for name in ("tensorflow", "tensorflow_text"):
        sys.modules[name] = None  # type: ignore[assignment]
    origin = provenance(settings)
    peaks = settings.peak_tflops or [None] * len(settings.precision)
    measurements = []
    for windows in settings.windows_per_batch:
        for precision, peak in zip(settings.precision, peaks, strict=True):
            entry = measure(settings, windows, precision, peak)
            measurements.append(entry)
            rate = entry["groups_per_second"]["median"]
            print(f"{windows} windows a batch, {precision}: {rate:,.1f} groups/s", flush=True)
    content = {
        "question": "How fast does USER train on this device, and how much of it is used?",
        "notes": _NOTES,
        **origin,
        "seed": settings.seed,
        "model": flagtree.to_dict(settings.model),
        "batches_from": batches_from,
        "measurements": measurements,
    }
    write_json(pathlib.Path(settings.output) / "gpu.json", content)


if __name__ == "__main__":
    flagtree.define(GpuSettings)
    command_line.run(main)
