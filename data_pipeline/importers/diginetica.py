"""DIGINETICA (CIKM Cup 2016): product searches, category pages and product views of a shop.

Recommended settings of `prepare`: `--sequence.relevance=click`, since there are no dwell times.

Files: products.csv, product-categories.csv, train-queries.csv, train-clicks.csv and
train-item-views.csv. Words of queries and product names are hashed: each number is one word.

* Requests: every row of train-queries.csv. With words it is a search, without words it is the page
  of a category, a recommendation (about 94 of 100 rows). `items` is the list in shown order. Rows
  with `is.test` TRUE are unlabeled: their clicks were withheld.
* Clicks: a click belongs to its `queryId` and has its own time. If a product is clicked again, the
  first time counts. `duration` is the duration of the page, not a dwell.
* Browses: every row of train-item-views.csv, without dwell, also if it follows a click on the same
  product. Views of one user and product at one time are one browse.
* Times: the files give the day, and milliseconds since the start of the session. A session starts
  at midnight of the earliest day of its rows. Several sessions of one user on a day start two hours
  apart, in the order of their ids, so that they do not overlap; their true order is not known. The
  time of day means nothing, nor does the order of different users within a day.
* Users: `userId`. If it is missing (more than half of the rows), the user of the other rows of the
  session, if they agree; otherwise the session is used as a user.
* Documents: the title is the product name, the category is that of its first row. Products that are
  only shown or viewed have an empty title. Prices and purchases are not read: a purchase is not a
  reading of a document, and the product had been viewed.
"""

import pathlib

from data_pipeline.common.codes import HOUR
from data_pipeline.importers.formats.sql_mapping import RawFile, map_files, words_sql
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source

FILES = (
    RawFile("products", ("products.csv",), ("itemId", "product.name.tokens"), ";"),
    RawFile("categories", ("product-categories.csv",), ("itemId", "categoryId"), ";"),
    RawFile(
        "queries",
        ("train-queries.csv",),
        (
            "queryId",
            "sessionId",
            "userId",
            "timeframe",
            "eventdate",
            "searchstring.tokens",
            "items",
            "is.test",
        ),
        ";",
    ),
    RawFile("clicks", ("train-clicks.csv",), ("queryId", "timeframe", "itemId"), ";"),
    RawFile(
        "views",
        ("train-item-views.csv",),
        ("sessionId", "userId", "itemId", "timeframe", "eventdate"),
        ";",
    ),
)

RULES = (
    Rule(
        "item-id",
        "Products must be whole numbers, also in lists. Fix: correct them, or remove the row.",
    ),
    Rule("query-id", "`queryId` must be a whole number. Fix: correct it, or remove the row."),
    Rule("session-id", "`sessionId` must be a whole number. Fix: correct it, or remove the row."),
    Rule("timeframe", "`timeframe` must be whole milliseconds, up to a year. Fix: correct it."),
    Rule("eventdate", '`eventdate` must be a day like "2016-05-09". Fix: correct it.'),
    Rule(
        "search-string",
        "`searchstring.tokens` must be numbers with commas between them, empty or NA. Fix: correct it.",
    ),
    Rule("is-test", "`is.test` must be TRUE or FALSE. Fix: correct it."),
    Rule(
        "click-query",
        "The query of a click must be one complete row of train-queries.csv. Fix: correct that "
        "row, or remove the click.",
    ),
    Rule(
        "click-item",
        "The product of a click must be in the list of its query. Fix: remove the click.",
    ),
)

_NUMBER = "'[0-9]{1,18}'"
_NUMBERS = "'([0-9]{1,18}(,[0-9]{1,18})*)?'"
_YEAR_MS = 366 * 24 * 3600 * 1000
_APART_US = 2 * HOUR


def _given(text: str) -> str:
    return f"nullif(nullif({text}, 'NA'), '')"


_TIME_FAULTS = f"""
    WHEN NOT regexp_full_match(sessionId, {_NUMBER}) THEN 'session-id'
    WHEN ms IS NULL OR ms NOT BETWEEN -{_YEAR_MS} AND {_YEAR_MS} THEN 'timeframe'
    WHEN day IS NULL OR day < DATE '1990-01-01' OR day >= DATE '2100-01-01' THEN 'eventdate'
"""

