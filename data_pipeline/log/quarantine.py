"""Rejected rows: the first rule that each broke, and the table that lists them.

A row is kept or quarantined, never dropped: kept + quarantined = read, for every table.

The quarantine and all messages made from it give the position of a row and the form of the value
that broke the rule, never the value itself. A wrong value in the column of a document, a time or a
number may be a user id: columns get swapped, lines get shifted. A comparison with known user ids
would not find an id that occurs only there. People who may read the source find the value there, by
file and row.
"""

import collections
import dataclasses
import math
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.log.schema import QUARANTINE

Value = str | float | np.datetime64 | None
"""A raw value; empty text if there is none to describe."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule for rows.

    Attributes:
        name: Short name, the key of all counts.
        message: "... must ... . Fix: ...": the rule, and what to do about rows that break it.
    """

    name: str
    message: str


def form(value: Value) -> str:
    """Return kind and length of a raw value, which do not reveal a user id in it.

    Example:
        >>> form("anna.7141"), form("1706702400"), form(-3.5), form(None)
        ('9 characters', '10 digits', 'a negative number', 'null')
        >>> form(np.datetime64(1706702400, "us"))
        'a time in the year 1970'
    """
    if value is None:
        return "null"
    if isinstance(value, np.datetime64):
        return f"a time in the year {value.astype('datetime64[Y]')}"
    if isinstance(value, str):
        kind = "digit" if re.fullmatch("[0-9]+", value) else "character"
        return f"{len(value)} {kind}{'s' * (len(value) > 1)}" if value else ""
    if math.isfinite(value):
        return "a negative number" if value < 0 else "a number"
    return "not a number" if math.isnan(value) else "an infinite number"


class Faults:
    """The first broken rule of each row of a batch.

    Args:
        rows: Number of rows.

    Example:
        >>> faults = Faults(3)
        >>> faults.mark(np.array([False, True, True]), Rule("low", "Too low."), "abc".__getitem__)
        >>> faults.mark(np.array([False, False, True]), Rule("odd", "Odd."), "xyz".__getitem__)
        >>> faults.kept.tolist(), faults.rejected("t", "f", np.arange(1, 4))["value"].to_pylist()
        ([True, False, False], ['1 character', '1 character'])
    """

    def __init__(self, rows: int) -> None:
        self.kept = np.ones(rows, bool)
        self._broken: dict[int, tuple[Rule, Value]] = {}

    def mark(self, bad: npt.NDArray[np.bool_], rule: Rule, value: Callable[[int], Value]) -> None:
        """Mark the rows [rows] that are true in `bad`; a row marked before keeps its first rule.

        Args:
            value: Returns the wrong value of a row, by its position in the batch; only its `form` is
                kept.
        """
        for row in np.flatnonzero(bad & self.kept).tolist():
            self._broken[row] = (rule, value(row))
        self.kept &= ~bad

    def rejected(self, table: str, file: str, rows: npt.NDArray[np.int64]) -> pa.Table:
        """Return the marked rows as quarantine rows, in the order of the batch.

        Args:
            rows: 1-based row number in `file` of each row of the batch.
        """
        return quarantine_rows(
            table,
            file,
            [(int(rows[row]), rule, value) for row, (rule, value) in sorted(self._broken.items())],
        )


def quarantine_rows(table: str, file: str, rows: Sequence[tuple[int, Rule, Value]]) -> pa.Table:
    """Return (row number, broken rule, raw value) as a `QUARANTINE` table with the forms of values."""
    return pa.table(
        {
            "table": [table] * len(rows),
            "file": [file] * len(rows),
            "row": [row for row, _, _ in rows],
            "rule": [rule.name for _, rule, _ in rows],
            "value": [form(value) for _, _, value in rows],
            "message": [rule.message for _, rule, _ in rows],
        },
        schema=QUARANTINE,
    )


class QuarantineWriter:
    """Write quarantine.parquet and count its rows by table and rule.

    Args:
        path: File to write.

    Attributes:
        counts: Rows by table, then by rule.
        examples: One line about the first rejected row of each (table, rule).
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._writer = pq.ParquetWriter(path, QUARANTINE)
        self.counts: dict[str, collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        self.examples: dict[tuple[str, str], str] = {}

    def add(self, rows: pa.Table) -> None:
        """Add rows of the schema `QUARANTINE`."""
        if not rows.num_rows:
            return
        self._writer.write_table(rows)
        keys = rows.select(["table", "rule"])
        counted = keys.group_by(["table", "rule"]).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            self.counts[row["table"]][row["rule"]] += row["count_all"]
        tables, rules = rows["table"].to_pylist(), rows["rule"].to_pylist()
        for index, key in enumerate(zip(tables, rules, strict=True)):
            if key not in self.examples:
                row = rows.slice(index, 1).to_pylist()[0]
                rule, _, fix = row["message"].partition(" Fix: ")
                self.examples[key] = (
                    f"{row['file']}, row {row['row']}: {rule} Got {row['value'] or 'nothing'}. "
                    f"Fix: {fix}"
                )

    def close(self) -> None:
        """Finish the file; closing it again does nothing."""
        self._writer.close()


def describe_excess(
    read: Mapping[str, int], quarantine: QuarantineWriter, share: float
) -> str | None:
    """Describe the tables of which too many rows were rejected; None if there is no such table.

    Args:
        read: Rows read by table.
        share: Largest share of a table's rows that may be quarantined.
    """
    over = [
        table for table, counts in quarantine.counts.items() if counts.total() > share * read[table]
    ]
    if not over:
        return None
    lines = []
    for table in over:
        counts = quarantine.counts[table]
        lines.append(
            f"{table}: {counts.total()} of {read[table]} rows rejected "
            f"({counts.total() / read[table]:.2%})"
        )
        lines += [
            f"  {rule}: {count}, first at {quarantine.examples[table, rule]}"
            for rule, count in counts.most_common()
        ]
    return "\n".join(lines)
