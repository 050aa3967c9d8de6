"""Tests of the training command on a tiny dataset."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from absl import flags as absl_flags

from data_pipeline.common import flagtree
from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.api.fit import train_run
from user_tf.config import Config
from user_tf.debug_batch import find_cause
from user_tf.training.divergence import NonFiniteLossError
from user_tf.training.phase_training import PhaseTraining

ROOT = pathlib.Path(__file__).parents[2]
# The graph is small without the encoders, which these tests do not depend on.
SMALL = [
    *tiny_dataset.SMALL_MODEL,
    "--model.dropout=0.3",
    "--nomodel.session_encoder",
    "--nomodel.history_encoder",
    "--data.batch.windows_per_batch=2",
    "--data.batch.negatives=3",
    "--train.evaluations_per_epoch=2",
    "--train.patience=9",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("data") / "dataset").path


def call(*flags, check=True, module="user_tf.train"):
    ran = subprocess.run(
        [sys.executable, "-m", module, *map(str, flags)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    if check:
        assert ran.returncode == 0, ran.stderr[-3000:]
    return ran


def train_here(*flags):
    """Train in this process as `main` does after parsing flags, to save the import of TensorFlow."""
    values = absl_flags.FlagValues()
    flagtree.define(Config, values=values)
    values(["train", *map(str, flags)])
    train_run(flagtree.read(Config, values=values))


def checkpoint(run, phase):
    with np.load(run / phase / "checkpoints" / "latest.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    """Train all phases without interruption; return folder, flags and output."""
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    flags = [*SMALL, "--train.pretrain_epochs=2", "--train.finetune_epochs=1"]
    flags += [f"--data.dataset={dataset}", f"--run={run}"]
    return run, flags, call(*flags)


def test_all_phases_leave_weights_metrics_and_results(uninterrupted):
    run, _, ran = uninterrupted
    for phase, steps in (("pretrain", 12), ("search", 6), ("recommendation", 6)):
        done = json.loads((run / phase / "done.json").read_text())
        lines = [json.loads(line) for line in (run / phase / "metrics.jsonl").open()]
        assert done["steps"] == steps == lines[-1]["step"]
        # Fine-tuning first evaluates the weights it starts from.
        first = 3 if phase == "pretrain" else 0
        assert [line["step"] for line in lines] == list(range(first, steps + 1, 3))
        assert done["best_map"] == max(line["validation"]["map"] for line in lines)
        assert done["groups"] == steps * (8 if phase == "pretrain" else 4)
        assert list((run / "tensorboard" / phase).iterdir())
        model, config, _ = run_folder.load_model(run, phase)
        assert (model.config.width, config.train.pretrain_epochs) == (8, 2)
    assert "from the best weights of pretrain" in ran.stderr
    assert "groups/s" in ran.stderr


def test_killed_run_resumes_to_bit_equal_weights(uninterrupted, tmp_path):
    run, flags, _ = uninterrupted
    again = tmp_path / "run"
    flags = [*flags, f"--run={again}"]
    # Killed in the middle of an epoch. The last checkpoint is that of the evaluation after step 3,
    # so that steps 4 and 5 are done again.
    train_here(*flags, "--train.stop_after_steps=5")
    assert json.loads(str(checkpoint(again, "pretrain")["position"]))["step"] == 3
    train_here(*flags, "--train.stop_after_steps=9")
    assert (again / "pretrain" / "done.json").exists() and not (again / "search").exists()
    expected, got = checkpoint(run, "pretrain"), checkpoint(again, "pretrain")
    assert len(expected) == len(got) > 20
    for name in expected.keys() - {"position"}:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)
    first, second = (
        [json.loads(line)["validation"] for line in (folder / "pretrain" / "metrics.jsonl").open()]
        for folder in (run, again)
    )
    assert first == second and len(first) == 4


def test_sigterm_saves_the_step_under_way_and_the_run_resumes_to_the_same_weights(
    uninterrupted, tmp_path, monkeypatch
):
    run, flags, _ = uninterrupted
    flags = [*flags, f"--run={tmp_path}/run", "--train.phases=pretrain"]
    do_step = PhaseTraining.do_step

    def ask_at_step_5(training, batches):
        do_step(training, batches)
        if training.steps_done == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(PhaseTraining, "do_step", ask_at_step_5)
        train_here(*flags)
    assert ended.value.code == 143
    stopped = checkpoint(tmp_path / "run", "pretrain")
    assert json.loads(str(stopped["position"]))["step"] == 5
    train_here(*flags)
    expected, got = checkpoint(run, "pretrain"), checkpoint(tmp_path / "run", "pretrain")
    for name in expected.keys() - {"position"}:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_a_corrupt_window_file_is_named(tmp_path):
    data = tiny_dataset.write(tmp_path / "dataset")
    [file] = map(pathlib.Path, data.window_files("unified", "train"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"{file.name}, which is corrupt[.] Fix: copy the dataset"
    ):
        train_here(*SMALL, f"--data.dataset={data.path}", f"--run={tmp_path}/run")


def test_a_finished_run_does_nothing_more(uninterrupted, capsys):
    _, flags, _ = uninterrupted
    train_here(*flags)
    assert capsys.readouterr().out.count("done before") == 3


def test_a_warm_start_begins_where_the_earlier_run_ended(uninterrupted, dataset, tmp_path, capsys):
    run, _, _ = uninterrupted
    train_here(
        *SMALL,
        "--train.phases=pretrain",
        f"--train.warm_start={run}",
        "--train.pretrain_epochs=1",
        f"--data.dataset={dataset}",
        f"--run={tmp_path / 'warm'}",
    )
    assert "pretrain: from pretrain of" in capsys.readouterr().err
    lines = (tmp_path / "warm" / "pretrain" / "metrics.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    best = json.loads((run / "pretrain" / "done.json").read_text())["best_map"]
    assert first["step"] == 0
    assert first["validation"]["map"] == pytest.approx(best, abs=1e-9)


def test_other_settings_for_the_same_run_are_named(uninterrupted):
    _, flags, _ = uninterrupted
    message = r"`model.dropout` must be 0.3, the value of the run in .*[.] Got 0.2. Fix: set --"
    with pytest.raises(ValueError, match=message):
        train_here(*flags, "--model.dropout=0.2")


def test_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_checkpoint(dataset, tmp_path):
    run = tmp_path / "run"
    flags = [*SMALL, "--train.phases=search", "--train.learning_rate=1e36"]
    flags += ["--train.checkpoint_minutes=0", f"--data.dataset={dataset}", f"--run={run}"]
    with pytest.raises(NonFiniteLossError, match=r"at step \d+ of search") as error:
        train_here(*flags)
    step = int(str(error.value).split("at step ")[1].split()[0])
    kept = checkpoint(run, "search")
    assert json.loads(str(kept.pop("position")))["step"] == step - 1
    assert not (run / "search" / "done.json").exists()
    # Weights of 1e36 are finite; what they are multiplied to is not.
    phase, at, sentence = find_cause(str(run))
    assert (phase, at) == ("search", step)
    assert "is in the output of " in sentence and "text_encoder" in sentence


@pytest.mark.slow
def test_two_logical_cpus_train_what_one_device_does(dataset, tmp_path):
    flags = [*SMALL, "--train.phases=recommendation", "--train.pretrain_epochs=1"]
    flags += ["--train.finetune_epochs=0"]
    flags += ["--model.dropout=0", "--runtime.precision=float64", f"--data.dataset={dataset}"]
    # 12 windows: 2 steps of 8 on one device; on two of 4 each the last step has a blank batch.
    call(*flags, f"--run={tmp_path}/one", "--data.batch.windows_per_batch=8")
    call(
        *flags,
        f"--run={tmp_path}/two",
        "--data.batch.windows_per_batch=4",
        "--runtime.strategy=mirrored",
        "--runtime.logical_cpus=2",
    )
    one = checkpoint(tmp_path / "one", "recommendation")
    two = checkpoint(tmp_path / "two", "recommendation")
    assert one.keys() == two.keys()
    for name in one.keys() - {"position"}:
        if one[name].dtype == np.float64:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model.widht=8"], "Unknown command line flag 'model.widht'"),
        (["--train.phases=search,pretrain"], "pretrain first"),
        (["--data.scenario=search"], "Fix: set --train.phases=search"),
        (["--runtime.precision=mixed_float16"], "runtime.precision"),
        (["--data.dataset=nowhere"], "which has no manifest.json"),
        (["stray"], "`arguments` must be flags"),
    ],
)
def test_wrong_flags_fail_before_any_work(flags, message, tmp_path):
    run = tmp_path / "run"
    ran = call("--data.dataset=d", f"--run={run}", *flags, check=False)
    assert ran.returncode and message in ran.stderr
    assert "tensorflow" not in ran.stderr.lower().replace("user_tf", "").split(message.lower())[0]
    assert not run.exists()


@pytest.mark.parametrize("name", ["quickstart", "user", "trivago"])
def test_flag_files_are_valid(name):
    ran = call(
        f"--flagfile=configs/train/{name}.flags", "--run=r", "--data.dataset=none", check=False
    )
    assert "which has no manifest.json" in ran.stderr


def test_help_lists_the_essential_settings_and_helpfull_all_of_them_before_those_of_absl():
    essential = call("--help", check=False).stdout
    assert "--run: " in essential and "--train.pretrain_epochs: " in essential
    assert "--model.num_heads: " not in essential and "--log_dir: " not in essential
    assert len(essential.splitlines()) < 60
    full = call("--helpfull", check=False).stdout
    places = [
        full.index(text)
        for text in (
            "--run: ",
            "Settings of data:",
            "Settings of model:",
            "--model.num_heads: ",
            "Settings of runtime:",
            "Settings of train:",
            "absl.app:",
        )
    ]
    assert places == sorted(places)
