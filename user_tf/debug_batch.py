"""Name the layer in which a diverged training first had a number that is not finite.

    python -m user_tf.debug_batch --run=RUN

A training that meets such a loss keeps the batch in RUN/<phase>/not_finite.npz. The command trains
from the last checkpoint to the step before it, in a copy of the folder, then does that step layer by
layer. One device, under TensorFlow: after a training under JAX dropout differs, so that the cause may
not come again.
"""

import dataclasses
import pathlib
import shutil
import tempfile

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class DebugSettings:
    """Settings of `python -m user_tf.debug_batch`; the others are saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.", path=True)
    dataset: str = setting("", "The dataset of the run, if it was moved.", path=True)


def find_cause(run: str, dataset: str = "") -> tuple[str, int, str]:
    """Return phase and step of the batch that a run kept, and a sentence about its cause.

    Args:
        run: Folder of the run.
        dataset: Its dataset, if it was moved. Default: as recorded.

    Raises:
        FileNotFoundError: The run kept no batch.
    """
    import numpy as np
    import tensorflow as tf

    from data_pipeline.dataset.dataset_folder import open_dataset
    from user_tf import run_folder
    from user_tf.config import Config
    from user_tf.training import divergence, phases, process
    from user_tf.training.loop import replay
    from user_tf.training.steps.new_replicas import make_replicas
    from user_tf.training.trainer import Trainer

    folder = pathlib.Path(run)
    config = Config.load(folder)
    kept = [name for name in config.train.phases if (folder / name / divergence.BATCH).exists()]
    if not kept:
        raise FileNotFoundError(
            f"`run` must have a batch whose loss was not finite. Got {run!r}, which has no "
            f"<phase>/{divergence.BATCH}. Fix: none is needed; its training did not diverge."
        )
    phase = phases.plan(config, kept[0])
    with np.load(folder / phase.name / divergence.BATCH) as arrays:
        batch = {name: tf.constant(arrays[name]) for name in arrays.files}
    step = int(batch.pop("step"))
    data = open_dataset(run_folder.find_dataset(folder, dataset))
    runtime = dataclasses.replace(config.runtime, backend="tensorflow")
    process.prepare(runtime)
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "run"
        shutil.copytree(folder, copy)
        settings = dataclasses.replace(config, run=str(copy))
        trainer = Trainer(settings, data, make_replicas(runtime))
        model = replay(settings, phase, data, trainer, step - 1)
    finding = divergence.find_first(model, batch, (config.runtime.seed, phase.number), step)
    return phase.name, step, str(finding)


def main(arguments: list[str]) -> None:
    """Print phase, step and the first layer with a number that is not finite."""
    settings = flagtree.read(DebugSettings)
    phase, step, sentence = find_cause(settings.run, settings.dataset)
    print(f"{phase}, step {step}: {sentence}")


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(DebugSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
