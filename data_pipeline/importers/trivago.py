"""trivago sessions (RecSys Challenge 2019): hotel search sessions with shown lists.

The file's own sessions say what belongs together: the query in force at a clickout, the run of
interactions on one item, the dwell until the next row. They are not carried into the log, whose
sessions are cut by time. Rows are taken in the order (user, session, timestamp, step).

* A `clickout item` with a shown list is a request at its time. Its query is the text of the latest
  `search for destination` or `search for poi` before it in its session; without one it is a
  recommendation. The clicked item is clicked at that time; its dwell lasts to the session's next
  row and is unknown for the last one. Prepare such a log with `relevance=click`.
* A run of consecutive `interaction item *` rows on one item, and every `search for item`, is a
  browse at its first row's time; its dwell lasts to the first other row after it. Times are whole
  seconds, so two browses of one user, item and second are one row, with the longest dwell of them:
  going to and fro within a second is no fault of the data.
* A document's title is the city of the earliest row that names or shows it, and its id as a token.
* `filter selection` and `change of sort order` are not mapped; they end a run like any other row.
* An item `unknown` is the source's own word for an item without id: counted, not quarantined.
  Any other reference to an item that is no number is.
"""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import COLUMNS, check_file, csv_header, read_csv
from data_pipeline.importers.formats.parquet_parts import as_text, parquet_names, read_parquet
from data_pipeline.importers.formats.rejected_rows import split_rows
from data_pipeline.importers.source import Source
from data_pipeline.log.log_folder import RawBatch, Rejected
from data_pipeline.log.quarantine import Rule, quarantine_rows

NEEDED = (
    "user_id",
    "session_id",
    "timestamp",
    "step",
    "action_type",
    "reference",
    "city",
    "impressions",
)
ACTION_TYPES = (
    "clickout item",
    "interaction item rating",
    "interaction item info",
    "interaction item image",
    "interaction item deals",
    "search for item",
    "search for destination",
    "search for poi",
    "filter selection",
    "change of sort order",
)
SESSIONS = "sessions"
"""Name of the raw table, to which rows count that are wrong before any mapping."""

RULES = (
    Rule("user-id-empty", "A row needs a `user_id`. Fetch the file again, or remove the row."),
    Rule(
        "timestamp", "`timestamp` must be whole seconds since 1970, from 1990 to 2099. Rewrite it."
    ),
    Rule("step", "`step` must be a whole number. Rewrite it."),
    Rule("row-twice", "A row must not stand twice. Remove the repeated one."),
    Rule("no-list", "A clickout needs its list in `impressions`. Remove the row."),
    Rule("item-id", "Items must be numbers. Mend the reference or the list, or remove the row."),
    Rule("item-not-in-list", "The item of a clickout must stand in its list. Remove the row."),
)

READ = """
CREATE TABLE raw AS
SELECT *,
    CASE
        WHEN user_id = '' THEN 'user-id-empty'
        WHEN moment IS NULL OR moment < 631152000 OR moment >= 4102444800 THEN 'timestamp'
        WHEN nth IS NULL THEN 'step'
        WHEN row_number() OVER (
            PARTITION BY user_id, session_id, moment, nth, action_type, reference, impressions
            ORDER BY number
        ) > 1 THEN 'row-twice'
    END AS fault
FROM (
    SELECT number, user_id, session_id, action_type, reference, city, impressions,
        timestamp, step, try_cast(timestamp AS BIGINT) AS moment, try_cast(step AS BIGINT) AS nth,
    FROM text
)
"""

ORDER = """
CREATE TABLE events AS
SELECT *,
    last_value(search IGNORE NULLS) OVER (
        session ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS search_number,
    lead(moment) OVER session - moment AS to_next,
    interaction AND coalesce(
        lag(interaction) OVER session AND lag(reference) OVER session = reference, false
    ) AS continues,
    row_number() OVER (ORDER BY user_id, session_id, moment, nth, number) AS place
FROM (
    SELECT number, user_id, session_id, moment, nth, action_type, reference, city,
        CASE WHEN impressions <> '' THEN string_split(impressions, '|') END AS items,
        starts_with(action_type, 'interaction item ') AS interaction,
        CASE WHEN action_type IN ('search for destination', 'search for poi')
            AND trim(reference) <> '' THEN number END AS search,
        CASE
            WHEN action_type = 'clickout item' AND items IS NULL THEN 'no-list'
            WHEN action_type = 'clickout item' AND NOT (
                regexp_full_match(reference, '[0-9]+')
                AND regexp_full_match(impressions, '[0-9]+([|][0-9]+)*')
            ) THEN 'item-id'
            WHEN action_type = 'clickout item' AND NOT list_contains(items, reference)
                THEN 'item-not-in-list'
            WHEN (interaction OR action_type = 'search for item') AND reference <> 'unknown'
                AND NOT regexp_full_match(reference, '[0-9]+') THEN 'item-id'
        END AS fault
    FROM raw WHERE fault IS NULL
)
WINDOW session AS (PARTITION BY user_id, session_id ORDER BY moment, nth, number)
"""

