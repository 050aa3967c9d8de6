"""The SQL of the Qilin importer, run for each part of a table, `part`; `qilin` says what it maps."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ListColumns:
    """The columns of a table whose rows have lists.

    Attributes:
        letter: First letter of the ids of their requests.
        index: Column with the number of the row, over all tables of this kind.
        results: Column with the list.
        time: Field of the list with the time a result was shown.
        unit: Unit of that time, in microseconds.
        is_search: Whether `query` holds a query.
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


SEARCHES = ListColumns(
    "s", "search_idx", "search_result_details_with_idx", "search_timestamp", 1_000_000, True
)
RECOMMENDATIONS = ListColumns(
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

MACROS = """
-- Numbers are stored as floats or as text; other values than whole numbers become null.
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


def lists_sql(kind: ListColumns, is_text: bool) -> str:
    """Return SQL of the rows of `part` with their lists, and the rule that each breaks."""
    text = f"as_json({kind.results})" if is_text else f"to_json({kind.results})::VARCHAR"
    fields = ("note_idx", "click", "page_time", "position", kind.time)
    form = ", ".join(f'"{field}": "DOUBLE"' for field in fields)
    query_text = "trim(query)" if kind.is_search else "''"
    return f"""
    CREATE OR REPLACE TABLE lists AS
    SELECT number, whole({kind.index}) AS request, {kind.index}::VARCHAR AS index_text,
        whole(user_idx)::VARCHAR AS user_id, {query_text} AS query_text, {text} AS text,
        CASE WHEN json_valid(text) THEN from_json(text, '[{{{form}}}]') END AS found,
        list_filter(found, lambda item: coalesce(item.position <> 0, true)) AS items,
        list_filter(items, lambda item: NOT coalesce(
            whole(item.note_idx) IS NOT NULL AND item.click IN (0, 1) AND isfinite(item.position)
            AND item.{kind.time} * {kind.unit} BETWEEN 631152000e6 AND 4102444799e6, false
        )) AS misfits,
        CASE
            WHEN request IS NULL THEN 'index'
            WHEN {kind.is_search} AND coalesce(query_text, '') = '' THEN 'query'
            WHEN coalesce(len(items), 0) = 0 THEN 'results'
            WHEN len(misfits) > 0 THEN 'result'
        END AS fault
    FROM part
    """


def places_sql(kind: ListColumns) -> str:
    """Return SQL of the distinct notes of each good list."""
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
SELECT '{}' || request AS request_id, user_id, time, query_text AS query, results, number
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
