"""JDsearch: the last search of many users of a shop, and the earlier actions of each user.

Recommended settings of `prepare`: `--sequence.relevance=click`, since there are no dwell times;
`--text.tokenizer=ids`, since terms are hashed (`words` gives the same tokens more slowly,
`wordpiece` would split numbers into parts without a meaning); `--split.history_share` as given by
"history_share" in log.json.

Files: user_behavior_data.txt and product_meta_data.txt (also the published samples, and the older
names release_data.txt and product_data.txt). One row is one user; users have no ids, so the number
of the row is used.

* Requests: the last search of the row. A candidate with a label above 0 (clicked, put into the
  cart, bought) is clicked, without a time. The file lists clicked candidates first, so candidates
  are shuffled with a fixed seed: their order means nothing, nor do F and metrics of that order.
* Earlier actions under a query belong to a search whose list is not known. Consecutive actions
  under one query with gaps of at most 30 minutes are one search at the time of the first action.
  Its list holds only the products acted on, all clicked. It is history and never a target, because
  it has no negatives. If a product is acted on again in a search, the first time counts.
* Earlier actions without a query (-1) are browses, which are targets with pseudo-negatives. Actions
  on one product at one time are one browse. Clicks, carts, orders and follows count the same.
* Times: the file has only gaps, read as seconds, up to the last search. All last searches are
  placed on one day (17 October 2022, said to be the true day; nothing depends on it), at a second
  drawn by row number; earlier actions follow from the gaps. Within a user the order is true;
  between users it is true only to a day.
* Splits are by user: with "history_share", that day is the only one with targets. Each user has one
  search on it, and the drawn times cut them into train, validation and test. With a smaller share,
  nearly all searches with a list would be in the test split.
* Documents: the title is the product name, the category is the first of four levels. Products
  without metadata (some of every list) have an empty title. Brands and shops are not read.
"""

import pathlib

from data_pipeline.importers.formats.sql_mapping import RawFile, map_files, words_sql
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import Source

FILES = (
    RawFile(
        "products",
        ("product_meta_data.txt", "product_meta_data_sample.txt", "product_data.txt"),
        ("wid", "name", "cate_id_1"),
        "\t",
        quoted=False,
    ),
    RawFile(
        "users",
        ("user_behavior_data.txt", "user_behavior_data_sample.txt", "release_data.txt"),
        (
            "query",
            "candidate_wid_list",
            "candidate_label_list",
            "history_qry_list",
            "history_wid_list",
            "history_type_list",
            "history_time_list",
        ),
        "\t",
        quoted=False,
    ),
)

RULES = (
    Rule("item-id", "`wid` must be a whole number. Fix: correct it, or remove the row."),
    Rule("query", "A row must have a query of hashed terms. Fix: remove the row."),
    Rule(
        "candidates",
        "Candidates must be whole numbers with a label from 0 to 3 each. Fix: correct or remove the "
        "row.",
    ),
    Rule(
        "history",
        "Earlier products (whole numbers), queries (terms or -1) and types (ORD, CLICK, CART, FLW) "
        "must be equally many. Fix: correct or remove the row.",
    ),
    Rule(
        "gaps",
        "Gaps must be whole seconds, one more than earlier products, 20 years at most in total. Fix: "
        "correct or remove the row.",
    ),
)

DAY = "TIMESTAMP '2022-10-17'"
_SESSION_SECONDS = 30 * 60
_LONGEST_SECONDS = 20 * 366 * 24 * 3600
_NUMBER = "[0-9]{1,18}"
_TERMS = "[0-9]+(\\x18[0-9]+)*"


def _match_list(pattern: str) -> str:
    return f"'({pattern})(_({pattern}))*'"


def _split(column: str) -> str:
    return f"CASE WHEN {column} = '' THEN [] ELSE string_split({column}, '_') END"


READ = f"""
CREATE TABLE people AS
SELECT *, CASE
        WHEN NOT regexp_full_match(query, '{_TERMS}') THEN 'query'
        WHEN NOT regexp_full_match(candidate_wid_list, {_match_list(_NUMBER)})
            OR NOT regexp_full_match(candidate_label_list, {_match_list("[0-3]([.]0)?")})
            OR len(shown) <> len(labels) THEN 'candidates'
        WHEN len(products) <> len(queries) OR len(products) <> len(types)
            OR len(products) > 0 AND NOT (
                regexp_full_match(history_wid_list, {_match_list(_NUMBER)})
                AND regexp_full_match(history_qry_list, {_match_list(f"-1|{_TERMS}")})
                AND regexp_full_match(history_type_list, {_match_list("ORD|CLICK|CART|FLW")})
            ) THEN 'history'
        WHEN NOT regexp_full_match(history_time_list, {_match_list("[0-9]{1,9}")})
            OR len(gaps) <> len(products) + 1 OR list_sum(gaps) > {_LONGEST_SECONDS} THEN 'gaps'
    END AS fault
FROM (
    SELECT *,
        (epoch({DAY}) + md5_number_lower('time ' || number) % 86400)::BIGINT AS moment,
        {_split("candidate_wid_list")} AS shown, {_split("candidate_label_list")} AS labels,
        {_split("history_wid_list")} AS products, {_split("history_qry_list")} AS queries,
        {_split("history_type_list")} AS types,
        list_transform({_split("history_time_list")}, lambda gap: try_cast(gap AS BIGINT)) AS gaps
    FROM users
)
"""

