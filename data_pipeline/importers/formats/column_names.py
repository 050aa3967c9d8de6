"""Which column of a file holds which canonical one, where the names differ.

`--columns=requests.user_id=uid,requests.time=ts` says that in files of requests the column `uid`
holds `user_id`, and `ts` holds `time`; the others keep their canonical names. A file of a table
named there may have columns beside these: they are left out, and told. A file of any other table
must have the canonical columns and no others.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from data_pipeline.log.schema import OPTIONAL, SCHEMAS, LogError, check_columns, columns_found

FORM = "--columns=requests.user_id=uid,requests.time=ts"


@dataclasses.dataclass(frozen=True)
class FileColumns:
    """The columns of one file.

    Attributes:
        sources: Column of the file for each canonical one that it has, in canonical order.
        left_out: Its columns that are none of these.
    """

    sources: Mapping[str, str]
    left_out: Sequence[str]


def parse_columns(pairs: Sequence[str]) -> dict[str, dict[str, str]]:
    """Reads "table.column=source column" pairs.

    Returns:
        By table, the source column of each canonical one named.

    Raises:
        ValueError: A pair has another form, names no canonical column, or one of either kind stands
            twice in a table.

    Example:
        >>> parse_columns(["requests.user_id=uid", "requests.time=ts", "browses.user_id=uid"])
        {'requests': {'user_id': 'uid', 'time': 'ts'}, 'browses': {'user_id': 'uid'}}
    """
    mapping: dict[str, dict[str, str]] = {}
    for pair in pairs:
        name, _, source = pair.partition("=")
        table, _, column = name.partition(".")
        if not (table and column and source):
            raise _error("pairs of a canonical column and a source column", pair, f"Write {FORM}.")
        if table not in SCHEMAS:
            tables = ", ".join(SCHEMAS)
            raise _error("tables of a log", pair, f"The tables are {tables}.")
        if column not in SCHEMAS[table].names:
            known = ", ".join(SCHEMAS[table].names)
            raise _error("canonical columns", pair, f"The columns of {table} are {known}.")
        taken = mapping.setdefault(table, {})
        if column in taken:
            raise _error(f"`{table}.{column}` once", pair, "Remove one of the two pairs.")
        if source in taken.values():
            mend = "Remove one of the two pairs; a value that both need must stand in two columns."
            raise _error(f"the column `{source}` of {table} once", pair, mend)
        taken[column] = source
    return mapping


def _error(what: str, pair: str, mend: str) -> ValueError:
    return ValueError(f"`columns` must name {what}. Received: {pair!r}. {mend}")


def file_columns(
    table: str, names: Sequence[str], file: str, mapping: Mapping[str, str], sparse: bool = False
) -> FileColumns:
    """Finds the columns of a file.

    Args:
        table: Its table.
        names: Names of its columns.
        file: Its name in messages.
        mapping: Source column of the canonical ones that have another name in it; empty: it must
            have the canonical columns and no others.
        sparse: Whether rows may have optional columns that `names`, of the first row, lacks.

    Raises:
        LogError: A column is missing or stands twice, or is unknown where nothing is mapped.

    Example:
        >>> mapping = {"user_id": "uid"}
        >>> file_columns("browses", ["doc_id", "time", "uid", "page"], "b.csv", mapping).left_out
        ['page']
    """
    if not mapping:
        check_columns(table, list(names), file)
    sources: dict[str, str] = {}

    def wrong(what: str, mend: str) -> LogError:
        found = columns_found(names, {*SCHEMAS[table].names, *mapping.values()})
        return LogError(file, f"a {table} file must have the column {what}", found, mend)

    for name in SCHEMAS[table].names:
        source = mapping.get(name, name)
        if name not in mapping and source in mapping.values():
            count = 0
        else:
            count = names.count(source) or int(sparse and name in OPTIONAL)
        if count == 1:
            sources[name] = source
        elif count:
            raise wrong(f"`{source}` once", "Remove one of them.")
        elif name in mapping:
            what = f"`{source}`, which --columns names for `{name}`"
            raise wrong(what, "Check --columns.")
        elif name not in OPTIONAL:
            mend = f"Tell which one holds it: --columns={table}.{name}=..."
            raise wrong(f"`{name}`", mend)
    return FileColumns(sources, [name for name in names if name not in sources.values()])


def check_needed(
    file: str, what: str, names: Sequence[str], needed: Sequence[str], mend: str
) -> None:
    """Refuses a file that lacks a column that is read, or has it twice.

    Args:
        file: Its name in messages.
        what: What it is, such as "a mind file".
        names: Names of its columns.
        needed: Those that are read.
        mend: What to do if one is missing.

    Raises:
        LogError: Naming the first such column.
    """
    for column in needed:
        count = names.count(column)
        if count != 1:
            raise LogError(
                file,
                f"{what} must have the column `{column}`{' once' if count else ''}",
                columns_found(names, needed),
                "Remove one of them." if count else mend,
            )


class ColumnNames:
    """The names of columns in the files of a source; remembers which were left out.

    Args:
        pairs: Canonical columns that have another name in the files, for `parse_columns`.

    Attributes:
        mapping: By table, the source column of each canonical one named.
        left_out: By file, the columns that were left out.
    """

    def __init__(self, pairs: Sequence[str]) -> None:
        self.mapping = parse_columns(pairs)
        self.left_out: dict[str, list[str]] = {}

    def find(
        self, table: str, file: str, names: Sequence[str] | None, sparse: bool = False
    ) -> FileColumns:
        """`file_columns` of a file; those it should have if its `names` are None."""
        mapping = self.mapping.get(table, {})
        if names is None:
            names = list(dict.fromkeys(mapping.get(name, name) for name in SCHEMAS[table].names))
        columns = file_columns(table, names, file, mapping, sparse)
        if columns.left_out:
            self.left_out[file] = list(columns.left_out)
        return columns
