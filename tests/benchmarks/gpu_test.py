"""The GPU benchmark in small on a CPU, as on a machine where TensorFlow is not installed."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import packed_batches
from benchmarks.gpu import GpuSettings, check
from tests.user_tf.random_batch import SIZES, random_batch

ROOT = pathlib.Path(__file__).parents[2]
SMALL = ["width=8", "num_heads=2", "key_dim=3", "intermediate_dim=10", "dropout=0"]


def with_more_padding(batch, rows=3):
    """The Batch with `rows` targets of weight 0 that have candidates and labels all the same."""
    longer = {}
    for name, value in batch.items():
        of_targets = len(value) == len(batch["task"])
        longer[name] = np.concatenate([value, value[:rows]]) if of_targets else value
    longer["target_weight"][-rows:] = 0
    return longer


@pytest.mark.slow
def test_training_falls_without_tensorflow_and_padding_weighs_nothing(tmp_path):
    batch = random_batch(3, behaviors=14, targets=8)
    for windows, packed in ((1, batch), (2, with_more_padding(batch))):
        folder = packed_batches.batches_folder(tmp_path, 100, windows)
        packed_batches.save(folder, [packed], dataclasses.asdict(SIZES), {"test": windows})
    # Stand-ins that leave a trace where anything tries to import them.
    for name in ("tensorflow", "tensorflow_ranking", "tensorflow_text"):
        (tmp_path / name).mkdir()
        trace = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\nraise ImportError"
        (tmp_path / name / "__init__.py").write_text(trace, encoding="utf-8")
    places = [str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(places),
    }
    flags = ["windows_per_batch=1,2", "precision=float32", "peak_tflops=0.5", "rounds=3"]
    flags += ["passes=15", *(f"model.{setting}" for setting in SMALL)]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", f"--work={tmp_path}", f"--output={tmp_path}"]
        + [f"--{flag}" for flag in flags],
        check=True,
        env={**os.environ, **environment},
    )

    assert not (tmp_path / "imported").exists()
    report = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert report["command"].startswith("python -m benchmarks.gpu --windows_per_batch=1,2")
    assert str(tmp_path) not in report["command"]
    assert report["device"]["platform"] == "cpu"
    assert {"python", "keras", "jax", "numpy"} <= set(report["versions"])
    assert report["batches_from"] == {"1": {"test": 1}, "2": {"test": 2}}
    first, padded = report["measurements"]
    groups = float(batch["target_weight"].sum())
    for entry in (first, padded):
        assert entry["groups_of_a_batch"] == groups
        assert entry["mean_loss"][-1] < 0.8 * entry["mean_loss"][0]
        rates = entry["groups_per_second"]
        assert 0 < rates["least"] <= rates["median"] <= rates["most"]
        assert len(rates["rounds"]) == 3
        speed = entry["floating_point_operations_per_second"]["median"]
        a_group = entry["floating_point_operations_of_a_group"]
        assert speed == pytest.approx(a_group * rates["median"])
        assert entry["share_of_peak"] == pytest.approx(speed / 0.5e12)
        assert entry["seconds_to_compile"] > 0 and entry["program_bytes"] > 0
        epoch = entry["paper_scale_epoch"]
        assert epoch["seconds_extrapolated"] == pytest.approx(epoch["groups"] / rates["median"])
    np.testing.assert_allclose(padded["mean_loss"][0], first["mean_loss"][0], rtol=1e-5)
    np.testing.assert_allclose(padded["mean_loss"], first["mean_loss"], rtol=1e-2)
    operations = "floating_point_operations_of_a_group"
    assert padded[operations] > first[operations]


def test_packed_batches_come_back_whole(tmp_path):
    batches = [random_batch(seed) for seed in (1, 2)]
    packed_batches.save(tmp_path / "packed", batches, dataclasses.asdict(SIZES), {"seed": 1})
    loaded, sizes, origin = packed_batches.load(tmp_path / "packed")
    assert (sizes, origin) == (dataclasses.asdict(SIZES), {"seed": 1})
    for one, other in zip(batches, loaded, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], strict=True)
    with pytest.raises(FileNotFoundError, match=r"`work` must hold packed batches.*packed_batc"):
        packed_batches.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": ("float16",)}, "`precision` .* float32, mixed_bfloat16.*'float16'"),
        ({"peak_tflops": (1.0,)}, r"`peak_tflops` .* for each --precision .*\(1.0,\)"),
        ({"passes": 0}, "`passes` must be at least 1. Got 0. Fix: set --passes."),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        check(GpuSettings(**settings))
