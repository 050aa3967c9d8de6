"""`python -m data_pipeline.truth`: the known click probabilities of a simulated dataset.

    python -m data_pipeline.truth --log=LOG --dataset=DATASET --output=FILE.parquet

writes `target_id` and `probability` (list<double>, in the order of the target's candidates). For
evaluation only: no part of preparation or training may read it.
"""

import dataclasses
from collections.abc import Sequence

from absl import app, logging

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class TruthSettings:
    """Everything `python -m data_pipeline.truth` can be told."""

    log: str = setting("", "Folder of the simulated behavior log.")
    dataset: str = setting("", "Folder of the dataset prepared from it.")
    output: str = setting("", "Parquet file to write; must not exist.")


def main(arguments: Sequence[str]) -> None:
    """Writes the truth of all targets of a dataset."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    from data_pipeline.simulator import click_probabilities

    settings = flagtree.read(TruthSettings)
    for field in dataclasses.fields(settings):
        if not getattr(settings, field.name):
            raise app.UsageError(f"`{field.name}` must be given. Set --{field.name}.")
    count = click_probabilities.write_truth_of(settings.log, settings.dataset, settings.output)
    logging.info("Wrote the truth of %d targets to %s.", count, settings.output)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(TruthSettings)
    app.run(main)


if __name__ == "__main__":
    run()