ACTIONS = f"""
CREATE TABLE actions AS
SELECT *, sum(begins) OVER (PARTITION BY number ORDER BY nth) AS run
FROM (
    SELECT *, CASE WHEN query = lag(query) OVER history
        AND moment - lag(moment) OVER history <= {_SESSION_SECONDS} THEN 0 ELSE 1 END AS begins
    FROM (
        SELECT number, nth, product, query, type,
            (final - total + sum(gap) OVER (PARTITION BY number ORDER BY nth))::BIGINT AS moment
        FROM (
            SELECT number, moment AS final, list_sum(gaps) AS total,
                unnest(range(1, len(products) + 1)) AS nth, unnest(products) AS product,
                unnest(queries) AS query, unnest(types) AS type,
                unnest(gaps[1:len(products)]) AS gap
            FROM people WHERE fault IS NULL
        )
    )
    WINDOW history AS (PARTITION BY number ORDER BY nth)
)
"""

# An action opens a product if it is the first on that product in its search, or at its time.
OPENED = """
CREATE TABLE opened AS
SELECT *, row_number() OVER (
        PARTITION BY number, product, query = '-1', CASE WHEN query = '-1' THEN moment ELSE run END
        ORDER BY nth
    ) = 1 AS opens
FROM actions
"""

REQUESTS = f"""
CREATE TABLE requests AS
SELECT 'users' AS source, number, 'j' || number AS request_id, number::VARCHAR AS user_id,
    make_timestamp(moment * 1000000) AS time, {words_sql("query")} AS query,
    list_transform(
        list_sort(list_transform(list_zip(shown, labels), lambda pair: {{
            'key': md5('place ' || number || ' ' || pair[1]), 'product': pair[1], 'label': pair[2]
        }})),
        lambda place: {{
            'doc_id': place.product,
            'clicked': place.label[1] <> '0',
            'click_time': NULL::TIMESTAMP
        }}
    ) AS results
FROM people WHERE fault IS NULL
UNION ALL
SELECT 'users', number, 'j' || number || '-' || min(nth), number::VARCHAR,
    make_timestamp(min(moment) * 1000000), {words_sql("any_value(query)")},
    list({{
        'doc_id': product,
        'clicked': true,
        'click_time': make_timestamp(moment * 1000000)
    }} ORDER BY nth)
FROM opened WHERE query <> '-1' AND opens GROUP BY number, run
"""

BROWSES = """
CREATE TABLE browses AS
SELECT 'users' AS source, number, number::VARCHAR AS user_id,
    make_timestamp(moment * 1000000) AS time, product AS doc_id
FROM opened WHERE query = '-1' AND opens
"""

DOCUMENTS = f"""
CREATE TABLE documents AS
SELECT 'products' AS source, number, wid AS doc_id, {words_sql("name")} AS title,
    nullif(cate_id_1, '') AS category
FROM products WHERE regexp_full_match(wid, '{_NUMBER}');

INSERT INTO documents
SELECT 'users', min(number), doc_id, '', NULL
FROM (
    SELECT number, unnest(shown) AS doc_id FROM people WHERE fault IS NULL
    UNION ALL
    SELECT number, product FROM actions
)
WHERE doc_id NOT IN (SELECT doc_id FROM documents)
GROUP BY doc_id
"""

FAULTS = f"""
CREATE TABLE faults AS
SELECT 'users' AS source, number, fault, CASE fault
        WHEN 'query' THEN query
        WHEN 'candidates' THEN candidate_label_list
        WHEN 'history' THEN history_type_list
        WHEN 'gaps' THEN history_time_list
    END AS value
FROM people WHERE fault IS NOT NULL
UNION ALL
SELECT 'products', number, 'item-id', wid FROM products
WHERE NOT regexp_full_match(wid, '{_NUMBER}')
"""

OUTCOMES = """
CREATE TABLE outcomes AS
SELECT 'users' AS source, CASE WHEN list_bool_and(list_transform(labels, lambda label: label[1] = '0'))
        THEN 'user without a click in the last search' ELSE 'user' END AS outcome, count(*) AS rows
FROM people WHERE fault IS NULL GROUP BY ALL
UNION ALL
SELECT 'action ' || type, CASE
        WHEN query = '-1' AND opens THEN 'browse'
        WHEN query = '-1' THEN 'at one time with another browse of it'
        WHEN opens THEN 'click of an earlier search'
        ELSE 'again in its search' END, count(*)
FROM opened GROUP BY ALL
UNION ALL
SELECT CASE source WHEN 'products' THEN 'products' ELSE '(products without a row)' END,
    CASE source WHEN 'products' THEN 'document' ELSE 'document with an empty title' END, count(*)
FROM documents GROUP BY ALL
"""

# Share of the log's time before the day of the last searches.
HISTORY_SHARE = f"""
SELECT greatest(0.0, ceil(1e6 * (epoch({DAY}) - first) / (last - first)) / 1e6)
FROM (
    SELECT least(min(people.moment), (SELECT min(moment) FROM actions)) AS first,
        max(people.moment) AS last
    FROM people WHERE fault IS NULL
)
"""


def read(path: pathlib.Path) -> Source:
    """Map a folder of JDsearch files (tab-separated, plain or gzipped) to the canonical tables.

    Args:
        path: The folder.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each file and of
        the actions in them; "history_share" is the value for --split.history_share.

    Raises:
        LogError: A file is missing, not UTF-8, or lacks a column.
    """
    statements = (READ, ACTIONS, OPENED, REQUESTS, BROWSES, DOCUMENTS, FAULTS, OUTCOMES)
    return map_files(
        "jdsearch",
        path,
        FILES,
        statements,
        RULES,
        {"relevance": "click"},
        {"history_share": HISTORY_SHARE},
    )
