"""JSON Lines as columns of text, and lists of results from JSON text, by DuckDB.

Types are not converted, except that an id may be an integer: the number 7.5 is not an id and the text
"5" is not a dwell. A silent conversion would hide a wrong column.
"""

import itertools
import json
import pathlib
from collections.abc import Iterator, Mapping

import duckdb
import numpy as np
import pyarrow as pa

from data_pipeline.importers.formats.column_names import UNITS, ColumnNames, FileColumns
from data_pipeline.importers.formats.delimited_text import TextRows, open_bytes
from data_pipeline.importers.formats.rejected_rows import split_rows
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Rejected
from data_pipeline.log.schema import IDS, ITEM, OPTIONAL, RAW_SCHEMAS

LINES_AT_ONCE = 1 << 16
INTEGERS = "'BIGINT', 'UBIGINT', 'HUGEINT'"
NUMBERS = f"'DOUBLE', {INTEGERS}"

LINE = Rule("line-unreadable", "A line must be one JSON object. Fix: rewrite the line.")
FIELDS = Rule(
    "line-columns",
    "An object must have the columns of its table and no others, each once. Fix: rename them.",
)
TEXT = Rule(
    "text-expected",
    "A title, category, query or time must be JSON text, an id text or an integer. Fix: write it in "
    "quotes, or say the unit of integer times: --columns=requests.time=time:ms.",
)
NUMBER = Rule(
    "number-expected",
    "A dwell must be a JSON number of seconds. Fix: write it without quotes.",
)


def time_sql(text: str, unit: str = "") -> str:
    """Return SQL of a time in UTC without zone; null if `text` is none.

    Args:
        text: SQL of a text: an ISO 8601 time, or digits.
        unit: One of `UNITS` for digits. Default: ISO 8601.
    """
    if unit:
        scale = UNITS[unit]
        # Within the microseconds of 64 bits.
        digits = 18 - len(str(scale)) + 1
        number = f"CASE WHEN regexp_full_match({text}, '-?[0-9]{{1,{digits}}}') THEN {text} END"
        return f"make_timestamp({number}::BIGINT * {scale})"
    return (
        f"CASE WHEN regexp_matches({text}, '^\\d{{4}}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d') "
        f"THEN try_cast({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
    )


def good_results_sql(text: str, unit: str = "") -> str:
    """Return SQL that is true if `text` is null or a JSON list of results with the right types.

    Args:
        text: SQL of a text.
        unit: Of integer click times, as for `time_sql`.
    """
    time = "json_extract_string(item, '$.click_time')"
    names = ", ".join(f"'{field.name}'" for field in ITEM)
    return f"""(
        {text} IS NULL OR coalesce(CASE WHEN json_valid({text}) THEN
            json_type({text}) IN ('ARRAY', 'NULL') AND coalesce(list_bool_and(list_transform(
                json_extract({text}, '$[*]'), lambda item: json_type(item) = 'OBJECT'
                AND list_has_all([{names}], json_keys(item))
                AND {_type("item", path("doc_id"))} IN ('VARCHAR', {INTEGERS})
                AND {_type("item", path("clicked"))} = 'BOOLEAN'
                AND {_type("item", path("click_time"))} IN ({_time_types(unit)}, 'NULL')
                AND ({time} IS NULL OR {time_sql(time, unit)} IS NOT NULL)
                AND {_type("item", path("dwell_seconds"))} IN ({NUMBERS}, 'NULL')
            )), true) END, false)
    )"""


def results_sql(text: str, unit: str = "") -> str:
    """Return SQL of the results in JSON text; null if `good_results_sql` is false or null."""
    time = time_sql("json_extract_string(item, '$.click_time')", unit)
    return f"""
        CASE WHEN {good_results_sql(text, unit)} AND json_type({text}) = 'ARRAY' THEN list_transform(
            json_extract({text}, '$[*]'), lambda item: {{
                'doc_id': json_extract_string(item, '$.doc_id'),
                'clicked': json_extract_string(item, '$.clicked') = 'true',
                'click_time': {time},
                'dwell_seconds': try_cast(json_extract_string(item, '$.dwell_seconds') AS DOUBLE)
            }}) END
    """


def _time_types(unit: str) -> str:
    return f"'VARCHAR', {INTEGERS}" if unit else "'VARCHAR'"


