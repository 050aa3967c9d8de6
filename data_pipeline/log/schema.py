"""The canonical tables of a behavior log: their columns, and the cast of raw columns to them.

A recommendation is a search with an empty query, so one table holds both kinds of request. Times
are UTC: a time without a zone is read as UTC, a time with a zone is converted.
"""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("us", tz="UTC")

ITEM = pa.struct(
    [
        ("doc_id", pa.string()),
        ("clicked", pa.bool_()),
        ("click_time", TIME),
        ("dwell_seconds", pa.float64()),
    ]
)
"""One result of a shown list; click_time and dwell_seconds are null where unknown."""

DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("published", TIME),
    ]
)
"""One row per document; title may be empty, category and published may be null."""

REQUESTS = pa.schema(
    [
        ("request_id", pa.string()),
        ("user_id", pa.string()),
        ("time", TIME),
        ("query", pa.string()),
        ("results", pa.list_(ITEM)),
    ]
)
"""One row per shown list; query "" is a recommendation; results are in shown order."""

BROWSES = pa.schema(
    [
        ("user_id", pa.string()),
        ("time", TIME),
        ("doc_id", pa.string()),
        ("dwell_seconds", pa.float64()),
    ]
)
"""One row per opened document whose list was not logged."""

QUARANTINE = pa.schema(
    [
        ("table", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("rule", pa.string()),
        ("value", pa.string()),
        ("message", pa.string()),
    ]
)
"""One row per rejected raw row: its file and row (data rows count from 1), the rule it broke, the
form of the value that broke it (never the value, which may be a user id), the rule and the fix."""

SCHEMAS = {"documents": DOCUMENTS, "requests": REQUESTS, "browses": BROWSES}

SPLITS = pa.schema([("request_id", pa.string()), ("split", pa.string())])
"""Published split of requests (train, validation, test), null where none is given."""

EXTRA_SCHEMAS = {"unlabeled": REQUESTS, "splits": SPLITS}
"""Tables that a log has only where its source says `split`: requests whose answers are withheld, and
the splits of the others."""

RAW_SCHEMAS = {**SCHEMAS, "requests": REQUESTS.append(SPLITS.field("split"))}
"""Columns that a source may give of each table. `split` "unlabeled": the clicks of the list are
withheld."""

OPTIONAL = frozenset({"category", "published", "click_time", "dwell_seconds", "split"})
"""Columns that a source may leave out; they are null then."""

IDS = frozenset({"doc_id", "request_id", "user_id"})
"""Columns that a source may give as integers; the log has their digits."""


class LogError(ValueError):
    """An error of a complete file or log, as opposed to single rows, which are quarantined.

    Args:
        file: File or folder with the error.
        rule: The rule that is broken ("the file must ..."), without a full stop.
        value: Form or name of what was found instead, never a raw value of a row.
        fix: What to do, beginning with a verb.
    """

    def __init__(self, file: str, rule: str, value: object, fix: str):
        super().__init__(f"{file}: {rule}. Got {str(value).rstrip('.')}. Fix: {fix}")


def columns_found(names: Sequence[str], known: Collection[str]) -> str:
    """Return the columns of a file for a message: known ones by name, others by their position.

    The first line of a file without a header holds no names: it may hold a user id.

    Example:
        >>> columns_found(["time", "anna", "doc_id"], {"user_id", "time", "doc_id"})
        'columns time, doc_id and 1 other, in position 2'
    """
    shown = ", ".join(name for name in names if name in known)
    others = [str(position) for position, name in enumerate(names, 1) if name not in known]
    if not others:
        return f"columns {shown}"
    positions = ", ".join(others[:9]) + ", ..." * (len(others) > 9)
    count = f"{len(others)} other{'s' * (len(others) > 1)}, in position {positions}"
    return f"columns {shown} and {count}" if shown else f"columns of other names: {count}"


def check_columns(table: str, names: list[str], file: str) -> None:
    """Raise an error if a file lacks a column of `table`, repeats one, or has an unknown one.

    Raises:
        LogError: With the file and the columns.

    Example:
        >>> check_columns("browses", ["user_id", "time", "document"], "browses.csv")
        Traceback (most recent call last):
        ...
        data_pipeline.log.schema.LogError: browses.csv: a browses file must have the column ...
    """
    _check_names(table, names, RAW_SCHEMAS[table].names, file)


def _check_names(what: str, names: list[str], wanted: list[str], file: str) -> None:
    found = columns_found(names, wanted)
    missing = [name for name in wanted if name not in names and name not in OPTIONAL]
    if missing:
        raise LogError(
            file,
            f"a {what} file must have the column `{missing[0]}`",
            found,
            f"add or rename it; the columns of {what} are {', '.join(wanted)}.",
        )
    extra = [name for name in names if name not in wanted]
    if extra:
        raise LogError(
            file,
            f"a {what} file must not have columns with other names than {', '.join(wanted)}",
            found,
            "remove or rename them.",
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise LogError(
            file,
            f"a {what} file must have the column `{twice[0]}` only once",
            found,
            "remove one of them.",
        )


def cast_batch(table: str, rows: pa.RecordBatch, file: str) -> pa.RecordBatch:
    """Cast raw columns to the canonical ones; missing optional columns become null.

    Only lossless casts are done: strings of any Arrow layout, ids from integers too, times of any
    unit (nanoseconds are cut to microseconds), dwell from any number. Text is not parsed here: importers parse it.

    Raises:
        LogError: A column is missing or unknown, or has a type that does not fit.

    Example:
        >>> raw = pa.record_batch({"doc_id": ["a"], "title": pa.array(["A"], pa.large_string())})
        >>> cast_batch("documents", raw, "memory").schema == RAW_SCHEMAS["documents"]
        True
    """
    check_columns(table, rows.schema.names, file)
    columns = []
    for field in RAW_SCHEMAS[table]:
        if field.name not in rows.schema.names:
            columns.append(pa.nulls(rows.num_rows, field.type))
        elif pa.types.is_list(field.type):
            columns.append(_cast_results(rows.column(field.name), file))
        else:
            columns.append(_cast(rows.column(field.name), field, field.name, file))
    return pa.RecordBatch.from_arrays(columns, schema=RAW_SCHEMAS[table])


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _cast(column: pa.Array, field: pa.Field, name: str, file: str) -> pa.Array:
    """Cast one column to `field.type`; a column of nulls only has no type and always fits."""
    kind, wanted = column.type, field.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), wanted)
    if pa.types.is_string(wanted):
        is_number = field.name in IDS and pa.types.is_integer(kind)
        fits, expected = is_number or _is_text(kind), "text"
    elif pa.types.is_timestamp(wanted):
        fits, expected = pa.types.is_timestamp(kind), "a timestamp"
    elif pa.types.is_boolean(wanted):
        fits, expected = pa.types.is_boolean(kind), "a boolean"
    else:
        fits, expected = pa.types.is_floating(kind) or pa.types.is_integer(kind), "a number"
    fix = f"write the column as {wanted}."
    if pa.types.is_timestamp(wanted) and pa.types.is_integer(kind):
        fix = "say the unit of its integers: --columns=requests.time=time:ms."
    if not fits:
        raise LogError(file, f"the column `{name}` must be {expected}", f"type {kind}", fix)
    # Nanoseconds lose their last digits on purpose; any other loss is an error.
    cut = pa.types.is_timestamp(kind) and kind.unit == "ns"
    try:
        return column.cast(wanted, safe=not cut)
    except pa.ArrowInvalid as error:
        # Arrow's own message quotes the value.
        found = f"a value of type {kind} that does not"
        raise LogError(file, f"the column `{name}` must fit {wanted}", found, fix) from error


def _cast_results(column: pa.Array, file: str) -> pa.Array:
    """Cast the results column to a list of `ITEM`; a null list stays null."""
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), REQUESTS.field("results").type)
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(test(kind) for test in lists) or not (
        pa.types.is_struct(kind.value_type) or pa.types.is_null(kind.value_type)
    ):
        raise LogError(
            file,
            "the column `results` must be a list of structs",
            f"type {kind}",
            f"write the column as {REQUESTS.field('results').type}.",
        )
    items = column.flatten()
    if pa.types.is_null(kind.value_type):
        results = pa.nulls(len(items), ITEM)
    else:
        names = [field.name for field in kind.value_type]
        _check_names("results", names, [field.name for field in ITEM], file)
        fields = [
            _cast(pc.struct_field(items, [field.name]), field, f"results.{field.name}", file)
            if field.name in names
            else pa.nulls(len(items), field.type)
            for field in ITEM
        ]
        results = pa.StructArray.from_arrays(fields, fields=list(ITEM))
    lengths = pc.list_value_length(column).fill_null(0).cast(pa.int32())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, results, mask=column.is_null())
