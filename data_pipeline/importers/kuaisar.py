"""KuaiSAR: searches and recommended videos of one app, both with the shown lists.

Recommended settings of `prepare`: `--sequence.relevance=click`, since searches have no dwell times;
`--text.tokenizer=ids`, since words are hashed (`words` gives the same tokens more slowly,
`wordpiece` would split numbers into parts without a meaning).

Files: item_features.csv, src_inter.csv and rec_inter.csv of KuaiSAR or KuaiSAR-small. Queries and
captions are lists of hashed words: each number is one word.

* Searches: all rows of one user with one `search_session_id`, time and keyword, wherever they are
  in the file. The list is in the order of the rows: the file has no ranks.
* Recommendations: all rows of one user with one timestamp, the time at which the server sent them
  together. The list is in the order of the rows. `click` gives the clicks; the dwell of a clicked
  video is its playing time. A video that played without a click has no dwell.
* Clicks have no time: later sessions of the user see them, the current session does not.
* A repeated item of a list keeps its first rank. It is clicked if any of its rows is, with the
  longest dwell of them. A row that cannot be read rejects its complete list, whose ranks would be
  wrong without it.
* Documents: the title is the caption, the category is the English name of the first level, the date
  is the day of the upload in Beijing. Items of all types share one space of ids. Items without
  features, such as users and live streams in search results, have an empty title.
* There are no browses: every video comes from a logged list. Timestamps are milliseconds in UTC;
  the text dates, which give the same in Beijing time, are not read. Other feedback, the source of a
  search, and the files of users and of their network are not read.
"""

import pathlib

from data_pipeline.importers.formats.sql_mapping import RawFile, map_files, words_sql
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source

FILES = (
    RawFile(
        "items",
        ("item_features.csv",),
        ("item_id", "caption", "upload_time", "first_level_category_name_en"),
    ),
    RawFile(
        "searched",
        ("src_inter.csv",),
        (
            "user_id",
            "search_session_id",
            "search_session_timestamp",
            "keyword",
            "item_id",
            "click_cnt",
        ),
    ),
    RawFile(
        "recommended",
        ("rec_inter.csv",),
        ("user_id", "item_id", "timestamp", "click", "playing_time"),
    ),
)

RULES = (
    Rule(
        "user-id-empty",
        "`user_id` must not be empty. Fix: download the file again, or remove the list.",
    ),
    Rule("item-id", "`item_id` must be a whole number. Fix: correct it, or remove its list."),
    Rule(
        "timestamp",
        "A timestamp must be milliseconds since 1970, in 1990 to 2099. Fix: correct it.",
    ),
    Rule(
        "session-id-empty",
        "`search_session_id` must not be empty. Fix: fill it, or remove the row.",
    ),
    Rule(
        "keyword",
        '`keyword` must be a list of numbers like "[20, 34]". Fix: correct it, or remove the search.',
    ),
    Rule(
        "click",
        "`click` and `click_cnt` must be whole numbers of at least 0. Fix: correct them, or remove the "
        "list.",
    ),
    Rule(
        "playing-time",
        "`playing_time` must be milliseconds of at least 0, or empty. Fix: correct it, or remove the "
        "list.",
    ),
    Rule(
        "list-broken",
        "The other rows of a list must be readable too, and one is not. Fix: correct that row.",
    ),
)

_NUMBER = "'-?[0-9]{1,18}'"

PLACES = f"""
CREATE TABLE places AS
SELECT source, number, user_id, session, moment, query, item_id, clicks, played, CASE
        WHEN user_id = '' THEN 'user-id-empty'
        WHEN session = '' THEN 'session-id-empty'
        WHEN moment IS NULL THEN 'timestamp'
        WHEN source = 'searched' AND query = '' THEN 'keyword'
        WHEN NOT regexp_full_match(item_id, {_NUMBER}) THEN 'item-id'
        WHEN clicks IS NULL OR clicks < 0 THEN 'click'
        WHEN playing_time <> '' AND NOT coalesce(played >= 0 AND isfinite(played), false)
            THEN 'playing-time'
    END AS fault
FROM (
    SELECT *,
        CASE WHEN ms >= 631152000000 AND ms < 4102444800000 THEN round(ms * 1000)::BIGINT END
            AS moment,
        try_cast(click AS BIGINT) AS clicks, try_cast(playing_time AS DOUBLE) AS played
    FROM (
        SELECT 'searched' AS source, number, user_id, search_session_id AS session,
            try_cast(search_session_timestamp AS DOUBLE) AS ms,
            CASE WHEN regexp_full_match(keyword, '\\[[0-9, ]*\\]') THEN {words_sql("keyword")}
                ELSE '' END AS query,
            item_id, click_cnt AS click, '' AS playing_time
        FROM searched
        UNION ALL
        SELECT 'recommended', number, user_id, 'none', try_cast(timestamp AS DOUBLE), '', item_id,
            click, playing_time
        FROM recommended
    )
)
"""

