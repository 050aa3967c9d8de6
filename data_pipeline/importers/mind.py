"""MIND news: recommendations with the shown lists, and the news that users had read before.

Recommended settings of `prepare`: `--sequence.relevance=click`, since there are no dwell times.

Files: news.tsv and behaviors.tsv of MIND or MIND-small, tab-separated without quotes; a header, which
published files lack, is recognised. To import several parts as one log, concatenate them: cat
train/news.tsv dev/news.tsv > news.tsv, and behaviors.tsv in the same way. Impressions without labels,
as in the test part, are unlabeled requests.

* Requests: every row of behaviors.tsv is a request without a query; there are no searches. The list
  is in the order of the file; several results may be clicked. Impression ids start again in every
  part, so the id of a request is its row. Times have no zone and are read as UTC.
* Clicks have no time: they are known from the user's next session on, not in the current one.
* Browses: the history of a user, clicked news without times. They are placed BEFORE the user's
  first impression, at synthetic times: in sessions of five clicks a minute apart, with an hour
  between the starts of sessions, the last one an hour before the impression. Their order is that of
  the file; nothing else about their times is true. Browses are no targets in a log with lists.
  "synthetic_browses" in log.json counts them.
* A history is in every row of its user; that of the first impression is used. Documents that a later
  history adds, and that the user did not click in a list before, were read between two impressions:
  they are placed there, at equal distances. Documents that a history no longer names stay.
* Documents: title and category. Abstract, subcategory, address and entities are not read. News of
  lists or histories must be in news.tsv; rows that repeat an id, as in concatenated parts, are left
  out.
"""

import pathlib

import pyarrow as pa

from data_pipeline.importers.formats.sql_mapping import RawFile, map_files, read_request_names
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source

FILES = (
    RawFile(
        "news",
        ("news.tsv",),
        (
            "news_id",
            "category",
            "subcategory",
            "title",
            "abstract",
            "url",
            "title_entities",
            "abstract_entities",
        ),
        "\t",
        header=False,
        quoted=False,
    ),
    RawFile(
        "behaviors",
        ("behaviors.tsv",),
        ("impression_id", "user_id", "time", "history", "impressions"),
        "\t",
        header=False,
        quoted=False,
    ),
)

RULES = (
    Rule(
        "news-id-empty",
        "The id of news must not be empty. Fix: download the file again, or remove the row.",
    ),
    Rule(
        "user-id-empty",
        "The user must not be empty. Fix: download the file again, or remove the row.",
    ),
    Rule("time", 'A time must be like "11/12/2019 2:14:46 PM". Fix: correct it.'),
    Rule(
        "labels",
        'An impression must be news with labels, like "N43266-0 N58363-1", or without any, like '
        '"N43266 N58363". Fix: correct it, or remove the row.',
    ),
)

SESSION_CLICKS = 5
"""Clicks of a synthetic session: the default number of behaviors kept of a session."""

READ = """
CREATE TABLE shown AS
SELECT *, CASE
        WHEN user_id = '' THEN 'user-id-empty'
        WHEN moment IS NULL THEN 'time'
        WHEN NOT (labeled OR unlabeled) THEN 'labels'
    END AS fault
FROM (
    SELECT number, user_id, time, try_strptime(time, '%m/%d/%Y %I:%M:%S %p') AS moment,
        trim(history) AS history, trim(behaviors.impressions) AS impressions,
        regexp_full_match(trim(behaviors.impressions), '[^ ]+-[01]( [^ ]+-[01])*') AS labeled,
        regexp_full_match(trim(behaviors.impressions), '[^ -]+( [^ -]+)*') AS unlabeled
    FROM behaviors
)
"""

HISTORIES = """
CREATE TABLE impressed AS
SELECT *, row_number() OVER by_time AS nth, lag(moment) OVER by_time AS before,
    lag(history) OVER by_time AS history_before
FROM shown WHERE fault IS NULL
WINDOW by_time AS (PARTITION BY user_id ORDER BY moment, number);

CREATE TABLE mentions AS
SELECT user_id, number, nth, moment, before, unnest(clicks) AS doc_id,
    unnest(range(len(clicks))) AS place
FROM (
    SELECT *, string_split(history, ' ') AS clicks FROM impressed
    WHERE history <> '' AND history IS DISTINCT FROM history_before
);

CREATE TABLE added AS
SELECT *, row_number() OVER of_row AS order_in_row, count(*) OVER (PARTITION BY number) AS in_row
FROM (
    SELECT mentions.* FROM mentions JOIN (
        -- A document is known from its first history on, or after its first click.
        SELECT user_id, doc_id, min(since) AS since FROM (
            SELECT user_id, doc_id, 2 * nth AS since FROM mentions
            UNION ALL
            SELECT user_id, left(place, -2), 2 * nth + 1 FROM (
                SELECT user_id, nth, unnest(string_split(impressions, ' ')) AS place FROM impressed
            ) WHERE ends_with(place, '-1')
        ) GROUP BY ALL
    ) AS known ON mentions.user_id = known.user_id AND mentions.doc_id = known.doc_id
    WHERE nth > 1 AND since = 2 * nth
    QUALIFY row_number() OVER (PARTITION BY number, mentions.doc_id ORDER BY place) = 1
)
WINDOW of_row AS (PARTITION BY number ORDER BY place)
"""

