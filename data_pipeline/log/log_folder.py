"""The behavior log: a folder of canonical tables, validated, with masked users.

documents.parquet requests.parquet browses.parquet   the tables of `data_pipeline.log.schema`
unlabeled.parquet                                    requests whose answers are withheld, if any
splits.parquet                                       published splits of requests, if any
quarantine.parquet                                   every rejected row, with file, row and rule
log.json                                             written last: counts, warnings, settings,
                                                     checksums

A log is written under LOG.tmp and renamed when complete, so an incomplete log is never opened. Rows
keep the order of the source. Same rows, settings and key give the same bytes.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from data_pipeline.common import flagtree
from data_pipeline.common.checksums import checksum
from data_pipeline.common.data_warnings import DataWarning, from_plain
from data_pipeline.log.log_summary import LogReport
from data_pipeline.log.log_writer import LOG_FILE, SCHEMA_VERSION, LogWriter
from data_pipeline.log.raw_rows import RawBatch, Rejected
from data_pipeline.log.schema import SCHEMAS, LogError
from data_pipeline.settings import LogSettings


@dataclasses.dataclass(frozen=True)
class Log:
    """An opened log: the paths of its tables, counts, warnings, the settings and the source.

    `key_fingerprint` identifies the masking key; None without masking, or in an older log.
    """

    folder: pathlib.Path
    documents: pathlib.Path
    requests: pathlib.Path
    browses: pathlib.Path
    quarantine: pathlib.Path
    report: LogReport
    warnings: list[DataWarning]
    settings: LogSettings
    key_fingerprint: str | None
    source: dict[str, Any]


def write_log(
    folder: str | os.PathLike[str],
    batches: Iterable[RawBatch | Rejected],
    settings: LogSettings,
    source: Mapping[str, Any] | None = None,
    add_documents: bool = False,
) -> LogReport:
    """Write a complete log from raw rows; see `LogWriter`.

    Args:
        folder: Folder of the log; must not exist.
        batches: Raw rows, documents first.
        settings: Masking and quarantine.
        source: Description of the source, for log.json; read after the last batch, so an importer
            may fill it while it yields batches.
        add_documents: As for `LogWriter`.

    Raises:
        LogError: A file has an error, or too many of its rows are rejected.
        ValueError: Masking is on and there is no key.

    Example:
        >>> import datetime, tempfile
        >>> import pyarrow as pa
        >>> noon = datetime.datetime(2024, 1, 1, 12)
        >>> documents = pa.table({"doc_id": ["a"], "title": ["A title"]})
        >>> browses = pa.table({"user_id": ["anna"], "time": [noon], "doc_id": ["a"]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = write_log(
        ...         f"{folder}/log",
        ...         [RawBatch("documents", documents, "x"), RawBatch("browses", browses, "x")],
        ...         LogSettings(mask_users=False),
        ...     )
        ...     open_log(f"{folder}/log").report == report, report.tables["browses"].kept
        (True, 1)
    """
    with LogWriter(folder, settings, add_documents) as writer:
        for batch in batches:
            writer.add(batch)
        return writer.finish(source)


def open_log(folder: str | os.PathLike[str], checksums: bool = True) -> Log:
    """Open a log folder after checking that it is complete.

    Args:
        folder: Folder of the log.
        checksums: Also read all files and compare their checksums.

    Raises:
        LogError: The log is missing or incomplete, has another schema version, or was altered.
    """
    root, name = pathlib.Path(folder), os.fspath(folder)
    try:
        manifest = json.loads((root / LOG_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LogError(
            name,
            f"a log must be a folder with {LOG_FILE}, which is written last",
            "a folder without it" if root.is_dir() else "no folder",
            "check --log, or write the log again: "
            "python -m data_pipeline.import_log or python -m data_pipeline.simulate.",
        ) from None
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise LogError(
            name,
            f"the log's schema version must be {SCHEMA_VERSION}",
            version,
            "import or simulate it again: another version of the program wrote it.",
        )
    for file, entry in manifest["files"].items():
        path = root / file
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            found = f"{path.stat().st_size} bytes" if path.is_file() else "no such file"
        elif checksums and checksum(path) != entry["sha256"]:
            found = "another checksum"
        else:
            continue
        raise LogError(
            os.fspath(path),
            f"a file of a log must be unchanged ({entry['bytes']} bytes, sha256 "
            f"{entry['sha256'][:12]}...)",
            found,
            "restore it, or write the log again.",
        )
    return Log(
        folder=root,
        **{table: root / f"{table}.parquet" for table in (*SCHEMAS, "quarantine")},
        report=LogReport.from_dict(manifest["report"]),
        # Logs written before there were warnings have none.
        warnings=from_plain(manifest.get("warnings", [])),
        settings=flagtree.from_dict(LogSettings, manifest["settings"]),
        key_fingerprint=manifest.get("key_fingerprint"),
        source=manifest["source"],
    )
