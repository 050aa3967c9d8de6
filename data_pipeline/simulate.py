"""Write the behavior log of a simulated platform, with its truth.

    python -m data_pipeline.simulate --output=LOG --users=2000 --seed=1

LOG is a canonical log as an importer writes it. LOG/truth holds what no real log has: the latent
state behind every request (`python -m data_pipeline.truth`); only evaluation may read it. With
--world.words=readable, titles and queries are English words. User ids are masked only with
--mask_users: simulated ids identify nobody, and without a key the same seed gives the same bytes.
"""

from collections.abc import Sequence

from absl import logging

from data_pipeline.common import command_line, flagtree
from data_pipeline.simulator.world_settings import SimulateSettings


def main(arguments: Sequence[str]) -> None:
    """Write a simulated log."""
    from data_pipeline.simulator import folder

    settings = flagtree.read(SimulateSettings)
    report = folder.write_simulated_log(settings)
    for name, table in report.tables.items():
        logging.info("%s: %d rows", name, table.kept)
    logging.info("Wrote %s.", settings.output)


def run() -> None:
    """Define the flags and run; importing this file defines none."""
    flagtree.define(SimulateSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
