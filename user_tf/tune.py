"""Tries the same few settings for every system and keeps what is best on validation.

    python -m user_tf.tune --flagfile=configs/tuning/linked.flags

Every system has the same budget: the common settings, and a few others drawn once for all of them
(learning rate, dropout, width, initial weights), each trained with one seed. No test target is
read. A finished training is not done again. Writes

    RUNS/<system>/trial<n>/     run folder of user_tf.train
    RUNS/tuning.json            every trial's flags and validation MAP, and which was chosen
    OUTPUT/<ranker>.flags       the chosen flags, which `user_tf.experiment --tuned=OUTPUT` reads
"""

import functools
import pathlib
import shlex
import signal
import sys

from absl import app

from data_pipeline.common import flagtree
from user_tf.experiments import commands, tuning
from user_tf.experiments.systems import make_run_config, read_system, resolve
from user_tf.run_folder import write_json

RESULT = "tuning.json"


def main(arguments: list[str]) -> None:
    """Tunes the systems of the parsed flags; see the module's text."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Settings should be flags. Received: {arguments[1:]}. Write --name=value."
        )
    settings = flagtree.read(tuning.TuneSettings)
    for name in ("dataset", "runs", "output"):
        if not getattr(settings, name):
            raise app.UsageError(f"`{name}` should name a folder. Received: ''. Set --{name}.")
    folder, jobs, runs = pathlib.Path(settings.runs), {}, {}
    try:
        common, _ = resolve([f"--flagfile={settings.common}"])
        trials = tuning.changes(common, settings.trials, settings.seed)
        for name in settings.systems:
            runs[name] = []
            for number, flags in enumerate(trials):
                run = folder / name / f"trial{number}"
                system = read_system(name, pathlib.Path(settings.folder), settings.common, flags)
                config = make_run_config(system.config, settings.dataset, str(run), settings.seed)
                runs[name].append(config)
                jobs[f"{name}/trial{number}"] = functools.partial(tuning.train_trial, config)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    # A killed call stops its commands, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = commands.run_all(jobs, settings.parallel)
    if failed:
        sys.exit(
            f"{len(failed)} of {len(jobs)} trainings failed: {', '.join(sorted(failed))}. The same "
            "command goes on with them."
        )
    from user_tf.evaluation import metrics_table

    command = "python -m user_tf.tune " + shlex.join(sys.argv[1:])
    systems = [tuning.summary(name, trials, runs[name]) for name in settings.systems]
    provenance = metrics_table.provenance(command, settings.seed)
    write_json(folder / RESULT, {**provenance, "common": settings.common, "systems": systems})
    output = pathlib.Path(settings.output)
    output.mkdir(parents=True, exist_ok=True)
    for entry in systems:
        maps = [trial["validation_map"] for trial in entry["trials"]]
        text = tuning.flagfile(trials[entry["chosen"]], maps, command)
        (output / f"{entry['ranker']}.flags").write_text(text, encoding="utf-8")
        commands.say(f"{entry['system']}: {shlex.join(trials[entry['chosen']]) or 'as common'}")
    commands.say(f"written: {folder / RESULT} and {output}/*.flags")


if __name__ == "__main__":
    flagtree.define(tuning.TuneSettings)
    app.run(main)
