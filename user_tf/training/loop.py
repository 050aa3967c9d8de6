"""One phase of training, from a model with random weights to the best one on disk."""

import json
import math
import pathlib
import time

import tensorflow as tf

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf import run_folder
from user_tf.config import Config
from user_tf.training import checkpoints, phases
from user_tf.training.feeding import distributed_batches, steps_per_epoch, windows_per_step
from user_tf.training.optimizer import SummedGradientAdam
from user_tf.training.progress import Progress, memory_gib
from user_tf.training.step import make_train_step
from user_tf.training.strategy import is_chief
from user_tf.training.validation import make_validation
from user_tf.training.warm_start import start_from

# Losses are read in blocks, so that an accelerator need not wait for the host at every step.
_STEPS_A_LOOK = 10


class NonFiniteLossError(RuntimeError):
    """A loss or gradient was not finite; the last good checkpoint stands."""


def train_phase(
    config: Config,
    phase: phases.Phase,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    steps_left: float = math.inf,
) -> int:
    """Trains one phase, or goes on with it, until early stopping or its last epoch.

    Args:
        config: Of the run, whose folder exists.
        phase: What to train.
        dataset: Opened dataset.
        strategy: Where to train.
        steps_left: Steps this call may still do; the phase then stops as if killed.

    Returns:
        Steps done by this call.

    Raises:
        NonFiniteLossError: Names the first step whose loss or gradient was not finite.
        FileNotFoundError: The phase it starts from left no weights.
        ValueError: `train.warm_start` is a run of another model.
    """
    run = pathlib.Path(config.run)
    folder = run / phase.name
    chief = is_chief(strategy)
    folder.mkdir(parents=True, exist_ok=True)

    # ---- Model and optimizer ------------------------------------------------------------------
    with strategy.scope():
        model = run_folder.build_model(config, dataset)
        optimizer = SummedGradientAdam(learning_rate=phase.learning_rate)
        optimizer.build(model.trainable_variables)
    validate = make_validation(config, phase, dataset, model)

    # ---- Where to begin -----------------------------------------------------------------------
    # 1. This phase's own checkpoint: weights, optimizer, position and clock.
    # 2. The best weights of the phase it fine-tunes, with a new optimizer.
    # 3. The weights of a run on an earlier dataset.
    # 4. Scratch.
    position = checkpoints.restore(folder / run_folder.CHECKPOINTS, model, optimizer)
    if position is not None:
        origin = f"resumed after step {position.step}"
    else:
        position = checkpoints.Position(phase.name)
        origin = "from scratch"
        if phase.start:
            weights = run / phase.start / run_folder.BEST
            if not weights.exists():
                raise FileNotFoundError(
                    f"`train.phases` has {phase.name} after {phase.start}, whose weights should be "
                    f"at {weights}. Received: no such file. Let {phase.start} finish, or leave it "
                    "out of --train.phases to train from scratch."
                )
            model.load_weights(weights)
            origin = f"from the best weights of {phase.start}"
        elif config.train.warm_start:
            new = start_from(config.train.warm_start, phase.name, model, dataset)
            origin = f"from {phase.name} of {config.train.warm_start} with {new} new rows"
    if chief:
        run_folder.keep_metrics_until(folder / run_folder.METRICS, position.step)

    # ---- Input --------------------------------------------------------------------------------
    steps = steps_per_epoch(config, dataset, strategy)
    per_step = windows_per_step(config, strategy)
    evaluate_after = phases.evaluation_steps(steps, config.train.evaluations_per_epoch)

    def epoch_batches():
        return distributed_batches(
            config, phase, dataset, strategy, position.epoch, position.windows
        )

    batches = epoch_batches()
    train_step = make_train_step(
        model,
        optimizer,
        strategy,
        batches.element_spec,
        config.train.clip_norm,
        (config.runtime.seed, phase.number),
        config.runtime.jit,
        config.train.embedding_updates == "touched",
    )

    # ---- What is written ----------------------------------------------------------------------
    summaries = tf.summary.create_noop_writer()
    if config.runtime.tensorboard and chief:
        summaries = tf.summary.create_file_writer(str(run / run_folder.TENSORBOARD / phase.name))
    progress = Progress(phase.name, phase.epochs * steps, position.step)
    progress.say(
        f"{phase.name}: {origin}; {phase.epochs} epochs of {steps} steps at the most, "
        f"{strategy.num_replicas_in_sync} replicas"
    )
    pending: list = []
    clock = time.perf_counter()
    saved_at = clock

    def tick() -> None:
        """Moves the time since the last call into the position's clock."""
        nonlocal clock
        now = time.perf_counter()
        position.seconds += now - clock
        clock = now

    def settle() -> None:
        """Reads the pending results: counts groups, stops at a number that is not finite."""
        for step, result in pending:
            loss, groups, norm = (float(part) for part in result)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                kept = folder / run_folder.CHECKPOINTS / checkpoints.LATEST
                raise NonFiniteLossError(
                    f"The loss should be finite. Received: loss {loss}, gradient norm {norm} at "
                    f"step {step} of {phase.name}. "
                    + (f"The last good checkpoint is {kept}. " if kept.exists() else "")
                    + "Lower --train.learning_rate or --train.clip_norm and begin another --run."
                )
            position.groups += int(groups)
            with summaries.as_default(step=step):
                tf.summary.scalar("train/loss", loss)
                tf.summary.scalar("train/gradient_norm", norm)
        pending.clear()

    def save() -> None:
        nonlocal saved_at
        settle()
        tick()
        if chief:
            checkpoints.save(folder / run_folder.CHECKPOINTS, model, optimizer, position)
        saved_at = time.perf_counter()

    def judge() -> None:
        """Validates, keeps the weights if they are the best so far, and tells the result."""
        values = validate()
        best = phases.note_score(position, values["map"])
        if best and chief:
            checkpoints.save_weights(folder / run_folder.BEST, model)
        tick()
        report(folder, summaries, progress, position, values, best, chief)

    # ---- Loop ---------------------------------------------------------------------------------
    done = 0
    try:
        if (phase.start or config.train.warm_start) and position.step == 0:
            # Fine-tuning must beat the weights it starts from, or those stay the best.
            judge()
        while position.epoch < phase.epochs and position.waited < config.train.patience:
            iterator = iter(batches)
            while position.windows < steps * per_step:
                if done >= steps_left:
                    return done
                begin = time.perf_counter()
                batch = next(iterator)
                waited = time.perf_counter() - begin
                position.step += 1
                done += 1
                result = train_step(batch, tf.constant(position.step, tf.int64))
                pending.append((position.step, result))
                position.windows += per_step
                position.input_seconds += waited
                at = position.windows // per_step
                groups = position.groups
                if len(pending) >= _STEPS_A_LOOK or at in evaluate_after:
                    settle()
                progress.add(position.groups - groups, time.perf_counter() - begin, waited)
                if at in evaluate_after:
                    judge()
                    if position.waited >= config.train.patience:
                        break
                    if at < steps:
                        save()
                elif time.perf_counter() - saved_at > 60 * config.train.checkpoint_minutes:
                    save()
            else:
                position.epoch, position.windows = position.epoch + 1, 0
            save()
            if position.epoch < phase.epochs:
                batches = epoch_batches()
    finally:
        progress.close()
        summaries.close()

    if chief:
        run_folder.write_json(
            folder / run_folder.DONE,
            {
                "phase": phase.name,
                "best_map": position.best,
                "best_step": position.best_step,
                "steps": position.step,
                "groups": position.groups,
                "seconds": position.seconds,
                "input_seconds": position.input_seconds,
            },
        )
    return done


def report(folder, summaries, progress, position, values, best, chief) -> None:
    """Tells the result of an evaluation on the screen, in metrics.jsonl and to TensorBoard."""
    maps = ", ".join(f"{task} {value:.4f}" for task, value in values.items())
    progress.say(
        f"{position.phase}: step {position.step}, validation {maps}{' (best)' if best else ''}"
    )
    with summaries.as_default(step=position.step):
        for task, value in values.items():
            tf.summary.scalar(f"validation/{task}", value)
        tf.summary.scalar("speed/groups_per_second", progress.groups_per_second)
        tf.summary.scalar("speed/input_share", progress.input_share)
        tf.summary.scalar("speed/memory_gib", memory_gib())
    summaries.flush()
    if chief:
        line = {
            "step": position.step,
            "epoch": position.epoch,
            "groups": position.groups,
            "seconds": position.seconds,
            "groups_per_second": progress.groups_per_second,
            "input_share": progress.input_share,
            "validation": values,
            "best": best,
        }
        with (folder / run_folder.METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
