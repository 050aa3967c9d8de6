"""OTTO (RecSys data set of a shop): products clicked, put into the cart and ordered, in sessions.

Recommended settings of `prepare`: `--text.tokenizer=ids`, since the id of a product is all that is
known of it.

File: train.jsonl (also otto-recsys-train.jsonl, or the test files): a session a line. Several files
become one log when they are concatenated: cat train.jsonl test.jsonl > all/train.jsonl. Test sessions
are cut at a random event; the rest is not in the file.

* Users: a session is a user; there are no others. The 30-minute rule cuts it into visits.
* Browses: every event, a click, a cart or an order. There are no lists, so browses are targets with
  pseudo-negatives, and no searches. Events on one product at one time are one browse, of the kind
  that says most.
* Satisfied: there are no dwell times. A click gets a dwell of 0 seconds, a cart or an order none, which
  counts as satisfied. So by default carts and orders are targets and clicks are history;
  `--sequence.relevance=click` makes targets of all.
* Documents: every product of an event; its title is its id.
* A line with an event that cannot be read is quarantined as one row.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from data_pipeline.importers.formats.delimited_text import TextRows, check_file, open_bytes
from data_pipeline.importers.formats.sql_mapping import RawFile, map_files
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source

LINES_AT_ONCE = 1 << 16


def _read_lines(path: pathlib.Path, name: str) -> Iterator[TextRows]:
    """Read the lines of a text file; empty ones are not rows."""
    check_file(path)
    lines: list[str] = []
    first = 1

    def part() -> TextRows:
        numbers = np.arange(first, first + len(lines), dtype=np.int64)
        return TextRows(pa.table({"line": pa.array(lines, pa.string())}), numbers, [])

    with open_bytes(path) as file:
        for line in file:
            text = line.decode("utf-8-sig" if first == 1 and not lines else "utf-8").rstrip("\r\n")
            if text:
                lines.append(text)
            if len(lines) == LINES_AT_ONCE:
                yield part()
                first, lines = first + len(lines), []
    yield part()


FILES = (
    RawFile(
        "sessions",
        ("train.jsonl", "otto-recsys-train.jsonl", "test.jsonl", "otto-recsys-test.jsonl"),
        ("line",),
        load=_read_lines,
    ),
)

RULES = (
    Rule("line", "A line must be one JSON object. Fix: correct it, or remove the line."),
    Rule("session-id", "`session` must be a whole number. Fix: correct it, or remove the line."),
    Rule(
        "events",
        "`events` must be a list of objects with `aid` (a whole number), `ts` (whole milliseconds "
        "since 1970) and `type` (clicks, carts or orders). Fix: correct it, or remove the line.",
    ),
)

_WHOLE = "'[0-9]{1,15}'"

READ = f"""
CREATE TABLE parsed AS
SELECT number, session, CASE
        WHEN line IS NULL THEN 'line'
        WHEN NOT coalesce(regexp_full_match(session, {_WHOLE}), false) THEN 'session-id'
        WHEN json_type(line, '$.events') IS DISTINCT FROM 'ARRAY' THEN 'events'
        WHEN NOT list_bool_and(list_transform(events, lambda event: coalesce(
            regexp_full_match(json_extract_string(event, '$.aid'), {_WHOLE})
            AND regexp_full_match(json_extract_string(event, '$.ts'), {_WHOLE})
            AND json_extract_string(event, '$.type') IN ('clicks', 'carts', 'orders'), false
        ))) THEN 'events'
    END AS fault, events
FROM (
    SELECT *, json_extract_string(line, '$.session') AS session,
        json_extract(line, '$.events[*]') AS events
    FROM (
        SELECT number,
            CASE WHEN json_valid(line) AND json_type(line) = 'OBJECT' THEN line::JSON END AS line
        FROM sessions
    )
);

CREATE TABLE browses AS
SELECT 'sessions' AS source, number, session AS user_id,
    make_timestamp(json_extract_string(event, '$.ts')::BIGINT * 1000) AS time,
    json_extract_string(event, '$.aid') AS doc_id, count(*) AS events,
    CASE WHEN bool_and(json_extract_string(event, '$.type') = 'clicks') THEN 0::DOUBLE END
        AS dwell_seconds
FROM (SELECT number, session, unnest(events) AS event FROM parsed WHERE fault IS NULL)
GROUP BY ALL;

CREATE TABLE documents AS
SELECT 'sessions' AS source, min(number) AS number, doc_id, doc_id AS title
FROM browses GROUP BY doc_id;

CREATE TABLE faults AS
SELECT 'sessions' AS source, number, fault, CASE fault WHEN 'session-id' THEN session END AS value
FROM parsed WHERE fault IS NOT NULL;

CREATE TABLE outcomes AS
SELECT 'sessions' AS source, 'session' AS outcome, count(*) AS rows FROM parsed WHERE fault IS NULL
UNION ALL
SELECT 'events of sessions', unnest(['browse', 'at one time with another event on it']),
    unnest([count(*), coalesce(sum(events), 0) - count(*)])
FROM browses
UNION ALL
SELECT '(products)', 'document', count(*) FROM documents
"""


def read(path: pathlib.Path) -> Source:
    """Map a folder with a file of OTTO (JSON Lines, plain or gzipped) to the canonical tables.

    Args:
        path: The folder.

    Returns:
        The source; "read" in its description counts the outcomes of sessions and of their events.

    Raises:
        LogError: The file is missing or not UTF-8.
    """
    return map_files("otto", path, FILES, (READ,), RULES, {}, {})