BROWSES = """
CREATE TABLE runs AS
SELECT min(place) AS place, arg_min(number, place) AS number, any_value(user_id) AS user_id,
    min(moment) AS moment, any_value(reference) AS doc_id,
    -- From the run's first row to the first other row: null where none follows in the session.
    CASE WHEN arg_max(to_next IS NULL, place) THEN NULL
        ELSE max(moment) + arg_max(to_next, place) - min(moment) END AS dwell
FROM (
    SELECT *, sum(CASE WHEN continues THEN 0 ELSE 1 END) OVER (ORDER BY place) AS run
    FROM events
)
WHERE (interaction OR action_type = 'search for item') AND fault IS NULL
    AND reference <> 'unknown'
GROUP BY run;

CREATE TABLE browses AS
SELECT min(place) AS place, arg_min(number, place) AS number, user_id, moment, doc_id,
    CASE WHEN bool_or(dwell IS NULL) THEN NULL ELSE max(dwell) END AS dwell
FROM runs GROUP BY user_id, moment, doc_id
"""

REQUESTS = """
CREATE TABLE requests AS
SELECT clickout.*, coalesce(search.reference, '') AS query
FROM events AS clickout LEFT JOIN events AS search ON clickout.search_number = search.number
WHERE clickout.action_type = 'clickout item' AND clickout.fault IS NULL
"""

DOCUMENTS = """
CREATE TABLE documents AS
SELECT doc_id, arg_min(number, (moment, number)) AS number,
    trim(arg_min(city, (moment, number)) || ' ' || doc_id) AS title
FROM (
    SELECT unnest(items) AS doc_id, number, moment, city FROM requests
    UNION ALL
    SELECT reference, number, moment, city FROM events
    WHERE (interaction OR action_type = 'search for item') AND fault IS NULL
        AND reference <> 'unknown'
)
GROUP BY doc_id
"""

# What stands in the place of an action type is told only if it is one: it may be a user id.
OUTCOMES = f"""
SELECT CASE WHEN action_type IN {ACTION_TYPES} THEN action_type ELSE '(unknown action type)' END
    AS action, outcome, count(*) AS rows
FROM (
    SELECT action_type, CASE
        WHEN fault IS NOT NULL THEN 'quarantined'
        WHEN action_type = 'clickout item' THEN 'request'
        WHEN interaction OR action_type = 'search for item' THEN CASE
            WHEN reference = 'unknown' THEN 'item unknown'
            WHEN number IN (SELECT number FROM browses) THEN 'browse'
            WHEN number IN (SELECT number FROM runs) THEN 'same second as another browse of it'
            ELSE 'part of a browse' END
        WHEN action_type IN ('search for destination', 'search for poi') THEN CASE
            WHEN search IS NULL THEN 'empty text'
            WHEN number IN (SELECT search_number FROM requests WHERE search_number IS NOT NULL)
                THEN 'query of requests'
            ELSE 'no request follows it' END
        WHEN action_type IN ('filter selection', 'change of sort order') THEN 'not mapped'
        ELSE 'unknown action type' END AS outcome
    FROM events
    UNION ALL
    SELECT action_type, 'quarantined' FROM raw WHERE fault IS NOT NULL
)
GROUP BY ALL ORDER BY ALL
"""


BAD_ROWS = """
SELECT number, fault, CASE fault WHEN 'timestamp' THEN timestamp WHEN 'step' THEN step END AS value
FROM raw WHERE fault IS NOT NULL ORDER BY number
"""

BAD_EVENTS = """
SELECT number, fault, reference AS value FROM events
WHERE fault IS NOT NULL AND action_type {} 'clickout item' ORDER BY number
"""


