"""Reports of a phase: on the screen, in metrics.jsonl and to TensorBoard."""

import json
import operator
import pathlib

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from data_pipeline.common import flagtree
from user_tf.config import Config
from user_tf.run_folder import METRICS
from user_tf.training.records.checkpoints import Position
from user_tf.training.records.progress import Progress, memory_gib


class Journal:
    """Report steps and evaluations of a phase.

    Args:
        folder: Folder of the phase.
        summaries: Folder of its TensorBoard summaries; None: write none.
        position: Position of the phase.
        resumed: Whether it is that of a checkpoint. Evaluations that come again are dropped from
            metrics.jsonl: those after the checkpoint, or all.
        steps: Steps of the complete phase.
        chief: Write metrics.jsonl. Only one process of a cluster may.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        summaries: pathlib.Path | None,
        position: Position,
        resumed: bool,
        steps: int,
        chief: bool,
    ) -> None:
        self._metrics = folder / METRICS if chief else None
        if self._metrics is not None:
            drop_metrics_after(self._metrics, position.step if resumed else -1)
        self._summaries = (
            tf.summary.create_noop_writer()
            if summaries is None
            else tf.summary.create_file_writer(str(summaries))
        )
        self.progress = Progress(position.phase, steps, position.step)

    def add_settings(self, config: Config) -> None:
        """Write the settings of the run for TensorBoard's page of hyper-parameters."""
        plain = {}
        for name, _, _ in flagtree.leaves(Config):
            value = operator.attrgetter(name)(config)
            plain[name] = value if isinstance(value, (bool, int, float)) else str(value)
        with self._summaries.as_default(step=0):
            hparams.hparams(plain)

    def add_losses(self, step: int, loss: float, gradient_norm: float) -> None:
        """Write the loss and the gradient norm of a step to TensorBoard."""
        with self._summaries.as_default(step=step):
            tf.summary.scalar("train/loss", loss)
            tf.summary.scalar("train/gradient_norm", gradient_norm)

    def add_evaluation(self, position: Position, values: dict[str, float], best: bool) -> None:
        """Write the result of an evaluation.

        Args:
            position: Position of the phase at the evaluation.
            values: Validation MAP by task, and their mean as `map`.
            best: Whether the mean is the best so far.
        """
        maps = ", ".join(f"{task} {value:.4f}" for task, value in values.items())
        self.progress.say(
            f"{position.phase}: step {position.step}, validation {maps}{' (best)' if best else ''}"
        )
        rate, input_share = self.progress.groups_per_second, self.progress.input_share
        with self._summaries.as_default(step=position.step):
            for task, value in values.items():
                tf.summary.scalar(f"validation/{task}", value)
            tf.summary.scalar("speed/groups_per_second", rate)
            tf.summary.scalar("speed/input_share", input_share)
            tf.summary.scalar("speed/memory_gib", memory_gib())
        self._summaries.flush()
        if self._metrics is not None:
            line = {
                "step": position.step,
                "epoch": position.epoch,
                "groups": position.groups,
                "seconds": position.seconds,
                "groups_per_second": rate,
                "input_share": input_share,
                "validation": values,
                "best": best,
            }
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """End the progress bar and the summaries."""
        self.progress.close()
        self._summaries.close()


def drop_metrics_after(path: pathlib.Path, step: int) -> None:
    """Drop the lines of evaluations after `step`, which a resumed run makes again."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        path.write_text("".join(kept), encoding="utf-8")
