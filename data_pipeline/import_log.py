"""`python -m data_pipeline.import_log`: a behavior log from the files of a source.

    python -m data_pipeline.import_log --source=trivago --input=sessions.csv.gz --output=LOG
    python -m data_pipeline.import_log --source=tables --input=FOLDER --output=LOG
    python -m data_pipeline.import_log --input=FOLDER --output=LOG --columns=requests.user_id=uid

User ids are masked with the owner's key (--key_file, or the environment variable
USER_TF_USER_KEY). Rows that break a rule go to LOG/quarantine.parquet.
"""

import dataclasses
import pathlib
import types
from collections.abc import Sequence
from typing import Any

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.settings import LogSettings

SOURCES = ("tables", "diginetica", "jdsearch", "kuaisar", "mind", "qilin", "trivago")


@dataclasses.dataclass(frozen=True)
class ImportSettings:
    """Where a log comes from and where it goes."""

    source: str = setting("tables", "Format of the input.", choices=SOURCES)
    input: str = setting("", "File of the source, or folder of its files.")
    output: str = setting("", "Folder of the behavior log to write; must not exist.")
    columns: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={
            "help": "Columns with other names in the files of `tables`, like requests.user_id=uid."
        },
    )


def importers() -> dict[str, types.ModuleType]:
    """The importers by name: modules with `read(path) -> Source`. To add one, add it here."""
    from data_pipeline.importers import diginetica, jdsearch, kuaisar, mind, qilin, tables, trivago

    return {
        "diginetica": diginetica,
        "jdsearch": jdsearch,
        "kuaisar": kuaisar,
        "mind": mind,
        "qilin": qilin,
        "tables": tables,
        "trivago": trivago,
    }


def import_log(settings: ImportSettings, log: LogSettings) -> str:
    """Imports a log and returns a summary to read.

    Raises:
        LogError: The input is wrong as a whole, or too many of its rows are, or the log cannot be
            written.
        FolderInUse: Another run is writing the log.
        ValueError: A setting is missing, or there is no masking key.
    """
    from data_pipeline.log.log_folder import LogError, write_log

    for name in ("input", "output"):
        if not getattr(settings, name):
            raise ValueError(f'`{name}` must be given. Received: `{name}` = "". Set --{name}.')
    if settings.columns and settings.source != "tables":
        raise ValueError(
            "`columns` must be left out of all sources but `tables`, which have columns of their "
            f"own. Received: `source` = {settings.source!r}. Remove --columns."
        )
    read = importers()[settings.source].read
    path = pathlib.Path(settings.input)
    source = read(path, settings.columns) if settings.columns else read(path)
    try:
        report = write_log(settings.output, source.batches, log, source.description)
    except OSError as error:
        raise LogError(
            settings.output,
            "the log must be written to its end",
            error.strerror or type(error).__name__,
            "Nothing of it is left. Make room, or set --output to a place that can be written.",
        ) from error
    lines = [*_what_was_read(source.description), report.summary()]
    return "\n".join([*lines, f"Wrote {settings.output}."])


def _what_was_read(description: dict[str, Any]) -> list[str]:
    """Lines about the raw rows and columns, for a source that tells what became of them."""
    lines = [
        f"{file}: left out the columns {', '.join(columns)}"
        for file, columns in description.get("left_out", {}).items()
    ]
    read = description.get("read", {})
    if "actions" not in read:
        return lines
    lines += [f"{', '.join(description['files'])}: {read['rows']:,} rows"]
    for action, outcomes in read["actions"].items():
        told = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.items())
        lines.append(f"  {action:<26}{sum(outcomes.values()):>10,}  {told}")
    return lines


def main(arguments: Sequence[str]) -> None:
    """Imports a log as the flags tell."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    try:
        print(import_log(flagtree.read(ImportSettings), flagtree.read(LogSettings)))
    except ValueError as error:
        # A person's mistake or a fault of the input: the message says it all.
        raise SystemExit(f"error: {error}") from error


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(ImportSettings)
    flagtree.define(LogSettings)
    app.run(main)


if __name__ == "__main__":
    run()