def read(path: pathlib.Path) -> Source:
    """Maps one file of the challenge (CSV, gzipped CSV or Parquet) to the canonical tables.

    Args:
        path: File of the schema in `NEEDED`; other columns are ignored.

    Returns:
        The source; its description tells under "read" what became of the rows of each action type.

    Raises:
        LogError: The file is missing, not UTF-8, or lacks a column.
    """
    check_file(path, text=path.suffix != ".parquet")
    mend = "Name the file of sessions (train.csv, test.csv or a slice of them)."
    check_needed(path.name, "a trivago file", _names(path), NEEDED, mend)
    description: dict[str, Any] = {"name": "trivago", "files": [path.name], "relevance": "click"}
    return Source(_batches(path, description), description)


def _names(path: pathlib.Path) -> list[str]:
    return parquet_names(path, path.name) if path.suffix == ".parquet" else csv_header(path)


def _text(path: pathlib.Path) -> tuple[pa.Table, list[int]]:
    """Needed columns as strings with the row number, and the rows with a wrong column count."""
    if path.suffix == ".parquet":
        batches = read_parquet(path, path.name, NEEDED)
        rows = pa.concat_tables(as_text(batch, NEEDED, path.name) for batch in batches)
        columns = {name: rows[name].fill_null("") for name in NEEDED}
        return pa.table({**columns, "number": np.arange(1, rows.num_rows + 1)}), []
    none = pa.schema([*((name, pa.string()) for name in NEEDED), ("number", pa.int64())])
    parts, broken = [none.empty_table()], []
    for part in read_csv(path):
        number = pa.array(part.numbers, pa.int64())
        parts.append(part.rows.select(list(NEEDED)).append_column("number", number))
        broken += part.broken
    return pa.concat_tables(parts), broken


def _batches(path: pathlib.Path, description: dict[str, Any]) -> Iterator[RawBatch | Rejected]:
    text, broken = _text(path)
    with duckdb.connect() as engine:
        engine.register("text", text)
        for step in (READ, ORDER, BROWSES, REQUESTS, DOCUMENTS):
            engine.execute(step)
        description["read"] = _outcomes(engine, text.num_rows + len(broken), len(broken))

        def fetch(query: str) -> pa.Table:
            return engine.sql(query).to_arrow_table()

        def batch(table: str, query: str) -> RawBatch:
            rows = fetch(query)
            numbers = rows["number"].to_numpy()
            return RawBatch(table, rows.drop_columns(["number"]), path.name, numbers=numbers)

        for table, read, query in (
            (SESSIONS, text.num_rows, BAD_ROWS),
            ("requests", None, BAD_EVENTS.format("=")),
            ("browses", None, BAD_EVENTS.format("<>")),
        ):
            _, rejected = split_rows(table, path.name, fetch(query), RULES)
            yield dataclasses.replace(rejected, read=read)
        lines = quarantine_rows(SESSIONS, path.name, [(number, COLUMNS, "") for number in broken])
        yield Rejected(SESSIONS, lines)
        yield batch("documents", "SELECT doc_id, title, number FROM documents ORDER BY doc_id")
        yield batch(
            "requests",
            """
            SELECT 't' || number AS request_id, user_id, make_timestamp(moment * 1000000) AS time,
                query, list_transform(items, lambda item: {
                    'doc_id': item,
                    'clicked': item = reference,
                    'click_time': CASE WHEN item = reference THEN make_timestamp(moment * 1000000) END,
                    'dwell_seconds': CASE WHEN item = reference THEN to_next::DOUBLE END
                }) AS results, number
            FROM requests ORDER BY place
            """,
        )
        yield batch(
            "browses",
            """
            SELECT user_id, make_timestamp(moment * 1000000) AS time, doc_id,
                dwell::DOUBLE AS dwell_seconds, number
            FROM browses ORDER BY place
            """,
        )


def _outcomes(engine: duckdb.DuckDBPyConnection, rows: int, broken: int) -> dict[str, Any]:
    """What became of the raw rows: {"rows": count, "actions": {action type: {outcome: count}}}."""
    actions: dict[str, dict[str, int]] = {}
    for action, outcome, count in engine.sql(OUTCOMES).fetchall():
        actions.setdefault(action, {})[outcome] = count
    if broken:
        actions["(unreadable line)"] = {"quarantined": broken}
    return {"rows": rows, "actions": actions}
