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

from data_pipeline.common import command_line, flagtree
from data_pipeline.settings import PrepareSettings

ESSENTIALS = (
    "log",
    "output",
    "vocabulary",
    "scenarios",
    "sequence.relevance",
    "sequence.session_minutes",
    "sequence.satisfied_seconds",
    "split.history_share",
    "split.validation_begins",
    "split.test_begins",
    "eval_candidates.protocol",
    "text.tokenizer",
    "text.width",
    "seed",
    "engine",
)
"""Settings that --help lists; --helpfull lists all of them."""


def main(arguments: Items[str]) -> None:
    """Prepare a dataset and print its statistics."""
    from data_pipeline.preparation.checks import check_settings, open_inputs

    settings = flagtree.read(PrepareSettings)
    check_settings(settings)
    open_inputs(settings, checksums=False)
    # absl shows the information messages of all libraries; word2vec has a page of them.
    logging.getLogger("gensim").setLevel(logging.WARNING)
    print(f"Preparing {settings.output} from {', '.join(settings.log)}", flush=True)
    from data_pipeline.common.data_warnings import from_plain
    from data_pipeline.description.table_1 import table_text
    from data_pipeline.preparation.prepare_folder import prepare

    manifest = prepare(settings)
    print(f"\n{table_text(manifest['statistics'])}\n")
    for task, counts in manifest["left_out"].items():
        left = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items() if n)
        print(f"Left out ({task}): {left or 'nothing'}")
    if unlabeled := manifest["counts"]["unlabeled"]:
        print(
            f"Unlabeled: {unlabeled:,} requests whose answers are withheld. A trained run ranks them: "
            "python -m user_tf.rank --split=unlabeled"
        )
    for warning in from_plain(manifest["warnings"]):
        print(warning)
    print(f"Dataset: {settings.output}")


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(PrepareSettings, essentials=ESSENTIALS)
    command_line.run(main)


if __name__ == "__main__":
    run()