READ = f"""
CREATE TABLE queried AS
SELECT *, CASE
        WHEN NOT regexp_full_match(queryId, {_NUMBER}) THEN 'query-id'
        {_TIME_FAULTS}
        WHEN NOT regexp_full_match(coalesce(tokens, ''), {_NUMBERS}) THEN 'search-string'
        WHEN NOT regexp_full_match(items, {_NUMBERS}) THEN 'item-id'
        WHEN withheld NOT IN ('TRUE', 'FALSE') THEN 'is-test'
    END AS fault
FROM (
    SELECT number, queryId, sessionId, {_given("userId")} AS person, timeframe, eventdate,
        try_cast(timeframe AS BIGINT) AS ms, try_cast(eventdate AS DATE) AS day,
        {_given('"searchstring.tokens"')} AS tokens, items, upper("is.test") AS withheld
    FROM queries
);

CREATE TABLE viewed AS
SELECT *, CASE
        {_TIME_FAULTS}
        WHEN NOT regexp_full_match(itemId, {_NUMBER}) THEN 'item-id'
    END AS fault
FROM (
    SELECT number, sessionId, {_given("userId")} AS person, itemId, timeframe, eventdate,
        try_cast(timeframe AS BIGINT) AS ms, try_cast(eventdate AS DATE) AS day
    FROM views
)
"""

SESSIONS = f"""
CREATE TABLE events AS
SELECT *, coalesce(
        'u' || person,
        CASE WHEN min(person) OVER session = max(person) OVER session
            THEN 'u' || min(person) OVER session END,
        's' || sessionId
    ) AS user_id
FROM (
    SELECT 'queries' AS source, number, sessionId, person, day, ms FROM queried WHERE fault IS NULL
    UNION ALL
    SELECT 'views', number, sessionId, person, day, ms FROM viewed WHERE fault IS NULL
)
WINDOW session AS (PARTITION BY sessionId);

CREATE TABLE starts AS
SELECT user_id, sessionId, epoch_us(day::TIMESTAMP) + {_APART_US} * (row_number() OVER (
        PARTITION BY user_id, day ORDER BY sessionId::BIGINT
    ) - 1) AS start
FROM (
    SELECT user_id, sessionId, min(day) AS day FROM events GROUP BY user_id, sessionId
);

CREATE TABLE placed AS
SELECT source, number, user_id, start, start + ms * 1000 AS moment
FROM events JOIN starts USING (user_id, sessionId)
"""

CLICKS = f"""
CREATE TABLE clicked AS
SELECT *, row_number() OVER (PARTITION BY queryId, itemId, fault ORDER BY ms, number) AS nth
FROM (
    SELECT clicks.*, withheld, CASE
            WHEN NOT regexp_full_match(clicks.itemId, {_NUMBER}) THEN 'item-id'
            WHEN ms IS NULL OR ms NOT BETWEEN -{_YEAR_MS} AND {_YEAR_MS} THEN 'timeframe'
            WHEN withheld IS NULL THEN 'click-query'
            WHEN NOT list_contains(shown, clicks.itemId) THEN 'click-item'
        END AS fault
    FROM (SELECT *, try_cast(timeframe AS BIGINT) AS ms FROM clicks) AS clicks
    LEFT JOIN (
        SELECT queryId, any_value(withheld) AS withheld,
            string_split(any_value(items), ',') AS shown
        FROM queried WHERE fault IS NULL GROUP BY queryId HAVING count(*) = 1
    ) AS query ON clicks.queryId = query.queryId
)
"""

REQUESTS = """
CREATE TABLE requests AS
SELECT 'queries' AS source, queried.number, 'q' || queried.queryId AS request_id, user_id,
    make_timestamp(moment) AS time, coalesce(replace(tokens, ',', ' '), '') AS query,
    CASE WHEN items = '' THEN [] ELSE list_transform(string_split(items, ','), lambda item: {
        'doc_id': item,
        'clicked': clicked_at[item] IS NOT NULL,
        'click_time': make_timestamp(start + clicked_at[item] * 1000)
    }) END AS results, CASE withheld WHEN 'TRUE' THEN 'unlabeled' END AS split
FROM queried
JOIN placed ON placed.source = 'queries' AND placed.number = queried.number
LEFT JOIN (
    SELECT queryId, map_from_entries(list((itemId, ms) ORDER BY number)) AS clicked_at
    FROM clicked WHERE fault IS NULL AND nth = 1 AND withheld = 'FALSE' GROUP BY queryId
) AS found ON queried.queryId = found.queryId
"""

