"""TREC Session Track 2013 and 2014: web searches in English, with results, clicks and dwell times.

File: sessiontrack2013.xml or sessiontrack2014.xml. A row is a query of a session: an `interaction`, or
the `currentquery` that ends a session.

* Requests: every interaction, in the order of rank; there are no recommendations. A document's id is its
  ClueWeb12 id, otherwise its address. A current query has no list: it is left out.
* Clicks name a rank or a document of the list. Their dwell is endtime - starttime. If a result is clicked
  again, the first click counts. A time "NA" is not known: of a click it is left out, an interaction
  without a time is quarantined.
* Times: the files give seconds from the start of a session only. Sessions start a day apart at midnight
  from 1 January 2013 on, in the order of `num`: the order of sessions is that of the file, nothing else
  about the day is true.
* Users: `userid` where it is given (2014); otherwise a session is a user.
* Documents: the title where the document is met first. Snippets and addresses are not read.
"""

import json
import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from data_pipeline.importers.formats.delimited_text import TextRows, open_bytes
from data_pipeline.importers.formats.sql_mapping import RawFile, map_files
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source
from data_pipeline.log.schema import LogError

COLUMNS = ("kind", "num", "userid", "starttime", "query", "results", "clicks")
ROWS_AT_ONCE = 1 << 12


def _read_sessions(path: pathlib.Path, name: str) -> Iterator[TextRows]:
    """Read the queries of all sessions; results and clicks as JSON."""
    rows: list[dict[str, str | None]] = []
    first = 1

    def part() -> TextRows:
        columns = {
            column: pa.array([row[column] for row in rows], pa.string()) for column in COLUMNS
        }
        return TextRows(pa.table(columns), np.arange(first, first + len(rows), dtype=np.int64), [])

    try:
        with open_bytes(path) as file:
            for _, session in ElementTree.iterparse(file):
                if session.tag != "session":
                    continue
                rows += [
                    _row(session, query)
                    for query in session
                    if query.tag in ("interaction", "currentquery")
                ]
                session.clear()
                if len(rows) >= ROWS_AT_ONCE:
                    yield part()
                    first, rows = first + len(rows), []
    except (ElementTree.ParseError, EOFError, OSError, ValueError) as error:
        raise LogError(
            name, "the file must be complete XML", type(error).__name__, "download it again."
        ) from error
    yield part()


def _row(session: ElementTree.Element, query: ElementTree.Element) -> dict[str, str | None]:
    results = [
        {
            "rank": result.get("rank"),
            "doc_id": result.findtext("clueweb12id") or result.findtext("url"),
            "title": " ".join("".join(title.itertext()).split())
            if (title := result.find("title")) is not None
            else "",
        }
        for result in query.iterfind("results/result")
    ]
    clicks = [
        {
            "rank": (click.findtext("rank") or "").strip(),
            "doc_id": (click.findtext("docno") or "").strip(),
            "start": click.get("starttime"),
            "end": click.get("endtime"),
        }
        for click in query.iterfind("clicked/click")
    ]
    return {
        "kind": query.tag,
        "num": session.get("num"),
        "userid": session.get("userid"),
        "starttime": query.get("starttime"),
        "query": " ".join((query.findtext("query") or "").split()),
        "results": json.dumps(results),
        "clicks": json.dumps(clicks),
    }


FILES = (
    RawFile(
        "queries",
        ("sessiontrack2013.xml", "sessiontrack2014.xml"),
        COLUMNS,
        load=_read_sessions,
    ),
)

RULES = (
    Rule("session-num", "`num` of a session must be a whole number. Fix: correct it."),
    Rule("time", "`starttime` of an interaction must be seconds, up to a day. Fix: correct it."),
    Rule("query-empty", "A query must not be empty. Fix: remove the interaction."),
    Rule("result-id", "A result must have a `clueweb12id` or a `url`. Fix: correct it."),
    Rule(
        "click-result",
        "A click must name a rank or a document of its list. Fix: correct it, or remove the click.",
    ),
)

_DAY = 24 * 3600


def _text(value: str, name: str) -> str:
    return f"json_extract_string({value}, '$.{name}')"


def _seconds(text: str) -> str:
    number = f"try_cast({text} AS DOUBLE)"
    return f"CASE WHEN {number} BETWEEN 0 AND {_DAY} THEN {number} END"


