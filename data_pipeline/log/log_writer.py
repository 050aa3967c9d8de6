"""Writes a behavior log: validates, masks, sets aside, and leaves nothing half-written.

Rows keep the order in which they came. Same rows, settings and key give the same bytes.
"""

import bisect
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common import flagtree
from data_pipeline.common.checksums import describe_files
from data_pipeline.common.output_folder import UnfinishedFolder
from data_pipeline.log import row_rules
from data_pipeline.log.log_summary import LogReport, TableReport, measure, repeated_rows
from data_pipeline.log.quarantine import Faults, QuarantineWriter, quarantine_rows, share_error
from data_pipeline.log.schema import SCHEMAS, LogError, cast_batch
from data_pipeline.log.user_ids import Masker
from data_pipeline.settings import LogSettings

SCHEMA_VERSION = 1
LOG_FILE = "log.json"
ROWS_AT_ONCE = 1 << 18


@dataclasses.dataclass(frozen=True)
class RawBatch:
    """Rows of one table as a source gave them, and where they stood.

    Attributes:
        table: "documents", "requests" or "browses".
        rows: Columns of that table, with raw user ids; optional columns may be missing.
        file: Name of the file they come from, for messages and the quarantine.
        first_row: 1-based data row of the first row in `file`.
        numbers: 1-based data row of every row [rows], where they do not follow each other.
    """

    table: str
    rows: pa.Table
    file: str
    first_row: int = 1
    numbers: npt.NDArray[np.int64] | None = None


@dataclasses.dataclass(frozen=True)
class Rejected:
    """Rows that an importer could not turn into canonical ones.

    Attributes:
        table: Table they count to; an importer may name one of its own, such as its raw file.
        rows: Table of the schema `QUARANTINE`, made by `quarantine_rows`.
        read: Rows of `table` that were read besides those handed over as `RawBatch`, these rejected
            ones among them. Default: as many as `rows`.
    """

    table: str
    rows: pa.Table
    read: int | None = None


