"""Write the true click probabilities of a dataset prepared from a simulated log.

    python -m data_pipeline.truth --log=LOG --dataset=DATASET --output=FILE.parquet

FILE holds `target_id` and `probability` (list<double>, in the order of the target's candidates). It
is for evaluation only: no part of preparation or training may read it.
"""

import dataclasses
from collections.abc import Sequence

from absl import logging

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class TruthSettings:
    """Settings of `python -m data_pipeline.truth`."""

    log: str = setting("", "Folder of the simulated behavior log.", path=True)
    dataset: str = setting("", "Folder of the dataset prepared from it.", path=True)
    output: str = setting("", "Parquet file to write; must not exist.", path=True)


def main(arguments: Sequence[str]) -> None:
    """Write the truth of all targets of a dataset."""
    from data_pipeline.simulator import click_probabilities

    settings = flagtree.read(TruthSettings)
    for field in dataclasses.fields(settings):
        if not getattr(settings, field.name):
            raise ValueError(f"`{field.name}` must name a path. Got ''. Fix: set --{field.name}.")
    count = click_probabilities.write_truth_of(settings.log, settings.dataset, settings.output)
    logging.info("Wrote the truth of %d targets to %s.", count, settings.output)


def run() -> None:
    """Define the flags and run; importing this file defines none."""
    flagtree.define(TruthSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