def _type(value: str, path: str) -> str:
    return f"coalesce(json_type({value}, {path}), 'NULL')"


def path(name: str) -> str:
    """Return SQL of the JSON pointer to a key with any characters."""
    return text_sql("/" + name.replace("~", "~0").replace("/", "~1"))


def text_sql(text: str) -> str:
    """Return SQL of a text."""
    return "'" + text.replace("'", "''") + "'"


def read_json_lines(
    engine: duckdb.DuckDBPyConnection,
    table: str,
    file: pathlib.Path,
    columns: ColumnNames,
    name: str,
) -> Iterator[TextRows | Rejected]:
    """Read JSON Lines of a canonical table; the list of results stays JSON text.

    Blank lines are not rows. The first object is used as the header: its wrong columns are an error
    of the file, wrong columns of a later line reject that line.

    Args:
        engine: Runs the work.
        table: Name of the canonical table.
        file: UTF-8 file; may be gzip (.gz).
        columns: Names of its columns.
        name: Name of the file in messages.

    Raises:
        LogError: The first object has wrong columns.
    """
    query, first = "", 1
    with open_bytes(file) as stream:
        filled = (line for line in stream if line.strip())
        while lines := list(itertools.islice(filled, LINES_AT_ONCE)):
            if not query:
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
                found = columns.find(table, name, _first_keys(lines), sparse=True)
                query = _query(table, found, columns.units.get(table, {}))
            numbers = np.arange(first, first + len(lines), dtype=np.int64)
            first += len(lines)
            text = pa.array([line.decode() for line in lines], pa.string())
            engine.register("lines", pa.table({"number": numbers, "text": text}))
            good, rejected = split_rows(
                table, name, engine.sql(query).to_arrow_table(), (LINE, FIELDS, TEXT, NUMBER)
            )
            yield rejected
            yield TextRows(good.drop_columns(["number"]), good["number"].to_numpy(), [])


def _first_keys(lines: list[bytes]) -> list[str] | None:
    """Return the keys of the first line that is an object, None if there is no such line."""
    for line in lines:
        try:
            first = json.loads(line)
        except (ValueError, RecursionError):
            # Not JSON, or nested too deeply.
            continue
        if isinstance(first, dict):
            return list(first)
    return None


def _query(table: str, columns: FileColumns, units: Mapping[str, str]) -> str:
    """Return SQL that splits lines (number, text) into number, fault, value and text columns.

    The value is that of the first column of a wrong type.
    """
    chosen, cases = [], []
    for name, source in columns.sources.items():
        at = path(source)
        if name == "results":
            chosen.append(f"json_extract(line, {at})::VARCHAR AS {name}")
            continue
        chosen.append(f"json_extract_string(line, {at}) AS {name}")
        is_number = pa.types.is_floating(RAW_SCHEMAS[table].field(name).type)
        text = f"'VARCHAR', {INTEGERS}" if name in IDS else _time_types(units.get(name, ""))
        kinds, rule = (NUMBERS, NUMBER) if is_number else (text, TEXT)
        wrong = f"{_type('line', at)} NOT IN ({kinds}, 'NULL')"
        cases.append((wrong, rule, f"json_extract(line, {at})"))
    needed = [source for name, source in columns.sources.items() if name not in OPTIONAL]
    allowed = [*columns.sources.values(), *columns.left_out]
    faults = " ".join(f"WHEN {wrong} THEN '{rule.name}'" for wrong, rule, _ in cases)
    values = " ".join(f"WHEN {wrong} THEN {value}::VARCHAR" for wrong, _, value in cases)
    return f"""
        SELECT number, {", ".join(chosen)}, CASE
                WHEN line IS NULL THEN '{LINE.name}'
                WHEN NOT keys_fit THEN '{FIELDS.name}'
                {faults} END AS fault,
            CASE WHEN line IS NULL OR NOT keys_fit THEN '' {values} END AS value
        FROM (
            SELECT *, list_has_all(json_keys(line), [{", ".join(map(text_sql, needed))}])
                AND list_has_all([{", ".join(map(text_sql, allowed))}], json_keys(line))
                AND len(json_keys(line)) = len(list_distinct(json_keys(line))) AS keys_fit
            FROM (
                SELECT number,
                    CASE WHEN json_valid(text) AND json_type(text) = 'OBJECT' THEN text::JSON END
                        AS line
                FROM lines
            )
        )
        ORDER BY number
    """
