"""The SQL of the trivago importer, from the raw rows, `text`, to canonical rows and their counts."""

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
    SELECT number, user_id, session_id, action_type, city, impressions,
        CASE WHEN reference = '' AND (starts_with(action_type, 'interaction item ')
            OR action_type = 'search for item') THEN 'unknown' ELSE reference END AS reference,
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
                regexp_full_match(reference, '[0-9]*')
                AND regexp_full_match(impressions, '[0-9]+([|][0-9]+)*')
            ) THEN 'item-id'
            WHEN action_type = 'clickout item' AND reference <> ''
                AND NOT list_contains(items, reference) THEN 'item-not-in-list'
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

# Only known action types are shown: any other text may be a user id.
OUTCOMES = f"""
SELECT CASE WHEN action_type IN {ACTION_TYPES} THEN action_type ELSE '(unknown action type)' END
    AS action, outcome, count(*) AS rows
FROM (
    SELECT action_type, CASE
        WHEN fault IS NOT NULL THEN 'quarantined'
        WHEN action_type = 'clickout item' THEN
            CASE reference WHEN '' THEN 'unlabeled request' ELSE 'request' END
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

DOCUMENT_ROWS = "SELECT doc_id, title, number FROM documents ORDER BY doc_id"

REQUEST_ROWS = """
SELECT 't' || number AS request_id, user_id, make_timestamp(moment * 1000000) AS time,
    query, list_transform(items, lambda item: {
        'doc_id': item,
        'clicked': item = reference,
        'click_time': CASE WHEN item = reference THEN make_timestamp(moment * 1000000) END,
        'dwell_seconds': CASE WHEN item = reference THEN to_next::DOUBLE END
    }) AS results, CASE reference WHEN '' THEN 'unlabeled' END AS split, number
FROM requests ORDER BY place
"""

BROWSE_ROWS = """
SELECT user_id, make_timestamp(moment * 1000000) AS time, doc_id,
    dwell::DOUBLE AS dwell_seconds, number
FROM browses ORDER BY place
"""

STEPS = (READ, ORDER, BROWSES, REQUESTS, DOCUMENTS)
