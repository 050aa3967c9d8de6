"""Rejected rows: which rule each broke first, and the table that tells so.

A row is kept or quarantined, never dropped: kept + quarantined = read, for every table.
"""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.canonical import QUARANTINE

VALUE_LENGTH = 200
"""Characters kept of an offending value."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule that rows must keep.

    Attributes:
        name: Short name, the key of all counts.
        message: What should hold, and the mend.
    """

    name: str
    message: str


class Faults:
    """The first broken rule of each row of a batch.

    Args:
        rows: Number of rows.

    Example:
        >>> faults = Faults(3)
        >>> faults.mark(np.array([False, True, True]), Rule("low", "Too low."), "abc".__getitem__)
        >>> faults.mark(np.array([False, False, True]), Rule("odd", "Odd."), "xyz".__getitem__)
        >>> faults.kept.tolist(), faults.rejected("t", "f", np.arange(1, 4))["value"].to_pylist()
        ([True, False, False], ['b', 'c'])
    """

    def __init__(self, rows: int) -> None:
        self.kept = np.ones(rows, bool)
        self._broken: dict[int, tuple[Rule, str]] = {}

    def mark(self, bad: npt.NDArray[np.bool_], rule: Rule, value: Callable[[int], str]) -> None:
        """Marks the rows [rows] that are true in `bad`; a row marked before keeps its first rule.

        Args:
            value: The offending value of a row, by its position in the batch.
        """
        for row in np.flatnonzero(bad & self.kept).tolist():
            self._broken[row] = (rule, value(row))
        self.kept &= ~bad

    def rejected(self, table: str, file: str, rows: npt.NDArray[np.int64]) -> pa.Table:
        """The marked rows as quarantine rows, in the order of the batch.

        Args:
            rows: 1-based row number in `file` of each row of the batch.
        """
        return quarantine_rows(
            table,
            file,
            [(int(rows[row]), rule, value) for row, (rule, value) in sorted(self._broken.items())],
        )


def quarantine_rows(table: str, file: str, rows: Sequence[tuple[int, Rule, str]]) -> pa.Table:
    """(row number, broken rule, value) as a table of `QUARANTINE`.

    A value must never hold a user id: give "" for a rule about users or whole lines.
    """
    return pa.table(
        {
            "table": [table] * len(rows),
            "file": [file] * len(rows),
            "row": [row for row, _, _ in rows],
            "rule": [rule.name for _, rule, _ in rows],
            "value": [value[:VALUE_LENGTH] for _, _, value in rows],
            "message": [rule.message for _, rule, _ in rows],
        },
        schema=QUARANTINE,
    )


class QuarantineWriter:
    """Writes quarantine.parquet and counts its rows by table and rule.

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
        """Adds rows of the schema `QUARANTINE`."""
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
                self.examples[key] = (
                    f"{row['file']}, row {row['row']}: {row['message']} Received: {row['value']!r}."
                )

    def close(self) -> None:
        """Finishes the file; closing twice does nothing."""
        self._writer.close()


def share_error(
    read: Mapping[str, int], quarantine: QuarantineWriter, share: float, kept_at: str
) -> str | None:
    """What is wrong with a log of which too much was rejected, or None.

    Args:
        read: Rows read by table.
        share: Largest share of a table's rows that may be quarantined.
        kept_at: Where the quarantine can be read.
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
            f"`quarantine_share` allows {share:.2%} of the rows of {table}. Received: "
            f"{counts.total()} of {read[table]} rows rejected ({counts.total() / read[table]:.2%})."
        )
        lines += [
            f"  {rule}: {count}, first at {quarantine.examples[table, rule]}"
            for rule, count in counts.most_common()
        ]
    lines.append(
        f"Mend the source (every rejected row stands in {kept_at}), or raise --quarantine_share."
    )
    return "\n".join(lines)
