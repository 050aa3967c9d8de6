"""A phase under way: its model, optimizer, input and position."""

import functools
import pathlib
import signal
import time
from typing import Any

from data_pipeline.common import remote_folders
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf import run_folder
from user_tf.config import Config
from user_tf.training import phases
from user_tf.training.divergence import check_finite
from user_tf.training.feeding import replica_batches, steps_per_epoch, windows_per_step
from user_tf.training.records import checkpoints
from user_tf.training.records.journal import Journal
from user_tf.training.records.projector import write_projector
from user_tf.training.steps.replicas import of_chief
from user_tf.training.stopping import StopRequest
from user_tf.training.trainer import Trainer
from user_tf.training.validation import make_validation
from user_tf.training.warm_start import start_from

# Losses are read in blocks, so that an accelerator need not wait for the host at every step.
_STEPS_A_READ = 10


class PhaseTraining:
    """A phase under way: its model, optimizer, input and position.

    Attributes:
        model: The ranker in training.
        journal: Reports of the phase.
        steps_done: Steps done by this call.
    """

    def __init__(
        self,
        config: Config,
        phase: phases.Phase,
        dataset: Dataset,
        trainer: Trainer,
    ) -> None:
        self._config, self._phase, self._dataset = config, phase, dataset
        self._trainer = trainer
        self._replicas = replicas = trainer.replicas
        self._folder = pathlib.Path(config.run, phase.name)
        self._folder.mkdir(parents=True, exist_ok=True)
        trainer.start(phase)
        self.model = trainer.model
        self._score_validation = make_validation(config, phase, dataset, trainer)
        self._steps = steps_per_epoch(config, dataset, replicas.count)
        self._windows_per_step = windows_per_step(config, replicas.count)
        resumed = self._resume()
        origin = resumed or self._start()
        self._check_position()
        self._evaluate_after = phases.evaluation_steps(
            self._steps, config.train.evaluations_per_epoch
        )
        self._batches = self._read_batches()
        self._train_step = trainer.step(self._batches)
        self.journal = self._open_journal(resumed=bool(resumed))
        self.journal.progress.say(
            f"{phase.name}: {origin}; at most {phase.epochs} epochs of {self._steps} steps, learning "
            f"rate {phase.learning_rate:g}, {replicas.count} replicas"
        )
        self.steps_done = 0
        self._unread: list[tuple[int, Any, Any]] = []
        self._clock = self._saved_at = time.perf_counter()

    @property
    def _summaries(self) -> pathlib.Path | None:
        """Folder of the TensorBoard summaries; None: this process writes none."""
        if self._config.runtime.tensorboard and self._replicas.chief:
            return self._folder.parent / run_folder.TENSORBOARD / self._phase.name
        return None

    def _resume(self) -> str:
        """Restore the checkpoint of this phase; return what to say of it, empty without one."""
        kept = checkpoints.restore(
            self._folder / run_folder.CHECKPOINTS, self.model, self._trainer.optimizer
        )
        if kept is None:
            return ""
        self._position, damage = kept
        return f"resumed after step {self._position.step}{damage}"

    def _start(self) -> str:
        """Give the model its first weights and return whose they are, the first of these.

        1. The best weights of the phase it fine-tunes.
        2. The weights of a run on an earlier dataset.
        3. The initial weights.
        """
        phase, warm_start = self._phase, self._config.train.warm_start
        self._position = checkpoints.Position(phase.name)
        if phase.start:
            weights = self._folder.parent / phase.start / run_folder.BEST
            if not weights.exists():
                raise FileNotFoundError(
                    f"`train.phases` with {phase.name} after {phase.start} must find the weights of "
                    f"{phase.start}. Got no file {weights}. Fix: let {phase.start} finish, or leave "
                    "it out of --train.phases to train from scratch."
                )
            self.model.load_weights(weights)
            return f"from the best weights of {phase.start}"
        if warm_start:
            new = start_from(warm_start, phase.name, self.model, self._dataset)
            return f"from {phase.name} of {warm_start} with {new} new rows"
        return "from scratch"

    def _check_position(self) -> None:
        """Refuse a position that cannot be continued on these replicas.

        Raises:
            ValueError: The windows consumed are no complete steps here, or another process found
                another checkpoint.
        """
        position = self._position
        if position.windows % self._windows_per_step:
            raise ValueError(
                "`runtime.strategy` must give a number of replicas whose steps end where the "
                f"checkpoint is, after {position.windows} windows of an epoch. Got "
                f"{self._replicas.count} replicas of {self._config.data.batch.windows_per_batch} "
                "windows. Fix: resume with as many replicas as before."
            )
        (step,) = of_chief(self._replicas, [position.step])
        if step != position.step:
            raise ValueError(
                f"`run` must be one folder that all workers share. Got {self._folder.parent}, which "
                f"has step {position.step} here and step {step:.0f} at the chief. Fix: put it on a "
                "file system that all workers see."
            )

    def _open_journal(self, resumed: bool) -> Journal:
        """Return the reports of the phase."""
        steps = self._phase.epochs * self._steps
        journal = Journal(
            self._folder, self._summaries, self._position, resumed, steps, self._replicas.chief
        )
        if not resumed:
            journal.add_settings(self._config)
        return journal

    def _read_batches(self) -> Any:
        """Return the rest of the current epoch as a stream of steps."""
        position = self._position
        return self._replicas.distribute(
            replica_batches(
                self._config,
                self._phase,
                self._dataset,
                self._replicas.count,
                position.epoch,
                position.windows,
            )
        )

    def starts_from_trained_weights(self) -> bool:
        """Return whether no step is done yet and the weights come from another training."""
        trained = self._phase.start or self._config.train.warm_start
        return bool(trained) and self._position.step == 0

    def out_of_patience(self) -> bool:
        """Return whether `train.patience` evaluations brought no better score."""
        return self._position.evaluations_without_improvement >= self._config.train.patience

    @property
    def step(self) -> int:
        """Steps of the phase done, by all calls."""
        return self._position.step

    def is_over(self) -> bool:
        """Return whether the last epoch or early stopping has ended the phase."""
        return self._position.epoch >= self._phase.epochs or self.out_of_patience()

    def train_epoch(self, steps_left: float, stop: StopRequest) -> bool:
        """Train the rest of the epoch; return False if `steps_left` or `stop` ended it."""
        position, batches = self._position, iter(self._batches)
        while position.windows < self._steps * self._windows_per_step:
            if self.steps_done >= steps_left:
                return False
            if self._must_stop(stop):
                self.save()
                return False
            self.do_step(batches)
            step_of_epoch = position.windows // self._windows_per_step
            if step_of_epoch in self._evaluate_after:
                self.validate()
                if self.out_of_patience():
                    return True
                if step_of_epoch < self._steps:
                    self.save()
            elif time.perf_counter() - self._saved_at > 60 * self._config.train.checkpoint_minutes:
                self.save()
        position.epoch, position.windows = position.epoch + 1, 0
        if position.epoch < self._phase.epochs:
            self._batches = self._read_batches()
        return True

    def _must_stop(self, stop: StopRequest) -> bool:
        """Return whether any process was asked to stop; all of them stop after the same step.

        They ask each other where losses are read, so that no step waits for it.
        """
        if self._replicas.processes > 1 and self._unread:
            return False
        (asked,) = self._replicas.total([stop.signal is not None])
        if asked:
            stop.signal = stop.signal or signal.SIGTERM
        return bool(asked)

    def do_step(self, batches: Any) -> None:
        """Train on the next batch."""
        position = self._position
        begin = time.perf_counter()
        batch = next(batches)
        input_seconds = time.perf_counter() - begin
        position.step += 1
        self.steps_done += 1
        result = self._train_step(
            batch, position.step, (self._config.runtime.seed, self._phase.number)
        )
        self._unread.append((position.step, result, batch))
        position.windows += self._windows_per_step
        position.input_seconds += input_seconds
        groups = position.groups
        evaluates = position.windows // self._windows_per_step in self._evaluate_after
        if evaluates or len(self._unread) >= _STEPS_A_READ:
            self.flush_losses()
        self.journal.progress.add(
            position.groups - groups, time.perf_counter() - begin, input_seconds
        )

    def flush_losses(self) -> None:
        """Read the results of the last steps: count groups, stop at a number not finite."""
        for step, result, batch in self._unread:
            loss, groups, norm = check_finite(
                self._folder,
                step,
                result,
                functools.partial(self._replicas.first_batch, batch),
            )
            self._position.groups += groups
            self.journal.add_losses(step, loss, norm)
        self._unread.clear()

    def validate(self) -> None:
        """Score the validation targets; keep the weights if they are the best so far."""
        values = self._score_validation()
        best = self._position.update_best(values["map"])
        if best and self._replicas.chief:
            checkpoints.save_weights(self._folder / run_folder.BEST, self.model)
        self.add_elapsed()
        self.journal.add_evaluation(self._position, values, best)

    def add_elapsed(self) -> None:
        """Add the time since the last call to the position's seconds."""
        now = time.perf_counter()
        self._position.seconds += now - self._clock
        self._clock = now

    def save(self) -> None:
        """Write a checkpoint."""
        self.flush_losses()
        self.add_elapsed()
        if self._replicas.chief:
            checkpoints.save(
                self._folder / run_folder.CHECKPOINTS,
                self.model,
                self._trainer.optimizer,
                self._position,
            )
            remote_folders.send_changes()
        self._saved_at = time.perf_counter()

    def write_done(self) -> None:
        """Write the result of the phase; it then counts as done, also for the other processes."""
        if self._summaries is not None:
            self.model.load_weights(self._folder / run_folder.BEST)
            write_projector(self._summaries, self.model, self._dataset.vocabulary)
        if self._replicas.chief:
            position = self._position
            run_folder.write_json(
                self._folder / run_folder.DONE,
                {
                    "phase": position.phase,
                    "best_map": position.best,
                    "best_step": position.best_step,
                    "steps": position.step,
                    "groups": position.groups,
                    "seconds": position.seconds,
                    "input_seconds": position.input_seconds,
                },
            )
            remote_folders.send_changes()
        # The next phase reads what the chief has written.
        self._replicas.total([0.0])
