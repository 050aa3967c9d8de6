"""Write a behavior log: validate rows, mask users, quarantine rejected rows.

Rows keep the order of the source. Same rows, settings and key give the same bytes.
"""

import contextlib
import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.common import flagtree
from data_pipeline.common.array_types import Integers
from data_pipeline.common.checksums import describe_files
from data_pipeline.common.data_warnings import to_plain
from data_pipeline.common.output_folder import UnfinishedFolder
from data_pipeline.log import row_rules
from data_pipeline.log.log_checks import judge_log
from data_pipeline.log.log_summary import LogReport, TableReport, summarize_log
from data_pipeline.log.quarantine import Faults, QuarantineWriter, describe_excess
from data_pipeline.log.raw_rows import RawBatch, Rejected
from data_pipeline.log.schema import REQUESTS, SCHEMAS, SPLITS, LogError, cast_batch
from data_pipeline.log.table_writer import TableWriter
from data_pipeline.log.user_ids import Masker
from data_pipeline.settings import LogSettings

SCHEMA_VERSION = 1
LOG_FILE = "log.json"
ROWS_AT_ONCE = 1 << 18
_QUARANTINE_FILE = "quarantine.parquet"


class LogWriter(UnfinishedFolder):
    """Write a log batch by batch; a context manager that leaves no incomplete log.

    Args:
        folder: Folder of the log; must not exist.
        settings: Masking and quarantine.
        add_documents: Add documents that lists or browses name and the source lacks, with their ids
            as titles. Default: such rows are quarantined.

    Raises:
        LogError: `folder` exists.
        FolderInUse: Another run is writing it.
        ValueError: Masking is on and there is no key, or `quarantine_share` is out of range.

    Attributes:
        folder: Folder to write to now; other files put here join the log and its checksums.
        mask: Masks a column of raw user ids as in the tables.
    """

    def __init__(
        self, folder: str | os.PathLike[str], settings: LogSettings, add_documents: bool = False
    ) -> None:
        if not 0 <= settings.quarantine_share <= 1:
            raise ValueError(
                f"`quarantine_share` must be in [0, 1]. Got {settings.quarantine_share}. "
                "Fix: set --quarantine_share to a share in this range."
            )
        if not os.fspath(folder):
            raise ValueError("`output` must name a folder. Got ''. Fix: set --output.")
        super().__init__(folder)
        self._settings, self._adds_documents = settings, add_documents
        self.mask = Masker.from_settings(settings)
        self._tables: dict[str, TableWriter] = {}
        self._read: Counter[str] = Counter()
        self._document_ids: list[pa.Array] = []
        self._documents: pa.Array | None = None
        self._opened = contextlib.ExitStack()

    def begin(self) -> None:
        """Make the temporary folder and open the tables in it.

        Raises:
            LogError: The folder of the log exists.
        """
        if self.path.exists():
            raise LogError(
                os.fspath(self.path),
                "the folder of a new log must not exist",
                "an existing one",
                "set --output to a new folder, or remove this one.",
            )
        super().begin()
        for name in SCHEMAS:
            self._open_table(name)
        self._quarantine = QuarantineWriter(self.folder / _QUARANTINE_FILE)
        self._opened.callback(self._quarantine.close)

    def _open_table(self, name: str) -> TableWriter:
        """Return the writer of a table; that of an extra table is made when it gets its first row."""
        if name not in self._tables:
            self._tables[name] = TableWriter(self.folder, name)
            self._opened.callback(self._tables[name].close)
        return self._tables[name]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing writes buffered rows. After `finish` there are none; after an error the files are
        # removed, and a second error, such as a full disk, would hide the first.
        with contextlib.suppress(OSError, pa.ArrowException):
            self._opened.close()
        super().__exit__(kind, error, trace)

    def add(self, batch: RawBatch | Rejected) -> None:
        """Validate, mask and write a batch; all documents must come before the first list.

        Raises:
            LogError: A column is missing, unknown or of a wrong type, or documents come too late.
        """
        if isinstance(batch, Rejected):
            self._read[batch.table] += batch.rows.num_rows if batch.read is None else batch.read
            self._quarantine.add(batch.rows)
            return
        self._check_order(batch)
        numbers, first = batch.row_numbers(), 0
        for part in batch.rows.combine_chunks().to_batches(max_chunksize=ROWS_AT_ONCE):
            rows = cast_batch(batch.table, part, batch.file)
            self._add_rows(batch, rows, numbers[first : first + rows.num_rows])
            first += rows.num_rows
        if not first:
            # An empty file must have the right columns too.
            cast_batch(batch.table, _make_empty_batch(batch.rows.schema), batch.file)

    def _check_order(self, batch: RawBatch) -> None:
        if batch.table not in SCHEMAS:
            raise LogError(
                batch.file,
                f"the table of a batch must be one of {', '.join(SCHEMAS)}",
                repr(batch.table),
                "give the batch one of these names.",
            )
        if batch.table == "documents" and self._documents is not None and batch.rows.num_rows:
            raise LogError(
                batch.file,
                "all documents must come before the first request or browse",
                "documents after them",
                "add the documents first.",
            )

    def _add_rows(self, batch: RawBatch, rows: pa.RecordBatch, numbers: Integers) -> None:
        """Write canonical rows; requests whose answers are withheld go to a table of their own."""
        if batch.table == "requests":
            withheld = row_rules.are_unlabeled(rows["split"])
            if withheld.any():
                chosen = rows.filter(pa.array(withheld))
                self._add_to("unlabeled", batch.file, chosen, numbers[withheld])
                rows, numbers = rows.filter(pa.array(~withheld)), numbers[~withheld]
        self._add_to(batch.table, batch.file, rows, numbers)

    def _add_to(self, table: str, file: str, rows: pa.RecordBatch, numbers: Integers) -> None:
        """Validate, mask and write canonical rows with raw user ids."""
        faults = Faults(rows.num_rows)
        if table != "documents" and self._adds_documents:
            self._add_unknown(table, file, rows)
        if table == "documents":
            row_rules.check_documents(rows, faults)
        elif table == "browses":
            row_rules.check_browses(rows, self._all_documents(), faults)
        else:
            row_rules.check_requests(rows, self._all_documents(), faults)
            row_rules.check_splits(rows, faults)
        self._read[table] += rows.num_rows
        if not faults.kept.all():
            self._quarantine.add(faults.rejected(table, file, numbers))
            rows, numbers = rows.filter(pa.array(faults.kept)), numbers[faults.kept]
        if table == "documents":
            self._document_ids.append(rows["doc_id"])
        else:
            column = rows.schema.get_field_index("user_id")
            masked = self.mask(rows["user_id"])
            rows = rows.set_column(column, rows.schema.field(column), masked)
        if table == "requests":
            self._add_splits(file, rows.select(SPLITS.names), numbers)
        if table in ("requests", "unlabeled"):
            rows = rows.select(REQUESTS.names)
        self._open_table(table).write(rows, file, numbers)

    def _add_unknown(self, table: str, file: str, rows: pa.RecordBatch) -> None:
        """Add the documents of lists or browses that the source lacks, with their ids as titles."""
        new = row_rules.find_unknown_documents(rows, table, known := self._all_documents())
        if len(new):
            self._documents = pa.concat_arrays([known, new])
            added = pa.record_batch({"doc_id": new, "title": new})
            self._read["documents"] += len(new)
            self._tables["documents"].write(
                cast_batch("documents", added, file), file, np.zeros(len(new), np.int64)
            )

    def _add_splits(self, file: str, rows: pa.RecordBatch, numbers: Integers) -> None:
        """Write the splits of requests if a source gives some."""
        given = pc.fill_null(pc.not_equal(rows["split"], ""), False)
        if pc.any(given).as_py():
            splits = pc.if_else(given, rows["split"], None)
            self._open_table("splits").write(rows.set_column(1, "split", splits), file, numbers)

    def _all_documents(self) -> pa.Array:
        """Return the ids of all documents; no more documents may be added afterwards."""
        if self._documents is None:
            self._documents = pa.concat_arrays([pa.array([], pa.string()), *self._document_ids])
            self._document_ids = []
        return self._documents

    def finish(self, source: Mapping[str, Any] | None = None) -> LogReport:
        """Reject duplicates, check the share of the quarantine, write log.json and rename.

        Args:
            source: Description of the source, for log.json; plain values.

        Raises:
            LogError: Too many rows were rejected, or no request and no browse is left. In the
                first case the quarantine stays in LOG.tmp.
        """
        for name, table in self._tables.items():
            table.close()
            requests = self._tables["requests"].path if name == "unlabeled" else None
            for rejected in table.remove_repeated(requests):
                # The request of a repeated split is in the quarantine already.
                if name != "splits":
                    self._quarantine.add(rejected)
        self._quarantine.close()
        self._check_share()
        report = summarize_log(self.folder, self._count_rows())
        if not report.tables["requests"].kept + report.tables["browses"].kept:
            raise LogError(
                os.fspath(self.path),
                "a log must hold a request or a browse",
                "none",
                "check that the input is complete.",
            )
        self._write_manifest(report, dict(source or {}))
        self.rename()
        return report

    def _check_share(self) -> None:
        """Keep only the quarantine and raise an error if too many rows are in it."""
        share = self._settings.quarantine_share
        excess = describe_excess(self._read, self._quarantine, share)
        if excess is None:
            return
        quarantine = self.folder / _QUARANTINE_FILE
        for path in self.folder.iterdir():
            if path != quarantine:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.keep = True
        raise LogError(
            os.fspath(self.path),
            f"the rejected rows of a table must be at most {share:.2%} of its rows "
            "(`quarantine_share`)",
            f"{sum(counts.total() for counts in self._quarantine.counts.values())} rejected rows",
            f"correct the source (all rejected rows are in {quarantine}), or raise "
            f"--quarantine_share.\n{excess}",
        )

    def _count_rows(self) -> dict[str, TableReport]:
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

    def _write_manifest(self, report: LogReport, source: dict[str, Any]) -> None:
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "source": source,
            # The path of the key stays private.
            "settings": flagtree.to_dict(dataclasses.replace(self._settings, key_file="")),
            "key_fingerprint": self.mask.fingerprint,
            "report": report.to_dict(),
            "warnings": to_plain(judge_log(self.folder)),
            "files": describe_files(self.folder),
        }
        with open(self.folder / LOG_FILE, "w", encoding="utf-8") as file:
            file.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _make_empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema.names)
