"""The mapping from the columns of a file to canonical columns, where the names differ.

`--columns=requests.user_id=uid,requests.time=ts` maps column `uid` of requests files to `user_id`,
and `ts` to `time`; other columns keep their canonical names. `requests.time=ts:ms` says that times
are integers: seconds (s), milliseconds (ms) or microseconds (us) since 1970. A file of a table that is mapped may
have more columns: they are left out, and listed in the summary. A file of any other table must have
the canonical columns and no others. The ids of documents may be their titles too:
`--columns=documents.title=doc_id`.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from data_pipeline.log.schema import (
    OPTIONAL,
    RAW_SCHEMAS,
    TIME,
    LogError,
    check_columns,
    columns_found,
)

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
"""Microseconds of each unit of integer times."""

IDS_AS_TITLES = {"doc_id", "title"}
"""Columns that one column of a file may fill: documents without titles have their ids as words."""

FORM = "--columns=requests.user_id=uid,requests.time=ts"


@dataclasses.dataclass(frozen=True)
class FileColumns:
    """The columns of one file.

    Attributes:
        sources: Column of the file for each canonical one that it has, in canonical order.
        left_out: Its other columns.
    """

    sources: Mapping[str, str]
    left_out: Sequence[str]


def take_units(pairs: Sequence[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Split the units of integer times off "table.column=source column:unit" pairs.

    Returns:
        The pairs without units; by table, the unit of each time column that has one.

    Example:
        >>> take_units(["requests.time=ts:ms", "requests.user_id=uid:s"])
        (['requests.time=ts', 'requests.user_id=uid:s'], {'requests': {'time': 'ms'}})
    """
    plain: list[str] = []
    units: dict[str, dict[str, str]] = {}
    for pair in pairs:
        table, _, column = pair.partition("=")[0].partition(".")
        source, _, unit = pair.rpartition(":")
        names = RAW_SCHEMAS[table].names if table in RAW_SCHEMAS else []
        if column in names and RAW_SCHEMAS[table].field(column).type == TIME and unit in UNITS:
            units.setdefault(table, {})[column] = unit
            pair = source
        plain.append(pair)
    return plain, units


def parse_columns(pairs: Sequence[str]) -> dict[str, dict[str, str]]:
    """Parse "table.column=source column" pairs.

    Returns:
        By table, the source column of each canonical column named.

    Raises:
        ValueError: A pair has another form, names no canonical column, or repeats a column of its
            table.

    Example:
        >>> parse_columns(["requests.user_id=uid", "requests.time=ts", "browses.user_id=uid"])
        {'requests': {'user_id': 'uid', 'time': 'ts'}, 'browses': {'user_id': 'uid'}}
    """
    mapping: dict[str, dict[str, str]] = {}
    for pair in pairs:
        name, _, source = pair.partition("=")
        table, _, column = name.partition(".")
        if not (table and column and source):
            raise _error("pairs of a canonical column and a source column", pair, f"write {FORM}.")
        if table not in RAW_SCHEMAS:
            tables = ", ".join(RAW_SCHEMAS)
            raise _error("tables of a log", pair, f"name one of {tables}.")
        if column not in RAW_SCHEMAS[table].names:
            known = ", ".join(RAW_SCHEMAS[table].names)
            raise _error("canonical columns", pair, f"name a column of {table}: {known}.")
        taken = mapping.setdefault(table, {})
        if column in taken:
            raise _error(f"`{table}.{column}` once", pair, "remove one of the two pairs.")
        if source in taken.values() and {column, *_columns_of(taken, source)} != IDS_AS_TITLES:
            fix = "remove one of the two pairs; if both need its values, copy the column."
            raise _error(f"the column `{source}` of {table} once", pair, fix)
        taken[column] = source
    return mapping


def _columns_of(mapping: Mapping[str, str], source: str) -> list[str]:
    return [column for column, taken in mapping.items() if taken == source]


def _error(what: str, pair: str, fix: str) -> ValueError:
    return ValueError(f"`columns` must name {what}. Got {pair!r}. Fix: {fix}")


def file_columns(
    table: str, names: Sequence[str], file: str, mapping: Mapping[str, str], sparse: bool = False
) -> FileColumns:
    """Find the canonical columns of a file.

    Args:
        table: Its table.
        names: Names of its columns.
        file: Its name in messages.
        mapping: Source column of the canonical columns that have another name in it. If empty, the
            file must have the canonical columns and no others.
        sparse: Whether rows may have optional columns that `names`, of the first row, lacks.

    Raises:
        LogError: A column is missing or repeated, or is unknown and nothing is mapped.

    Example:
        >>> mapping = {"user_id": "uid"}
        >>> file_columns("browses", ["doc_id", "time", "uid", "page"], "b.csv", mapping).left_out
        ['page']
    """
    if not mapping:
        check_columns(table, list(names), file)
    sources: dict[str, str] = {}

    def wrong(what: str, fix: str) -> LogError:
        found = columns_found(names, {*RAW_SCHEMAS[table].names, *mapping.values()})
        return LogError(file, f"a {table} file must have the column {what}", found, fix)

    for name in RAW_SCHEMAS[table].names:
        source = mapping.get(name, name)
        others = {*_columns_of(mapping, source), name}
        if name not in mapping and source in mapping.values() and others != IDS_AS_TITLES:
            count = 0
        else:
            count = names.count(source) or int(sparse and name in OPTIONAL)
        if count == 1:
            sources[name] = source
        elif count:
            raise wrong(f"`{source}` once", "remove one of them.")
        elif name in mapping:
            what = f"`{source}`, which --columns names for `{name}`"
            raise wrong(what, "check --columns.")
        elif name not in OPTIONAL:
            raise wrong(f"`{name}`", f"name the column that holds it: --columns={table}.{name}=...")
    return FileColumns(sources, [name for name in names if name not in sources.values()])


def check_needed(
    file: str, what: str, names: Sequence[str], needed: Sequence[str], fix: str
) -> None:
    """Raise an error if a file lacks a column that is read, or repeats it.

    Args:
        file: Its name in messages.
        what: Kind of the file, such as "a mind file".
        names: Names of its columns.
        needed: Columns that are read.
        fix: What to do if one is missing.

    Raises:
        LogError: With the first such column.
    """
    for column in needed:
        count = names.count(column)
        if count != 1:
            raise LogError(
                file,
                f"{what} must have the column `{column}`{' once' if count else ''}",
                columns_found(names, needed),
                "remove one of them." if count else fix,
            )


class ColumnNames:
    """The names of columns in the files of a source, and the columns left out.

    Args:
        pairs: Canonical columns with another name in the files, for `take_units` and
            `parse_columns`.

    Attributes:
        mapping: By table, the source column of each canonical column named.
        units: By table, the unit of each time column whose times are integers.
        left_out: By file, the columns that were left out.
    """

    def __init__(self, pairs: Sequence[str]) -> None:
        plain, self.units = take_units(pairs)
        self.mapping = parse_columns(plain)
        self.left_out: dict[str, list[str]] = {}

    def find(
        self, table: str, file: str, names: Sequence[str] | None, sparse: bool = False
    ) -> FileColumns:
        """Return the `file_columns` of a file; with `names` None, the columns it should have."""
        mapping = self.mapping.get(table, {})
        if names is None:
            names = list(
                dict.fromkeys(mapping.get(name, name) for name in RAW_SCHEMAS[table].names)
            )
        columns = file_columns(table, names, file, mapping, sparse)
        if columns.left_out:
            self.left_out[file] = list(columns.left_out)
        return columns
