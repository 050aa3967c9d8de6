"""EB-NeRD (RecSys Challenge 2024): recommendations of Danish news with the lists shown, and histories.

Files: articles.parquet; behaviors.parquet and history.parquet, each in train/ and validation/, and in
test/ if there is one.

* Requests: every impression is a recommendation, at `impression_time`. Impression ids of the parts are
  kept apart by t, v and e. `article_ids_inview` is the list; its order has no meaning. Impressions of the
  test part have no clicks and are unlabeled; those with the id 0 get one from their row.
* Clicks: `article_ids_clicked`, without a time: they are known from the user's next session on. Of an
  impression with one click, `next_read_time` is its dwell; of several clicks the dwell is not known.
* Browses: the history of a user, with times and dwell. An article that is in several parts' histories at
  one time is one browse. The history of a later part covers the weeks of an earlier one: an article that
  the user clicked in an impression is left out if it is read after the first one.
* Times have no zone; they are read as local times of Copenhagen.
* Documents: title, category and time of publication of an article. Body and other columns are not read.
* Splits: the validation part is the week after the train part. Requests keep their part as `split`;
  `--nosplit.column` of `prepare` cuts by time anew.
"""

import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import TextRows
from data_pipeline.importers.formats.parquet_parts import parquet_names, read_parquet
from data_pipeline.importers.formats.sql_mapping import RawFile, map_files
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source
from data_pipeline.log.schema import LogError

TIME, LONG, REAL = pa.timestamp("us"), pa.int64(), pa.float64()
SQL = {
    TIME: "TIMESTAMP",
    LONG: "BIGINT",
    REAL: "DOUBLE",
    pa.string(): "VARCHAR",
    pa.list_(LONG): "BIGINT[]",
    pa.list_(TIME): "TIMESTAMP[]",
    pa.list_(REAL): "DOUBLE[]",
}
ARTICLES = pa.schema(
    [
        ("article_id", LONG),
        ("title", pa.string()),
        ("category_str", pa.string()),
        ("published_time", TIME),
    ]
)
BEHAVIORS = pa.schema(
    [
        ("impression_id", LONG),
        ("impression_time", TIME),
        ("article_ids_inview", pa.list_(LONG)),
        ("article_ids_clicked", pa.list_(LONG)),
        ("user_id", LONG),
        ("next_read_time", REAL),
    ]
)
HISTORY = pa.schema(
    [
        ("user_id", LONG),
        ("article_id_fixed", pa.list_(LONG)),
        ("impression_time_fixed", pa.list_(TIME)),
        ("read_time_fixed", pa.list_(REAL)),
    ]
)


UNLABELED = pa.schema(
    [field for field in BEHAVIORS if field.name not in ("article_ids_clicked", "next_read_time")]
)


def _loader(schema: pa.Schema) -> Callable[[pathlib.Path, str], Iterator[TextRows]]:
    def load(path: pathlib.Path, name: str) -> Iterator[TextRows]:
        fix = "use the file as it was published."
        check_needed(name, "an ebnerd file", parquet_names(path, name), schema.names, fix)
        first = 1
        for rows in read_parquet(path, name, schema.names):
            try:
                rows = rows.cast(schema)
            except pa.ArrowException as error:
                kinds = ", ".join(str(field.type) for field in rows.schema)
                raise LogError(
                    name, "the columns must have the types of the published file", kinds, fix
                ) from error
            yield TextRows(rows, np.arange(first, first + len(rows), dtype=np.int64), [])
            first += len(rows)

    return load


def _file(table: str, name: str, schema: pa.Schema, optional: bool = False) -> RawFile:
    types, load = tuple(SQL[field.type] for field in schema), _loader(schema)
    names = tuple(schema.names)
    return RawFile(table, (name,), names, types=types, load=load, optional=optional)


FILES = (
    _file("articles", "articles.parquet", ARTICLES),
    *(
        _file(f"{kind}_{part}", f"{part}/{kind}.parquet", schema)
        for part in ("train", "validation")
        for kind, schema in (("behaviors", BEHAVIORS), ("history", HISTORY))
    ),
    _file("behaviors_test", "test/behaviors.parquet", UNLABELED, optional=True),
    _file("history_test", "test/history.parquet", HISTORY, optional=True),
)

RULES = (
    Rule("article-id", "`article_id` must be given. Fix: correct it, or remove the row."),
    Rule("user-id", "`user_id` must be given. Fix: correct it, or remove the row."),
    Rule("time", "`impression_time` must be given, in 1990 to 2099. Fix: correct it."),
    Rule(
        "lists",
        "The lists of a row must be given without gaps, and those of a history be equally long. Fix: "
        "correct them, or remove the row.",
    ),
    Rule("click-item", "A clicked article must be in the list shown. Fix: remove the click."),
)

_ZONE = "AT TIME ZONE 'Europe/Copenhagen' AT TIME ZONE 'UTC'"


def _range(time: str) -> str:
    return f"coalesce({time} BETWEEN TIMESTAMP '1990-01-02' AND TIMESTAMP '2099-12-30', false)"


