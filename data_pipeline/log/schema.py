"""The canonical tables of a behavior log: their columns, and raw columns cast to them.

A recommendation is a search with an empty query, so one table holds both kinds of request. Times
are UTC; a time without a zone is taken as UTC, one with a zone is converted.
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
"""One place of a shown list; click_time and dwell_seconds are null where unknown."""

DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("published", TIME),
    ]
)
"""One row a document; title may be empty, category and published may be null."""

REQUESTS = pa.schema(
    [
        ("request_id", pa.string()),
        ("user_id", pa.string()),
        ("time", TIME),
        ("query", pa.string()),
        ("results", pa.list_(ITEM)),
    ]
)
"""One row a ranked list; query "" is a recommendation, results stand in shown order."""

BROWSES = pa.schema(
    [
        ("user_id", pa.string()),
        ("time", TIME),
        ("doc_id", pa.string()),
        ("dwell_seconds", pa.float64()),
    ]
)
"""One row an article read whose list was not logged."""

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
"""One row a rejected raw row: where it stood (row counts data rows from 1), the rule it broke, the
form of the value that broke it (never the value, which may be a user id) and the mend."""

SCHEMAS = {"documents": DOCUMENTS, "requests": REQUESTS, "browses": BROWSES}
OPTIONAL = frozenset({"category", "published", "click_time", "dwell_seconds"})
"""Columns a source may leave out; they are null then."""


class LogError(ValueError):
    """Something wrong with a whole file or log, which no quarantine of rows can mend.

    Args:
        file: File or folder it is about.
        rule: What should hold, as a sentence without its end.
        value: What was found instead.
        mend: What to do about it.
        row: 1-based data row in the file, where one is known.
    """

    def __init__(self, file: str, rule: str, value: object, mend: str, row: int | None = None):
        place = file if row is None else f"{file}, row {row}"
        super().__init__(f"{place}: {rule}. Received: {value}. {mend}")


def columns_found(names: Sequence[str], known: Collection[str]) -> str:
    """The columns of a file for a message: the known ones by name, the others by their places.

    What a file without a header has in its first line is no name, and may be a user id.

    Example:
        >>> columns_found(["time", "anna", "doc_id"], {"user_id", "time", "doc_id"})
        'columns time, doc_id and 1 other, in place 2'
    """
    told = ", ".join(name for name in names if name in known)
    others = [str(place) for place, name in enumerate(names, 1) if name not in known]
    if not others:
        return f"columns {told}"
    places = ", ".join(others[:9]) + ", ..." * (len(others) > 9)
    count = f"{len(others)} other{'s' * (len(others) > 1)}, in place {places}"
    return f"columns {told} and {count}" if told else f"columns of other names: {count}"


def check_columns(table: str, names: list[str], file: str) -> None:
    """Refuses a file that lacks a column of `table`, repeats one, or has one it does not know.

    Raises:
        LogError: Naming the file and the columns.

    Example:
        >>> check_columns("browses", ["user_id", "time", "document"], "browses.csv")
        Traceback (most recent call last):
        ...
        data_pipeline.log.schema.LogError: browses.csv: a browses file must have the column ...
    """
    wanted = SCHEMAS[table].names
    _check_names(table, names, wanted, file)


def _check_names(what: str, names: list[str], wanted: list[str], file: str) -> None:
    received = columns_found(names, wanted)
    missing = [name for name in wanted if name not in names and name not in OPTIONAL]
    if missing:
        raise LogError(
            file,
            f"a {what} file must have the column `{missing[0]}`",
            received,
            f"Add or rename it; the columns of {what} are {', '.join(wanted)}.",
        )
    extra = [name for name in names if name not in wanted]
    if extra:
        raise LogError(
            file,
            f"a {what} file must not have columns of other names than {', '.join(wanted)}",
            received,
            "Remove or rename them.",
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise LogError(
            file,
            f"a {what} file must have the column `{twice[0]}` once",
            received,
            "Remove one of them.",
        )


def cast_batch(table: str, rows: pa.RecordBatch, file: str) -> pa.RecordBatch:
    """Casts raw columns to the canonical ones; missing optional columns become null.

    Lossless casts only: strings of any Arrow layout, times of any unit (nanoseconds are cut to
    microseconds), dwell from any number. Nothing is parsed here; text is the importer's matter.

    Raises:
        LogError: A column is missing, unknown, or of a type that does not fit.

    Example:
        >>> raw = pa.record_batch({"doc_id": ["a"], "title": pa.array(["A"], pa.large_string())})
        >>> cast_batch("documents", raw, "memory").schema == DOCUMENTS
        True
    """
    check_columns(table, rows.schema.names, file)
    columns = []
    for field in SCHEMAS[table]:
        if field.name not in rows.schema.names:
            columns.append(pa.nulls(rows.num_rows, field.type))
        elif pa.types.is_list(field.type):
            columns.append(_cast_results(rows.column(field.name), file))
        else:
            columns.append(_cast(rows.column(field.name), field, field.name, file))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMAS[table])


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _cast(column: pa.Array, field: pa.Field, name: str, file: str) -> pa.Array:
    """One plain column as `field.type`; a column of nulls alone has no type and always fits."""
    kind, wanted = column.type, field.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), wanted)
    if pa.types.is_string(wanted):
        fits, rule = _is_text(kind), "text"
    elif pa.types.is_timestamp(wanted):
        fits, rule = pa.types.is_timestamp(kind), "a timestamp"
    elif pa.types.is_boolean(wanted):
        fits, rule = pa.types.is_boolean(kind), "a boolean"
    else:
        fits, rule = pa.types.is_floating(kind) or pa.types.is_integer(kind), "a number"
    mend = f"Write the column as {wanted}."
    if not fits:
        raise LogError(file, f"the column `{name}` must be {rule}", f"type {kind}", mend)
    # Nanoseconds lose their last digits on purpose; for all else a loss is an error.
    cut = pa.types.is_timestamp(kind) and kind.unit == "ns"
    try:
        return column.cast(wanted, safe=not cut)
    except pa.ArrowInvalid as error:
        # The error's own text quotes the value.
        received = f"a value of type {kind} that does not"
        raise LogError(file, f"the column `{name}` must fit {wanted}", received, mend) from error


def _cast_results(column: pa.Array, file: str) -> pa.Array:
    """The results column as a list of `ITEM`; a null list stays null."""
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
            f"Write the column as {REQUESTS.field('results').type}.",
        )
    items = column.flatten()
    if pa.types.is_null(kind.value_type):
        places = pa.nulls(len(items), ITEM)
    else:
        names = [field.name for field in kind.value_type]
        _check_names("results", names, [field.name for field in ITEM], file)
        fields = [
            _cast(pc.struct_field(items, [field.name]), field, f"results.{field.name}", file)
            if field.name in names
            else pa.nulls(len(items), field.type)
            for field in ITEM
        ]
        places = pa.StructArray.from_arrays(fields, fields=list(ITEM))
    lengths = pc.list_value_length(column).fill_null(0).cast(pa.int32())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, places, mask=column.is_null())
