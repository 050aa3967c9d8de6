"""Rank the requests of a split by a trained run and write a file of rankings.

    python -m user_tf.rank --run=RUN --output=FILE.jsonl
    python -m user_tf.rank --run=RUN --output=prediction.txt --format=mind --source=INPUT
    python -m user_tf.rank --run=RUN --output=submission.csv --format=trivago --source=INPUT

The split `unlabeled` holds the requests whose answers are withheld, such as the test part of a
challenge; their scores are computed as those of `user_tf.evaluate`. Formats:

* lines: a JSON object a line: request_id, target_id (number in the dataset), documents, best first,
  and their scores
* mind: prediction.txt of the MIND challenge: impression id and the rank of each news of its list
* trivago: the CSV of the RecSys Challenge 2019: user_id, session_id, timestamp, step,
  item_recommendations

The log has numbers in place of a challenge's own ids, and masked users: the formats mind and trivago
read the ids from what the log was imported from (--source: the --input of the import).
"""

import dataclasses

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.common.output_folder import unfinished_file


@dataclasses.dataclass(frozen=True)
class RankSettings:
    """Settings of `python -m user_tf.rank`; the others are saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.", path=True)
    split: str = setting(
        "unlabeled", "Targets to rank.", choices=("validation", "test", "unlabeled")
    )
    dataset: str = setting(
        "",
        "The dataset of the run, if it was moved; or another one of the same log. Empty: the dataset "
        "of the run, as recorded.",
        path=True,
    )
    output: str = setting("", "File to write, in an existing folder.", path=True)
    format: str = setting("lines", "Form of the file.", choices=("lines", "mind", "trivago"))
    source: str = setting(
        "", "What the log was imported from; only for the formats mind and trivago.", path=True
    )


def main(arguments: list[str]) -> None:
    """Run the command; TensorFlow is imported after the flags are parsed."""
    settings = flagtree.read(RankSettings)
    _check_source(settings)
    from user_tf.api.trained_run import Run

    run = Run(settings.run)
    from user_tf.api.rankings import rank_split, write_rankings
    from user_tf.training import process

    process.prepare_for_scoring(run.config.runtime)
    with unfinished_file(settings.output) as file:
        rankings = rank_split(run, settings.split, settings.dataset)
        write_rankings(file, rankings, settings.format, settings.source)
    print(f"{len(rankings):,} requests ranked: {settings.output}", flush=True)


def _check_source(settings: RankSettings) -> None:
    if (settings.format == "lines") == bool(settings.source):
        fix = "leave it out." if settings.source else "set --source to the --input of the import."
        raise ValueError(
            "`source` must be given for the formats mind and trivago, and not for lines. Got "
            f"{settings.source!r} for {settings.format}. Fix: {fix}"
        )


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(RankSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
