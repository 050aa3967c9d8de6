"""Qilin: searches and recommended notes of one app, both with the lists that were shown.

Read are notes, search_train, search_test, dqa, recommendation_train and recommendation_test: each a
folder of Parquet files, as published, or one file (`notes.parquet`, `notes.csv`). A list in a CSV
file is JSON or what NumPy prints of it (`[{'click': 1.0, ...}\\n {'click': ...}]`). Rows are mapped
one by one, so that no size is too large.

* A row of search_train, search_test or dqa (searches that also got a written answer, which is not
  read) is a search; a row of the others is a recommendation, whose `query` column holds titles the
  user clicked before and is not read. The set's own division into training and test is not kept: a
  dataset is divided by time.
* Every result carries the time it was shown, in seconds in searches and in milliseconds in
  recommendations: people scroll, and lists come back hours later. The request's time is the
  earliest of them. When a click was made is not known: it counts at the time its result was shown,
  the only time there is. A click after long thought is thus known too early, by that thought.
* The list is in the order of `position`. A note shown again in its list stands at its first place,
  clicked if it was clicked at any of them, at the time and with the dwell of the first such one.
  Position 0 is an answer put above the list, no note, and left out.
* The dwell of a click is its `page_time` in seconds. The set fills in NaN, -1 or, in
  recommendations, 0 where no page was opened, and many a click has such a value: its dwell is
  unknown. So about half of the clicks of recommendations count as satisfied for want of a dwell;
  prepare such a log with `relevance=click` to treat all clicks alike. A page time without a click
  is left out: `click` is the label.
* A document's title is the note's title or, where it has none, its content; its category is
  `taxonomy1_id`. Notes in lists must stand in notes.
* There are no browses. `recent_clicked_note_idxs` has no times and repeats clicks that stand in
  other rows; it is not read. Nor are features of users, counts, images and results of rankers.
"""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import (
    COLUMNS,
    TextRows,
    check_file,
    csv_header,
    read_csv,
)
from data_pipeline.importers.formats.parquet_parts import (
    as_text,
    parquet_names,
    read_parquet,
    table_files,
)
from data_pipeline.importers.formats.rejected_rows import split_rows
from data_pipeline.importers.source import Source
from data_pipeline.log.log_folder import RawBatch, Rejected
from data_pipeline.log.quarantine import Rule, quarantine_rows
from data_pipeline.log.schema import LogError

ENDINGS = (".parquet", ".csv", ".csv.gz")
ROWS_AT_ONCE = 1 << 13
"""Rows of a Parquet file mapped at once; a list holds a hundred results and more."""

Counts = collections.defaultdict[str, collections.Counter[str]]


@dataclasses.dataclass(frozen=True)
class Requests:
    """What rows with a list look like.

    Attributes:
        letter: What the ids of their requests begin with.
        index: Column with the number of the row, over all files of the kind.
        results: Column with the list.
        time: Its field with the time a result was shown.
        unit: Microseconds of its unit.
        is_search: Whether `query` is a query.
    """

    letter: str
    index: str
    results: str
    time: str
    unit: int
    is_search: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read."""
        query = ("query",) if self.is_search else ()
        return ("user_idx", self.index, *query, self.results)


SEARCHES = Requests(
    "s", "search_idx", "search_result_details_with_idx", "search_timestamp", 1_000_000, True
)
RECOMMENDATIONS = Requests(
    "r", "request_idx", "rec_result_details_with_idx", "request_timestamp", 1_000, False
)
REQUESTS = {
    "search_train": SEARCHES,
    "search_test": SEARCHES,
    "dqa": SEARCHES,
    "recommendation_train": RECOMMENDATIONS,
    "recommendation_test": RECOMMENDATIONS,
}
RESULTS = (SEARCHES.results, RECOMMENDATIONS.results)
NOTES = ("note_idx", "note_title", "note_content", "taxonomy1_id")

RULES = (
    Rule("index", "`search_idx` and `request_idx` must be whole numbers. Mend it."),
    Rule("query", "A search needs its `query`. Fill it, or remove the row."),
    Rule(
        "results",
        "The results must be a list of at least one, which carries the time. Mend it, or remove "
        "the row.",
    ),
    Rule(
        "result",
        "A result needs `note_idx`, `position`, a `click` of 0 or 1, and a time from 1990 to 2099, "
        "in seconds in searches and in milliseconds in recommendations. Mend it, or remove the row.",
    ),
)

MACROS = """
-- Numbers are stored as floats or as text; what is no whole number is null.
CREATE MACRO whole(x) AS
    CASE WHEN try_cast(x AS DOUBLE) = floor(try_cast(x AS DOUBLE))
        THEN try_cast(try_cast(x AS DOUBLE) AS BIGINT) END;

