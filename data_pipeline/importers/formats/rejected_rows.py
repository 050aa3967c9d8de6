"""Rows of an importer's SQL as batches for the log: good rows, and rejected rows by their rule."""

from collections.abc import Sequence

import pyarrow as pa

from data_pipeline.log.quarantine import Rule, quarantine_rows
from data_pipeline.log.raw_rows import RawBatch, Rejected


def split_rows(
    table: str, file: str, rows: pa.Table, rules: Sequence[Rule]
) -> tuple[pa.Table, Rejected]:
    """Split rows into good rows and rejected rows.

    Args:
        table: Table that rejected rows count to.
        file: Name of the file they come from.
        rows: Columns `number` (1-based data row), `fault` (name of one of `rules`, or null) and
            `value` (text of which only the form is kept, or null), and others.
        rules: Rules that may be broken.

    Returns:
        The rows without a fault, with `number` and the other columns; the rejected rows.
    """
    named = {rule.name: rule for rule in rules}
    bad = rows.filter(rows["fault"].is_valid()).select(["number", "fault", "value"]).to_pylist()
    rejected = [(row["number"], named[row["fault"]], row["value"] or "") for row in bad]
    good = rows.filter(rows["fault"].is_null()).drop_columns(["fault", "value"])
    return good, Rejected(table, quarantine_rows(table, file, rejected))


def reject_lines(table: str, file: str, lines: Sequence[int], rule: Rule) -> Rejected:
    """Return data rows of a file, of which nothing could be read, as rejected rows."""
    return Rejected(table, quarantine_rows(table, file, [(line, rule, "") for line in lines]))


def make_batch(table: str, file: str, rows: pa.Table) -> RawBatch:
    """Return rows with the column `number` (1-based data row) as a batch of a canonical table."""
    return RawBatch(table, rows.drop_columns(["number"]), file, numbers=rows["number"].to_numpy())
