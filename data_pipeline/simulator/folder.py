"""A simulated log on disk: the canonical tables, and the truth in a folder of its own.

LOG/truth/states.parquet     user_id (as in the log), time, kind (task: 1 recommendation or document
                             read, 2 search), intent (sub-topic), state (latent vector, float32)
LOG/truth/documents.parquet  doc_id, subtopic, facet, vector (latent vector, float32)
LOG/truth/model.json         constants of the click and dwell model; settings of the world
"""

import dataclasses
import pathlib
import time

import pyarrow as pa
import pyarrow.parquet as pq
from absl import logging

from data_pipeline.common import flagtree
from data_pipeline.log.log_summary import LogReport
from data_pipeline.log.log_writer import LogWriter
from data_pipeline.log.raw_rows import RawBatch
from data_pipeline.settings import LogSettings
from data_pipeline.simulator import click_probabilities
from data_pipeline.simulator.platform import Platform
from data_pipeline.simulator.world_settings import SimulateSettings

SOURCE = "simulation"
"""File name in messages and in the quarantine, which stays empty."""


def write_simulated_log(settings: SimulateSettings) -> LogReport:
    """Simulate a platform and write its log and truth; checksums cover both.

    Returns:
        Counts of the log's rows.

    Raises:
        ValueError: A setting is out of its range, or masking is on and there is no key.
        LogError: The folder exists already.
    """
    platform = Platform(settings)
    log_settings = LogSettings(
        mask_users=settings.mask_users, key_file=settings.key_file, quarantine_share=0.0
    )
    # The same log in another folder, or with its key elsewhere, has the same bytes.
    plain = flagtree.to_dict(dataclasses.replace(settings, output="", key_file=""))
    with LogWriter(settings.output, log_settings) as writer:
        writer.add(RawBatch("documents", platform.documents(), SOURCE))
        folder = writer.folder / "truth"
        folder.mkdir()
        _write_blocks(platform, writer, folder / click_probabilities.STATES)
        pq.write_table(platform.truth_documents(), folder / click_probabilities.DOCUMENTS)
        (folder / click_probabilities.MODEL).write_text(
            click_probabilities.model_json(platform.model, plain)
        )
        return writer.finish({"name": SOURCE, "settings": plain})


def _write_blocks(platform: Platform, writer: LogWriter, states_file: pathlib.Path) -> None:
    """Write users block by block, so that memory does not grow with their number."""
    began, done, first = time.perf_counter(), 0, {"requests": 1, "browses": 1}
    states: pq.ParquetWriter | None = None
    try:
        for block in platform.blocks():
            for name, rows in (("requests", block.requests), ("browses", block.browses)):
                writer.add(RawBatch(name, rows, SOURCE, first[name]))
                first[name] += rows.num_rows
            masked = writer.mask(block.states["user_id"].combine_chunks())
            place = block.states.column_names.index("user_id")
            table = block.states.set_column(place, "user_id", pa.chunked_array([masked]))
            states = states or pq.ParquetWriter(states_file, table.schema)
            states.write_table(table)
            done += block.users
            rate = done / (time.perf_counter() - began)
            logging.info("%d of %d users, %.0f a second", done, platform.settings.users, rate)
    finally:
        if states:
            states.close()
