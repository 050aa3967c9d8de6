"""Rows that an importer's SQL found fault with, taken apart from the good ones."""

from collections.abc import Sequence

import pyarrow as pa

from data_pipeline.log.log_folder import Rejected
from data_pipeline.log.quarantine import Rule, quarantine_rows


def split_rows(
    table: str, file: str, rows: pa.Table, rules: Sequence[Rule]
) -> tuple[pa.Table, Rejected]:
    """Good rows, and the others as rejected ones.

    Args:
        table: Table that rejected rows count to.
        file: Name of the file they come from.
        rows: Columns `number` (1-based data row), `fault` (name of one of `rules`, or null) and
            `value` (text of which the form is told; null for none) beside the others.
        rules: Rules that may be broken.

    Returns:
        The rows without fault, `number` and the other columns; the rejected ones.
    """
    named = {rule.name: rule for rule in rules}
    bad = rows.filter(rows["fault"].is_valid()).select(["number", "fault", "value"]).to_pylist()
    rejected = [(row["number"], named[row["fault"]], row["value"] or "") for row in bad]
    good = rows.filter(rows["fault"].is_null()).drop_columns(["fault", "value"])
    return good, Rejected(table, quarantine_rows(table, file, rejected))
