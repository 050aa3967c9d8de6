"""`python -m data_pipeline.import_log`: write a behavior log from the files of a source.

    python -m data_pipeline.import_log --source=trivago --input=sessions.csv.gz --output=LOG
    python -m data_pipeline.import_log --source=tables --input=FOLDER --output=LOG
    python -m data_pipeline.import_log --input=FOLDER --output=LOG --columns=requests.user_id=uid

User ids are masked with the owner's key (--key_file, or the environment variable
USER_TF_USER_KEY). Rows that break a rule go to LOG/quarantine.parquet.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.importers.sources import SOURCES, describe_rows, read_source
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """Source and output of an import."""

    source: str = setting("tables", "Format of the input.", choices=SOURCES)
    input: str = setting("", "File of the source, or folder of its files.", path=True)
    output: str = setting("", "Folder of the behavior log to write; must not exist.", path=True)
    columns: tuple[str, ...] = setting(
        (), "Columns with other names in the files of `tables`, like requests.user_id=uid."
    )
    add_documents: bool = setting(
        False,
        "Add documents that lists or browses name and the source lacks, with their ids as titles; off: "
        "such rows are quarantined.",
    )


def import_log(settings: ImportSettings, log: LogSettings) -> str:
    """Import a log and return a summary to read.

    Raises:
        LogError: The input has an error, too many rows are rejected, or the log cannot be written.
        FolderInUse: Another run is writing the log.
        ValueError: A setting is missing, or there is no masking key.
    """
    for name in ("input", "output"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` must be given. Got ''. Fix: set --{name}.")
    source = read_source(settings.source, pathlib.Path(settings.input), settings.columns)
    try:
        report = write_log(
            settings.output, source.batches, log, source.description, settings.add_documents
        )
    except OSError as error:
        raise LogError(
            settings.output,
            "the log must be written to its end",
            error.strerror or type(error).__name__,
            "make room, or set --output to a folder that can be written; nothing was kept.",
        ) from error
    warnings = map(str, open_log(settings.output, checksums=False).warnings)
    lines = [*describe_rows(source), report.summary(), *warnings, f"Wrote {settings.output}."]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Import a log as set by flags."""
    print(import_log(flagtree.read(ImportSettings), flagtree.read(LogSettings)))


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    for settings in (ImportSettings, LogSettings):
        flagtree.define(settings)
    command_line.run(main)


if __name__ == "__main__":
    run()