BROKEN_LISTS = """
CREATE VIEW judged AS
SELECT places.* REPLACE (
    coalesce(fault, CASE WHEN broken.moment IS NOT NULL THEN 'list-broken' END) AS fault
)
FROM places LEFT JOIN (
    SELECT DISTINCT source, user_id, session, moment FROM places
    WHERE fault IS NOT NULL AND moment IS NOT NULL
) AS broken USING (source, user_id, session, moment)
"""

ITEMS_OF_LISTS = """
CREATE TABLE listed AS
SELECT source, user_id, session, moment, query, item_id, min(number) AS number,
    bool_or(clicks > 0) AS clicked, max(played / 1000) FILTER (clicks > 0) AS dwell,
    count(*) AS times
FROM judged WHERE fault IS NULL
GROUP BY source, user_id, session, moment, query, item_id
"""

REQUESTS = """
CREATE TABLE requests AS
SELECT source, min(number) AS number, left(source, 1) || min(number) AS request_id, user_id,
    make_timestamp(moment) AS time, query,
    list({
        'doc_id': item_id,
        'clicked': clicked,
        'click_time': NULL::TIMESTAMP,
        'dwell_seconds': dwell
    } ORDER BY number) AS results
FROM listed GROUP BY source, user_id, session, moment, query
"""

DOCUMENTS = f"""
CREATE TABLE documents AS
SELECT 'items' AS source, number, item_id AS doc_id, {words_sql("caption")} AS title,
    CASE WHEN first_level_category_name_en NOT IN ('', 'empty')
        THEN first_level_category_name_en END AS category,
    CASE WHEN day >= DATE '1990-01-01' AND day < DATE '2100-01-01'
        THEN day - INTERVAL 8 HOURS END AS published
FROM (SELECT *, try_cast(upload_time AS TIMESTAMP) AS day FROM items)
WHERE regexp_full_match(item_id, {_NUMBER});

INSERT INTO documents
SELECT arg_min(source, (source, number)), arg_min(number, (source, number)), item_id, '', NULL, NULL
FROM listed WHERE item_id NOT IN (SELECT doc_id FROM documents)
GROUP BY item_id
"""

FAULTS = f"""
CREATE TABLE faults AS
SELECT judged.source, number, fault, CASE fault
        WHEN 'timestamp' THEN coalesce(search_session_timestamp, timestamp)
        WHEN 'keyword' THEN keyword
        WHEN 'item-id' THEN judged.item_id
        WHEN 'click' THEN coalesce(click_cnt, click)
        WHEN 'playing-time' THEN playing_time
    END AS value
FROM judged
LEFT JOIN (SELECT 'searched' AS source, * FROM searched) AS search USING (source, number)
LEFT JOIN (SELECT 'recommended' AS source, * FROM recommended) AS video USING (source, number)
WHERE fault IS NOT NULL
UNION ALL
SELECT 'items', number, 'item-id', item_id FROM items
WHERE NOT regexp_full_match(item_id, {_NUMBER})
"""

OUTCOMES = """
CREATE TABLE outcomes AS
SELECT source, CASE WHEN clicked THEN 'clicked place of a list' ELSE 'place of a list' END
    AS outcome, count(*) AS rows
FROM listed GROUP BY ALL
UNION ALL
SELECT source, 'again in its list', sum(times - 1) FROM listed GROUP BY source
UNION ALL
SELECT CASE source WHEN 'items' THEN 'items' ELSE '(items without features)' END,
    CASE source WHEN 'items' THEN 'document' ELSE 'document with an empty title' END, count(*)
FROM documents GROUP BY ALL
"""


def read(path: pathlib.Path) -> Source:
    """Map a folder of KuaiSAR files (CSV or gzipped CSV) to the canonical tables.

    Args:
        path: The folder.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each file.

    Raises:
        LogError: A file is missing, not UTF-8, or lacks a column.
    """
    statements = (PLACES, BROKEN_LISTS, ITEMS_OF_LISTS, REQUESTS, DOCUMENTS, FAULTS, OUTCOMES)
    return map_files("kuaisar", path, FILES, statements, RULES, {"relevance": "click"}, {})