READ = f"""
CREATE TABLE shown AS
SELECT *, impression_time {_ZONE} AS time, CASE
        WHEN user_id IS NULL THEN 'user-id'
        WHEN NOT {_range("impression_time")} THEN 'time'
        WHEN impression_id IS NULL OR inview IS NULL OR len(inview) <> list_count(inview)
            OR clicked IS NULL OR len(clicked) <> list_count(clicked) THEN 'lists'
        WHEN NOT list_has_all(inview, clicked) THEN 'click-item'
    END AS fault
FROM (
    SELECT *, article_ids_inview AS inview, article_ids_clicked AS clicked FROM (
        SELECT 'behaviors_train' AS source, 't' AS part, * FROM behaviors_train
        UNION ALL
        SELECT 'behaviors_validation', 'v', * FROM behaviors_validation
        UNION ALL BY NAME
        SELECT 'behaviors_test' AS source, 'e' AS part, *, []::BIGINT[] AS article_ids_clicked
        FROM behaviors_test
    )
);

CREATE TABLE read AS
SELECT *, CASE
        WHEN user_id IS NULL THEN 'user-id'
        WHEN docs IS NULL OR len(docs) <> list_count(docs) OR times IS NULL OR dwells IS NULL
            OR len(docs) <> len(times) OR len(docs) <> len(dwells) THEN 'lists'
        WHEN NOT list_bool_and(list_transform(times, lambda time: {_range("time")})) THEN 'time'
    END AS fault
FROM (
    SELECT *, article_id_fixed AS docs, impression_time_fixed AS times, read_time_fixed AS dwells
    FROM (
        SELECT 'history_train' AS source, 1 AS part, * FROM history_train
        UNION ALL
        SELECT 'history_validation', 2, * FROM history_validation
        UNION ALL
        SELECT 'history_test', 3, * FROM history_test
    )
);

CREATE TABLE opened AS
SELECT *, row_number() OVER (PARTITION BY user_id, time, doc ORDER BY part, number, place) AS nth
FROM (
    SELECT source, part, number, user_id, doc, time {_ZONE} AS time, dwell, place FROM (
        SELECT source, part, number, user_id, unnest(docs) AS doc, unnest(times) AS time,
            unnest(dwells) AS dwell, unnest(range(len(docs))) AS place
        FROM read WHERE fault IS NULL
    )
);

CREATE TABLE judged AS
SELECT opened.*, CASE
        WHEN nth > 1 THEN 'at one time with another row'
        WHEN part > 1 AND opened.time >= first THEN 'click of an impression'
        ELSE 'browse' END AS outcome
FROM opened LEFT JOIN (
    SELECT user_id, doc, min(time) AS first FROM (
        SELECT user_id, unnest(clicked) AS doc, time FROM shown WHERE fault IS NULL
    ) GROUP BY ALL
) AS clicks ON opened.user_id = clicks.user_id AND opened.doc = clicks.doc
"""

LOG = f"""
CREATE TABLE requests AS
SELECT source, number, part || impression_id || CASE
        WHEN part = 'e' AND impression_id = 0 THEN '-' || number ELSE '' END AS request_id, user_id::VARCHAR AS user_id, time,
    '' AS query, list_transform(inview, lambda doc: {{
        'doc_id': doc::VARCHAR,
        'clicked': list_contains(clicked, doc),
        'click_time': NULL::TIMESTAMP,
        'dwell_seconds': CASE WHEN list_contains(clicked, doc) AND len(clicked) = 1
            AND isfinite(next_read_time) AND next_read_time >= 0 THEN next_read_time END
    }}) AS results, CASE part WHEN 't' THEN 'train'
        WHEN 'v' THEN 'validation' ELSE 'unlabeled' END AS split
FROM shown WHERE fault IS NULL;

CREATE TABLE browses AS
SELECT source, number, user_id::VARCHAR AS user_id, time, doc::VARCHAR AS doc_id,
    CASE WHEN isfinite(dwell) AND dwell >= 0 THEN dwell END AS dwell_seconds
FROM judged WHERE outcome = 'browse';

CREATE TABLE documents AS
SELECT 'articles' AS source, number, article_id::VARCHAR AS doc_id, coalesce(title, '') AS title,
    category_str AS category,
    CASE WHEN {_range("published_time")} THEN published_time {_ZONE} END AS published
FROM articles WHERE article_id IS NOT NULL;

CREATE TABLE faults AS
SELECT source, number, fault, NULL::VARCHAR AS value FROM shown WHERE fault IS NOT NULL
UNION ALL
SELECT source, number, fault, NULL FROM read WHERE fault IS NOT NULL
UNION ALL
SELECT 'articles', number, 'article-id', NULL FROM articles WHERE article_id IS NULL;

CREATE TABLE outcomes AS
SELECT source, CASE split WHEN 'unlabeled' THEN 'unlabeled request' ELSE 'request' END AS outcome,
    count(*) AS rows
FROM requests GROUP BY ALL
UNION ALL
SELECT source, 'history', count(*) FROM read WHERE fault IS NULL GROUP BY source
UNION ALL
SELECT 'clicks of histories', outcome, count(*) FROM judged GROUP BY outcome
UNION ALL
SELECT 'articles', 'document', count(*) FROM documents
"""


def read(path: pathlib.Path) -> Source:
    """Map a folder of EB-NeRD (Parquet) to the canonical tables.

    Args:
        path: The folder with articles.parquet, train/ and validation/.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each file and of
        the clicks of histories.

    Raises:
        LogError: A file is missing, not Parquet, lacks a column, or has columns of other types.
    """
    return map_files("ebnerd", path, FILES, (READ, LOG), RULES, {}, {})