class LogWriter(UnfinishedFolder):
    """Writes a log batch by batch; a context manager that leaves nothing half-written.

    Args:
        folder: Folder of the log; must not exist.
        settings: Masking and quarantine.

    Raises:
        LogError: `folder` exists.
        FolderInUse: Another run is writing it.
        ValueError: Masking is on and there is no key, or `quarantine_share` is no share.

    Attributes:
        folder: Where to write now; files put here beside the tables join the log and its checksums.
        mask: Masks a column of raw user ids as the tables do.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: LogSettings) -> None:
        if not 0 <= settings.quarantine_share <= 1:
            raise ValueError(
                "`quarantine_share` must lie in 0 to 1. Received: `quarantine_share` = "
                f"{settings.quarantine_share}. Set --quarantine_share accordingly."
            )
        if not os.fspath(folder):
            raise ValueError('`output` must name a folder. Received: "". Set --output.')
        super().__init__(folder)
        self._settings = settings
        self.mask = Masker.from_settings(settings)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._origins: dict[str, _Origins] = {name: _Origins() for name in SCHEMAS}
        self._read: Counter[str] = Counter()
        self._known: list[pa.Array] = []
        self._documents: pa.Array | None = None
        self._opened = contextlib.ExitStack()

    def begin(self) -> None:
        """Makes the temporary folder and opens the tables in it.

        Raises:
            LogError: The folder of the log exists.
        """
        if self.path.exists():
            raise LogError(
                os.fspath(self.path),
                "the folder of a new log must not exist",
                "an existing one",
                "Set --output to a new folder, or remove this one.",
            )
        super().begin()
        for name, schema in SCHEMAS.items():
            writer = pq.ParquetWriter(self._file(name), schema)
            self._writers[name] = self._opened.enter_context(writer)
        self._quarantine = QuarantineWriter(self._file("quarantine"))
        self._opened.callback(self._quarantine.close)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing writes what was held back. After `finish` nothing was; after an error the files go
        # away, and a second error, as of a full disk, would hide the first.
        with contextlib.suppress(OSError, pa.ArrowException):
            self._opened.close()
        super().__exit__(kind, error, trace)

    def _file(self, table: str) -> pathlib.Path:
        return self.folder / f"{table}.parquet"

    def add(self, batch: RawBatch | Rejected) -> None:
        """Validates, masks and writes a batch; all documents must come before the first list.

        Raises:
            LogError: A column is missing, unknown or of a wrong type, or documents come too late.
        """
        if isinstance(batch, Rejected):
            self._read[batch.table] += batch.rows.num_rows if batch.read is None else batch.read
            self._quarantine.add(batch.rows)
            return
        if batch.table not in SCHEMAS:
            raise LogError(
                batch.file,
                f"a table must be one of {', '.join(SCHEMAS)}",
                repr(batch.table),
                "Name the table of the batch accordingly.",
            )
        start = batch.first_row
        numbers = batch.numbers
        if numbers is None:
            numbers = np.arange(start, start + batch.rows.num_rows, dtype=np.int64)
        at = 0
        for part in batch.rows.combine_chunks().to_batches(max_chunksize=ROWS_AT_ONCE):
            self._add_part(batch, part, numbers[at : at + part.num_rows])
            at += part.num_rows
        if not at:
            # An empty file must have the right columns too.
            cast_batch(batch.table, _no_rows(batch.rows.schema), batch.file)

    def _add_part(
        self, batch: RawBatch, part: pa.RecordBatch, numbers: npt.NDArray[np.int64]
    ) -> None:
        table = batch.table
        rows = cast_batch(table, part, batch.file)
        faults = Faults(rows.num_rows)
        if table == "documents":
            if self._documents is not None:
                raise LogError(
                    batch.file,
                    "all documents must come before the first request or browse",
                    "documents after them",
                    "Hand over the documents first.",
                )
            row_rules.check_documents(rows, faults)
        elif table == "requests":
            row_rules.check_requests(rows, self._all_documents(), faults)
        else:
            row_rules.check_browses(rows, self._all_documents(), faults)
        self._read[table] += rows.num_rows
        if not faults.kept.all():
            self._quarantine.add(faults.rejected(table, batch.file, numbers))
            rows = rows.filter(pa.array(faults.kept))
        if table == "documents":
            self._known.append(rows["doc_id"])
        else:
            place = rows.schema.get_field_index("user_id")
            rows = rows.set_column(place, SCHEMAS[table].field(place), self.mask(rows["user_id"]))
        self._origins[table].add(batch.file, numbers[faults.kept])
        self._writers[table].write_batch(rows)

    def _all_documents(self) -> pa.Array:
        if self._documents is None:
            self._documents = pa.concat_arrays([pa.array([], pa.string()), *self._known])
            self._known = []
        return self._documents

    def finish(self, source: Mapping[str, Any] | None = None) -> LogReport:
        """Rejects duplicates, checks the share of the quarantine, writes log.json and renames.

        Args:
            source: Where the log comes from, for log.json; plain values.

        Raises:
            LogError: Too many rows were rejected, or no request and no browse is left. In the
                first case the quarantine stays in LOG.tmp to be read.
        """
        for name, writer in self._writers.items():
            writer.close()
            self._reject_repeated(name)
        self._quarantine.close()
        kept_at = self._file("quarantine")
        over = share_error(
            self._read, self._quarantine, self._settings.quarantine_share, os.fspath(kept_at)
        )
        if over:
            for path in self.folder.iterdir():
                if path != kept_at:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            self.keep = True
            rejected = sum(counts.total() for counts in self._quarantine.counts.values())
            raise LogError(
                os.fspath(self.path),
                "no more than a small share of the rows may break a rule",
                f"{rejected} rejected rows",
                "\n" + over,
            )
        report = measure(self.folder, self._table_reports())
        if not report.tables["requests"].kept + report.tables["browses"].kept:
            raise LogError(
                os.fspath(self.path),
                "a log must hold a request or a browse",
                "none",
                "Check that the input is the whole of it.",
            )
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "source": dict(source or {}),
            # Where the key lies is the owner's matter.
            "settings": flagtree.to_dict(dataclasses.replace(self._settings, key_file="")),
            "report": report.to_dict(),
            "files": describe_files(self.folder),
        }
        with open(self.folder / LOG_FILE, "w", encoding="utf-8") as file:
            file.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.rename()
        return report

    def _table_reports(self) -> dict[str, TableReport]:
        counts = self._quarantine.counts
        names = [*SCHEMAS, *(name for name in self._read if name not in SCHEMAS)]
        return {
            name: TableReport(
                read=self._read[name],
                kept=self._read[name] - counts[name].total(),
                quarantined=counts[name].total(),
                rules=dict(sorted(counts[name].items())),
            )
            for name in names
        }

    def _reject_repeated(self, table: str) -> None:
        """Moves all but the first of equal rows to the quarantine; rewrites the table if any."""
        path = self._file(table)
        repeated = repeated_rows(path, table)
        if not repeated:
            return
        rule = {
            "documents": row_rules.DOC_TWICE,
            "requests": row_rules.REQUEST_TWICE,
            "browses": row_rules.BROWSE_TWICE,
        }[table]
        for row, value in repeated:
            file, number = self._origins[table].find(row)
            self._quarantine.add(quarantine_rows(table, file, [(number, rule, value)]))
        drop = np.array([row for row, _ in repeated])
        whole = path.with_suffix(".whole")
        path.rename(whole)
        at = 0
        with pq.ParquetFile(whole) as source, pq.ParquetWriter(path, SCHEMAS[table]) as target:
            for group in range(source.num_row_groups):
                rows = source.read_row_group(group)
                kept = np.ones(rows.num_rows, bool)
                kept[drop[(drop >= at) & (drop < at + rows.num_rows)] - at] = False
                at += rows.num_rows
                target.write_table(rows.filter(pa.array(kept)).cast(SCHEMAS[table]))
        whole.unlink()


class _Origins:
    """File and row number of every kept row of a table, by its position."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._parts: list[tuple[str, npt.NDArray[np.int64]]] = []
        self._rows = 0

    def add(self, file: str, numbers: npt.NDArray[np.int64]) -> None:
        self._starts.append(self._rows)
        self._parts.append((file, numbers))
        self._rows += len(numbers)

    def find(self, row: int) -> tuple[str, int]:
        part = bisect.bisect_right(self._starts, row) - 1
        file, numbers = self._parts[part]
        return file, int(numbers[row - self._starts[part]])


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema.names)