READ = f"""
CREATE TABLE read AS
SELECT number, kind, num, try_cast(num AS BIGINT) AS session,
    coalesce(nullif(userid, ''), 's' || num) AS user_id, starttime,
    {_seconds("starttime")} AS seconds, query,
    list_sort(list_transform(json_extract(results, '$[*]'), lambda result: {{
        'place': try_cast({_text("result", "rank")} AS INTEGER), 'rank': {_text("result", "rank")},
        'doc_id': coalesce({_text("result", "doc_id")}, ''), 'title': {_text("result", "title")}
    }})) AS shown,
    list_transform(json_extract(clicks, '$[*]'), lambda click: {{
        'rank': {_text("click", "rank")}, 'doc_id': {_text("click", "doc_id")},
        'start': {_seconds(_text("click", "start"))}, 'until': {_seconds(_text("click", "end"))}
    }}) AS clicks
FROM queries;

CREATE TABLE checked AS
SELECT *, CASE
        WHEN session IS NULL OR session NOT BETWEEN 0 AND 9999999 THEN 'session-num'
        WHEN kind = 'currentquery' THEN NULL
        WHEN seconds IS NULL THEN 'time'
        WHEN query = '' THEN 'query-empty'
        WHEN list_contains(list_transform(shown, lambda result: result.doc_id = ''), true)
            THEN 'result-id'
        WHEN list_contains(list_transform(clicks, lambda click: NOT list_contains(
            list_transform(shown, lambda result: coalesce(
                result.rank = click.rank OR result.doc_id = click.doc_id, false)), true)), true)
            THEN 'click-result'
    END AS fault
FROM read;

CREATE TABLE starts AS
SELECT session, epoch_us(DATE '2013-01-01'::TIMESTAMP)
    + {_DAY}::BIGINT * 1000000 * (row_number() OVER (ORDER BY session) - 1) AS start
FROM (SELECT DISTINCT session FROM checked WHERE fault IS NULL);

CREATE TABLE placed AS
SELECT checked.*, start FROM checked JOIN starts USING (session)
WHERE fault IS NULL AND kind = 'interaction';

CREATE TABLE clicked AS
SELECT number, doc_id, min_by(click, coalesce(click.start, 1e9)) AS click, count(*) AS times
FROM (
    SELECT number, click, list_filter(shown, lambda result: coalesce(
        result.rank = click.rank OR result.doc_id = click.doc_id, false))[1].doc_id AS doc_id
    FROM (SELECT number, shown, unnest(clicks) AS click FROM placed)
)
GROUP BY ALL
"""

LOG = """
CREATE TABLE requests AS
SELECT 'queries' AS source, number, 't' || number AS request_id, user_id,
    make_timestamp(start + (seconds * 1000000)::BIGINT) AS time, query,
    list_transform(shown, lambda result: {
        'doc_id': result.doc_id,
        'clicked': found[result.doc_id] IS NOT NULL,
        'click_time': make_timestamp(start + (found[result.doc_id].start * 1000000)::BIGINT),
        'dwell_seconds': CASE WHEN found[result.doc_id].until >= found[result.doc_id].start
            THEN found[result.doc_id].until - found[result.doc_id].start END
    }) AS results
FROM placed LEFT JOIN (
    SELECT number, map_from_entries(list((doc_id, click))) AS found FROM clicked GROUP BY number
) AS clicks USING (number);

CREATE TABLE documents AS
SELECT 'queries' AS source, min(number) AS number, result.doc_id AS doc_id,
    min_by(coalesce(result.title, ''), number) AS title
FROM (SELECT number, unnest(shown) AS result FROM placed) GROUP BY ALL;

CREATE TABLE faults AS
SELECT 'queries' AS source, number, fault, CASE fault
        WHEN 'session-num' THEN num WHEN 'time' THEN starttime END AS value
FROM checked WHERE fault IS NOT NULL;

CREATE TABLE outcomes AS
SELECT 'queries' AS source, CASE kind WHEN 'interaction' THEN 'search'
    ELSE 'left out, a last query without a list' END AS outcome, count(*) AS rows
FROM checked WHERE fault IS NULL GROUP BY ALL
UNION ALL
SELECT 'clicks of searches', unnest(['click', 'clicked again']),
    unnest([count(*), coalesce(sum(times), 0) - count(*)])
FROM clicked
UNION ALL
SELECT '(results)', 'document', count(*) FROM documents
"""


def read(path: pathlib.Path) -> Source:
    """Map a folder with a file of the Session Track (XML, plain or gzipped) to the canonical tables.

    Args:
        path: The folder.

    Returns:
        The source; "read" in its description counts the outcomes of the queries and of their clicks.

    Raises:
        LogError: The file is missing or no complete XML.
    """
    return map_files("trec_session", path, FILES, (READ, LOG), RULES, {}, {})
