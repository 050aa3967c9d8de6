"""`python -m data_pipeline.prepare`: from a behavior log to a dataset.

    python -m data_pipeline.prepare --log=LOG --output=DATASET --sequence.relevance=click

reads the log folder, chooses the targets with their visible history and candidates, and writes the
dataset folder of `data_pipeline.dataset.dataset_folder`. Same log, settings and seed: same bytes.

    python -m data_pipeline.prepare --log=LOG,NEWER_LOG --vocabulary=DATASET --output=NEW

prepares a newer log together with the older ones; the vocabulary of an earlier dataset is reused. A
killed call resumes after its last finished step when the same command is given again.
"""

import logging
from collections.abc import Sequence as Items

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.settings import PrepareSettings


def main(arguments: Items[str]) -> None:
    """Prepare a dataset and print its statistics."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    from data_pipeline.preparation.checks import check_settings, open_inputs

    settings = flagtree.read(PrepareSettings)
    try:
        check_settings(settings)
        open_inputs(settings, checksums=False)
    except (ValueError, OSError) as error:
        raise app.UsageError(str(error)) from error
    # absl shows the information messages of all libraries; word2vec has a page of them.
    logging.getLogger("gensim").setLevel(logging.WARNING)
    print(f"Preparing {settings.output} from {', '.join(settings.log)}", flush=True)
    from data_pipeline.description.table_1 import table_text
    from data_pipeline.preparation.prepare_folder import prepare

    manifest = prepare(settings)
    print(f"\n{table_text(manifest['statistics'])}\n")
    for task, counts in manifest["left_out"].items():
        left = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items() if n)
        print(f"Left out ({task}): {left or 'nothing'}")
    print(f"Dataset: {settings.output}")


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(PrepareSettings)
    app.run(main)


if __name__ == "__main__":
    run()