BROWSES = """
CREATE TABLE browses AS
SELECT 'views' AS source, min(viewed.number) AS number, user_id, make_timestamp(moment) AS time,
    itemId AS doc_id, count(*) AS times
FROM viewed JOIN placed ON placed.source = 'views' AND placed.number = viewed.number
GROUP BY user_id, moment, itemId
"""

DOCUMENTS = f"""
CREATE TABLE documents AS
SELECT 'products' AS source, number, products.itemId AS doc_id,
    {words_sql('"product.name.tokens"')} AS title, category
FROM products
LEFT JOIN (
    SELECT itemId, arg_min({_given("categoryId")}, number) AS category FROM categories
    GROUP BY itemId
) AS first_category ON products.itemId = first_category.itemId
WHERE regexp_full_match(products.itemId, {_NUMBER});

INSERT INTO documents
SELECT arg_min(source, (source, number)), min(number), doc_id, '', NULL
FROM (
    SELECT source, number, unnest(results).doc_id AS doc_id FROM requests
    UNION ALL
    SELECT source, number, doc_id FROM browses
)
WHERE doc_id NOT IN (SELECT doc_id FROM documents)
GROUP BY doc_id
"""

FAULTS = f"""
CREATE TABLE faults AS
SELECT 'queries' AS source, number, fault, CASE fault
        WHEN 'query-id' THEN queryId
        WHEN 'timeframe' THEN timeframe
        WHEN 'eventdate' THEN eventdate
        WHEN 'search-string' THEN tokens
        WHEN 'item-id' THEN items
        WHEN 'is-test' THEN withheld
    END AS value
FROM queried WHERE fault IS NOT NULL
UNION ALL
SELECT 'views', number, fault, CASE fault
        WHEN 'timeframe' THEN timeframe
        WHEN 'eventdate' THEN eventdate
        WHEN 'item-id' THEN itemId
    END
FROM viewed WHERE fault IS NOT NULL
UNION ALL
SELECT 'clicks', number, fault, CASE fault
        WHEN 'timeframe' THEN timeframe
        WHEN 'click-query' THEN queryId
        ELSE itemId
    END
FROM clicked WHERE fault IS NOT NULL
UNION ALL
SELECT 'products', number, 'item-id', itemId FROM products
WHERE NOT regexp_full_match(itemId, {_NUMBER})
"""

OUTCOMES = """
CREATE TABLE outcomes AS
SELECT 'queries' AS source, CASE
        WHEN withheld = 'TRUE' THEN 'unlabeled request'
        WHEN tokens IS NULL THEN 'page of a category'
        ELSE 'search' END AS outcome, count(*) AS rows
FROM queried WHERE fault IS NULL GROUP BY ALL
UNION ALL
SELECT 'clicks', CASE
        WHEN withheld = 'TRUE' THEN 'left out with its query'
        WHEN nth > 1 THEN 'clicked again'
        ELSE 'click' END, count(*)
FROM clicked WHERE fault IS NULL GROUP BY ALL
UNION ALL
SELECT 'views', unnest(['browse', 'at one time with another view of it']),
    unnest([count(*), sum(times - 1)])
FROM browses
UNION ALL
SELECT 'categories', CASE
        WHEN products.itemId IS NULL THEN 'of no product'
        WHEN nth > 1 THEN 'another category of its product'
        ELSE 'category of a document' END, count(*)
FROM (
    SELECT itemId, row_number() OVER (PARTITION BY itemId ORDER BY number) AS nth FROM categories
) AS categories LEFT JOIN (SELECT DISTINCT itemId FROM products) AS products USING (itemId)
GROUP BY ALL
UNION ALL
SELECT CASE source WHEN 'products' THEN 'products' ELSE '(products without a row)' END,
    CASE source WHEN 'products' THEN 'document' ELSE 'document with an empty title' END, count(*)
FROM documents GROUP BY ALL
"""


def read(path: pathlib.Path) -> Source:
    """Map a folder of DIGINETICA files (CSV or gzipped CSV) to the canonical tables.

    Args:
        path: The folder.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each file.

    Raises:
        LogError: A file is missing, not UTF-8, or lacks a column.
    """
    statements = (READ, SESSIONS, CLICKS, REQUESTS, BROWSES, DOCUMENTS, FAULTS, OUTCOMES)
    return map_files("diginetica", path, FILES, statements, RULES, {"relevance": "click"}, {})