-- NumPy puts no comma between objects, single quotes around text, and None for null.
CREATE MACRO as_json(x) AS
    regexp_replace(
        replace(replace(x, '''', '"'), ': None', ': null'), '\\}\\s+\\{', '}, {', 'g'
    )
"""

DOCUMENTS = """
SELECT whole(note_idx)::VARCHAR AS doc_id,
    coalesce(nullif(trim(note_title), ''), trim(note_content), '') AS title,
    nullif(taxonomy1_id, '') AS category, number
FROM part ORDER BY number
"""


def _lists_sql(kind: Requests, is_text: bool) -> str:
    """SQL of the rows of a part with their lists, and the rule each breaks."""
    text = f"as_json({kind.results})" if is_text else f"to_json({kind.results})::VARCHAR"
    fields = ("note_idx", "click", "page_time", "position", kind.time)
    form = ", ".join(f'"{field}": "DOUBLE"' for field in fields)
    asked = "trim(query)" if kind.is_search else "''"
    return f"""
    CREATE OR REPLACE TABLE lists AS
    SELECT number, whole({kind.index}) AS request, {kind.index}::VARCHAR AS index_text,
        whole(user_idx)::VARCHAR AS user_id, {asked} AS asked, {text} AS text,
        CASE WHEN json_valid(text) THEN from_json(text, '[{{{form}}}]') END AS found,
        list_filter(found, lambda item: coalesce(item.position <> 0, true)) AS items,
        list_filter(items, lambda item: NOT coalesce(
            whole(item.note_idx) IS NOT NULL AND item.click IN (0, 1) AND isfinite(item.position)
            AND item.{kind.time} * {kind.unit} BETWEEN 631152000e6 AND 4102444799e6, false
        )) AS misfits,
        CASE
            WHEN request IS NULL THEN 'index'
            WHEN {kind.is_search} AND coalesce(asked, '') = '' THEN 'query'
            WHEN coalesce(len(items), 0) = 0 THEN 'results'
            WHEN len(misfits) > 0 THEN 'result'
        END AS fault
    FROM part
    """


def _places_sql(kind: Requests) -> str:
    """SQL of the notes of each good list, each once."""
    return f"""
    CREATE OR REPLACE TABLE places AS
    SELECT number, doc_id, min(place) AS place, min(time) AS time, bool_or(clicked) AS clicked,
        min(time) FILTER (clicked) AS click_time,
        arg_min_null(dwell, (time, place)) FILTER (clicked) AS dwell,
        count(*) AS times, count(*) FILTER (NOT clicked AND dwell IS NOT NULL) AS unclicked_dwells
    FROM (
        SELECT number, whole(item.note_idx)::VARCHAR AS doc_id, item.click = 1 AS clicked,
            (item.position, item.{kind.time}, nth) AS place,
            round(item.{kind.time} * {kind.unit})::BIGINT AS time,
            CASE WHEN isfinite(item.page_time) AND item.page_time NOT IN (0, -1)
                THEN item.page_time END AS dwell
        FROM (
            SELECT number, unnest(items) AS item, generate_subscripts(items, 1) AS nth
            FROM lists WHERE fault IS NULL
        )
    )
    GROUP BY number, doc_id
    """


BAD_LISTS = """
SELECT number, fault, CASE fault
        WHEN 'index' THEN index_text
        WHEN 'results' THEN text
        WHEN 'result' THEN to_json(misfits[1])::VARCHAR
    END AS value
FROM lists WHERE fault IS NOT NULL ORDER BY number
"""

GOOD_LISTS = """
SELECT '{}' || request AS request_id, user_id, time, asked AS query, results, number
FROM lists JOIN (
    SELECT number, make_timestamp(min(time)) AS time, list({{
        'doc_id': doc_id,
        'clicked': clicked,
        'click_time': make_timestamp(click_time),
        'dwell_seconds': dwell
    }} ORDER BY place) AS results
    FROM places GROUP BY number
) USING (number)
ORDER BY number
"""

OUTCOMES = """
SELECT 'results', 'place of a list', count(*) FROM places
UNION ALL SELECT 'results', 'answer at position 0, left out', coalesce(sum(len(found) - len(items)), 0)
    FROM lists WHERE fault IS NULL
UNION ALL SELECT 'results', 'shown again in its list', coalesce(sum(times - 1), 0) FROM places
UNION ALL SELECT 'clicks', 'with a dwell', count(*) FROM places WHERE clicked AND dwell IS NOT NULL
UNION ALL SELECT 'clicks', 'without a dwell', count(*) FROM places WHERE clicked AND dwell IS NULL
UNION ALL SELECT 'page times without a click', 'left out', coalesce(sum(unclicked_dwells), 0)
    FROM places
"""


def read(path: pathlib.Path) -> Source:
    """Maps a folder of the tables of Qilin (Parquet, CSV or gzipped CSV) to the canonical ones.

    Args:
        path: The folder; it must hold notes and one table of lists.

    Returns:
        The source; its description tells under "read" what became of the rows of each table, and
        of the results and clicks in them.

    Raises:
        LogError: A table is missing or there twice; while reading also for a file that lacks a
            column, is not UTF-8, or is broken.
    """
    if not path.is_dir():
        raise LogError(str(path), "the input must be a folder", "none", "Check --input.")
    files = {table: table_files(path, table, ENDINGS) for table in ("notes", *REQUESTS)}
    if not files["notes"] or not any(files[table] for table in REQUESTS):
        raise LogError(
            str(path),
            f"a qilin folder must hold notes, and one of {', '.join(REQUESTS)}",
            ", ".join(sorted(file.name for file in path.iterdir())) or "an empty folder",
            "Name the folder into which the tables were fetched.",
        )
    names = [str(file.relative_to(path)) for paths in files.values() for file in paths]
    description: dict[str, Any] = {"name": "qilin", "files": names}
    return Source(_batches(path, files, description), description)


def _batches(
    folder: pathlib.Path, files: dict[str, list[pathlib.Path]], description: dict[str, Any]
) -> Iterator[RawBatch | Rejected]:
    counts: Counts = collections.defaultdict(collections.Counter)
    with duckdb.connect() as engine:
        engine.execute(MACROS)
        for table, paths in files.items():
            columns = NOTES if table == "notes" else REQUESTS[table].columns
            for path in paths:
                name = str(path.relative_to(folder))
                for part in _parts(path, name, columns):
                    number = pa.array(part.numbers, pa.int64())
                    engine.register("part", part.rows.append_column("number", number))
                    broken = [(number, COLUMNS, "") for number in part.broken]
                    counts[table]["quarantined"] += len(broken)
                    if table == "notes":
                        yield Rejected("documents", quarantine_rows("documents", name, broken))
                        yield _raw_batch(engine, "documents", name, DOCUMENTS)
                        counts[table]["document"] += part.rows.num_rows
                    else:
                        yield Rejected("requests", quarantine_rows("requests", name, broken))
                        yield from _requests(engine, table, name, part.rows.schema, counts)
    description["read"] = {
        "rows": sum(counts[table].total() for table in files),
        "actions": {what: dict(+outcomes) for what, outcomes in counts.items() if +outcomes},
    }


def _parts(path: pathlib.Path, name: str, columns: tuple[str, ...]) -> Iterator[TextRows]:
    """The columns of a file, some rows at a time; those of a Parquet file have their own types."""
    is_parquet = path.suffix == ".parquet"
    if not is_parquet:
        check_file(path)
    found = parquet_names(path, name) if is_parquet else csv_header(path)
    check_needed(name, "the file", found, columns, "Take the file as it was published.")
    if is_parquet:
        first = 1
        for rows in read_parquet(path, name, columns, ROWS_AT_ONCE):
            # Lists of results stay as they are; whatever else is stored as is read as text.
            lists = [column for column in RESULTS if _is_list(rows, column)]
            rows = as_text(rows, [column for column in columns if column not in lists], name)
            yield TextRows(rows, np.arange(first, first + rows.num_rows), [])
            first += rows.num_rows
    else:
        for part in read_csv(path):
            yield dataclasses.replace(part, rows=part.rows.select(list(columns)))


def _is_list(rows: pa.Table, column: str) -> bool:
    kind = rows[column].type if column in rows.column_names else pa.null()
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _raw_batch(
    engine: duckdb.DuckDBPyConnection, canonical: str, name: str, query: str
) -> RawBatch:
    rows = engine.sql(query).to_arrow_table()
    numbers = rows["number"].to_numpy()
    return RawBatch(canonical, rows.drop_columns(["number"]), name, numbers=numbers)


def _requests(
    engine: duckdb.DuckDBPyConnection, table: str, name: str, schema: pa.Schema, counts: Counts
) -> Iterator[RawBatch | Rejected]:
    """The lists of the rows in `part`, whose columns are of `schema`."""
    kind = REQUESTS[table]
    engine.execute(_lists_sql(kind, pa.types.is_string(schema.field(kind.results).type)))
    engine.execute(_places_sql(kind))
    _, rejected = split_rows("requests", name, engine.sql(BAD_LISTS).to_arrow_table(), RULES)
    yield rejected
    batch = _raw_batch(engine, "requests", name, GOOD_LISTS.format(kind.letter))
    yield batch
    counts[table]["quarantined"] += rejected.rows.num_rows
    counts[table]["request"] += batch.rows.num_rows
    for what, outcome, count in engine.sql(OUTCOMES).fetchall():
        counts[what][outcome] += count