REQUESTS = """
CREATE TABLE requests AS
SELECT 'behaviors' AS source, number, 'm' || number AS request_id, user_id, moment AS time,
    '' AS query, list_transform(string_split(impressions, ' '), lambda place: {
        'doc_id': CASE WHEN labeled THEN left(place, -2) ELSE place END,
        'clicked': labeled AND ends_with(place, '-1'),
        'click_time': NULL::TIMESTAMP
    }) AS results, CASE WHEN unlabeled THEN 'unlabeled' END AS split
FROM impressed
"""

BROWSES = f"""
CREATE TABLE browses AS
SELECT 'behaviors' AS source, number, user_id, doc_id,
    moment - to_hours(1 + later // {SESSION_CLICKS}) - to_minutes(later % {SESSION_CLICKS}) AS time
FROM (
    SELECT *, count(*) OVER (PARTITION BY number) - 1 - place AS later FROM mentions WHERE nth = 1
)
UNION ALL
SELECT 'behaviors', number, user_id, doc_id, make_timestamp(
    epoch_us(before) + (epoch_us(moment) - epoch_us(before)) // (in_row + 1) * order_in_row
)
FROM added
"""

DOCUMENTS = """
CREATE TABLE documents AS
SELECT 'news' AS source, number, news_id AS doc_id, title, nullif(category, '') AS category
FROM news WHERE news_id <> ''
QUALIFY row_number() OVER (PARTITION BY news_id ORDER BY number) = 1
"""

FAULTS = """
CREATE TABLE faults AS
SELECT 'behaviors' AS source, number, fault,
    CASE fault WHEN 'time' THEN time WHEN 'labels' THEN impressions END AS value
FROM shown WHERE fault IS NOT NULL
UNION ALL
SELECT 'news', number, 'news-id-empty', '' FROM news WHERE news_id = ''
"""

OUTCOMES = """
CREATE TABLE outcomes AS
SELECT 'news' AS source, CASE WHEN number IN (SELECT number FROM documents) THEN 'document'
    ELSE 'of an earlier row' END AS outcome, count(*) AS rows
FROM news WHERE news_id <> '' GROUP BY ALL
UNION ALL
SELECT 'behaviors', CASE WHEN unlabeled THEN 'unlabeled request' ELSE 'request' END, count(*)
FROM impressed GROUP BY ALL
UNION ALL
SELECT 'histories of requests', CASE
        WHEN history = '' THEN 'empty'
        WHEN nth = 1 THEN 'of the first request'
        WHEN number IN (SELECT number FROM added) THEN 'adds documents'
        ELSE 'adds nothing' END, count(*)
FROM impressed GROUP BY ALL
UNION ALL
SELECT 'clicks of histories', 'browse at a synthetic time', count(*) FROM browses
"""

MEASURES = {"synthetic_browses": "SELECT count(*) FROM browses"}


def read(path: pathlib.Path) -> Source:
    """Map a folder of MIND files (tab-separated, plain or gzipped) to the canonical tables.

    Args:
        path: The folder.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each file and of
        the histories in them; "synthetic_browses" counts browses with synthetic times.

    Raises:
        LogError: A file is missing or not UTF-8.
    """
    statements = (READ, HISTORIES, REQUESTS, BROWSES, DOCUMENTS, FAULTS, OUTCOMES)
    return map_files("mind", path, FILES, statements, RULES, {"relevance": "click"}, MEASURES)


def read_names(path: pathlib.Path) -> pa.Table:
    """Return what names each request in a submission: columns request_id, impression_id.

    Args:
        path: The folder that was imported.

    Raises:
        LogError: A file is missing or not UTF-8.
    """
    return read_request_names("mind", path, FILES[1], "m", ("impression_id",))
