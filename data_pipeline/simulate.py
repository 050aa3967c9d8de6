"""`python -m data_pipeline.simulate`: a behavior log of a simulated platform, with its truth.

    python -m data_pipeline.simulate --output=LOG --users=2000 --seed=1

LOG is a canonical log as an importer writes it. LOG/truth beside it holds what no real log has:
the latent states behind every request (`python -m data_pipeline.truth`); only evaluation may read
it. User ids are not masked unless --mask_users is given: simulated ids name nobody, and without a
key the same seed gives the same bytes. The truth carries the ids of the log.
"""

from collections.abc import Sequence

from absl import app, logging

from data_pipeline.common import flagtree
from data_pipeline.simulator.world_settings import SimulateSettings


def main(arguments: Sequence[str]) -> None:
    """Writes a simulated log."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    from data_pipeline.simulator import folder

    settings = flagtree.read(SimulateSettings)
    report = folder.write_simulated_log(settings)
    for name, table in report.tables.items():
        logging.info("%s: %d rows", name, table.kept)
    logging.info("Wrote %s.", settings.output)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(SimulateSettings)
    app.run(main)


if __name__ == "__main__":
    run()
