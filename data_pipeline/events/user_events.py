"""Events of every user in order: requests, clicks, browses and behaviors.

Every fact has `known_at`, the time after which it is visible (the rule: `as_of`). Choices about
sessions and about when facts are known: `sessions.CHOICES`.
"""

import dataclasses

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import BehaviorType, Split
from data_pipeline.common.sorted_arrays import run_starts
from data_pipeline.events import sessions
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import SequenceSettings


@dataclasses.dataclass(frozen=True)
class UserEvents:
    """Events of users in order, and when each fact is known: int64 columns.

    Attributes:
        activities: user, time: the times at which a user did something that cuts the sessions of
            the unified log, each once, in this order; an `activity` elsewhere is a row here.
        sessions: user, start, end (last activity), next_start (`NEVER` for the last session),
            has_both (0/1), kept (0/1: passes the session filter); row s - 1 is session s, order
            (user, start).
        requests: user, time, query, given_split, activity, session: every request of the unfiltered
            log; row r - 1 is request r. Unlabeled ones cut sessions, and are no behaviors.
        clicks: request, query, satisfied, candidates (length of its list), activity (of the click;
            of its request for a search and for a click without a time): every click of a list,
            order (request, position).
        browses: user, time, doc, satisfied, activity, session.
        behaviors: behavior (1, 2, ... in the order user, time, type, request, doc), user, time,
            known_at, type (1 browse, 2 search), text, doc (0 for a search), activity, session: those
            of kept sessions.
        satisfied_search_clicks: behavior, rank (0, 1, ... in order of click, clicks without a time
            last), doc, known_at: of the search behaviors, order (behavior, rank).
        searches: user, time, query, given_split, activity, session: the labeled requests with a
            query, in their order.
        document_opens: every document opened, see `list_document_opens`.
    """

    activities: Columns
    sessions: Columns
    requests: Columns
    clicks: Columns
    browses: Columns
    behaviors: Columns
    satisfied_search_clicks: Columns
    searches: Columns
    document_opens: Columns


def connect_events(
    requests: Columns,
    clicks: Columns,
    browses: Columns,
    document_text: Integers,
    settings: SequenceSettings,
) -> UserEvents:
    """Build behaviors, sessions and clicks from columns.

    Args:
        requests: user, time, query, given_split of request 1, 2, ..., in the order of users and times.
        clicks: request, doc, satisfied, click_time, candidates of `LogTables.clicks`, in the order
            (request, position).
        browses: user, time, doc, satisfied, in this order.
        document_text: int64 [documents], text of each document; number 0 is the pad document.
        settings: When a session ends, what a satisfied click is, the session filter.
    """
    requests, browses = dict(requests), dict(browses)
    delay = sessions.click_delay(settings)
    clicks = _add_requests(clicks, requests)
    activities = _number_activities(requests, browses, clicks)
    session = sessions.cut(**activities, settings=settings)
    for table in (requests, browses):
        table["session"] = session[table["activity"]]
    clicks["session"] = requests["session"][clicks["request"] - 1]
    spans = sessions.find_spans(activities, session)
    clicks |= _find_known(clicks, spans["next_start"], delay)

    behaviors = _merge_behaviors(requests, clicks, browses, document_text)
    behaviors["session"] = session[behaviors["activity"]]
    marks = sessions.mark_sessions(spans["user"], behaviors, settings)
    behaviors = _keep_sessions(behaviors, marks["kept"])
    satisfied = _order_satisfied_clicks(behaviors, clicks)
    del behaviors["request"]
    searched = find_searches(requests)
    return UserEvents(
        activities,
        spans | marks,
        requests,
        {n: clicks[n] for n in ("request", "query", "satisfied", "candidates", "activity")},
        browses,
        behaviors,
        satisfied,
        {name: column[searched] for name, column in requests.items()},
        list_document_opens(clicks, browses, delay),
    )


def find_searches(requests: Columns) -> Integers:
    """Return the rows of labeled requests with a query, which are behaviors: int64 [searches]."""
    labeled = requests["given_split"] != Split.UNLABELED.number
    return np.flatnonzero((requests["query"] > 0) & labeled)


def _add_requests(clicks: Columns, requests: Columns) -> Columns:
    """Return clicks with user, time and query of their requests.

    `timed` is 1 if the click has a time; otherwise `click_time` becomes the request's time.
    """
    row = clicks["request"] - 1
    taken = {name: requests[name][row] for name in ("user", "time", "query")}
    timed = clicks["click_time"] < NEVER
    # A log's row rules refuse clicks before their request; one that slipped through must not be
    # known before its list was shown.
    time = np.where(timed, np.maximum(clicks["click_time"], taken["time"]), taken["time"])
    return {**clicks, **taken, "timed": timed.astype(np.int64), "click_time": time}


def _number_activities(requests: Columns, browses: Columns, clicks: Columns) -> Columns:
    """Return the activities, and add the column `activity` to requests, browses and clicks."""
    timed = np.flatnonzero((clicks["query"] == 0) & (clicks["timed"] == 1))
    activities, rows = sessions.number_activities(
        (requests["user"], requests["time"]),
        (browses["user"], browses["time"]),
        (clicks["user"][timed], clicks["click_time"][timed]),
    )
    requests["activity"], browses["activity"], place = rows
    clicks["activity"] = requests["activity"][clicks["request"] - 1]
    clicks["activity"][timed] = place
    return activities


def _find_known(clicks: Columns, next_start: Integers, delay: int) -> Columns:
    """Return visible_at (the click itself) and known_at (whether it satisfied) of each click."""
    following = next_start[clicks["session"] - 1]
    later = np.where(following == NEVER, NEVER, following - 1)
    timed, time = clicks["timed"] == 1, clicks["click_time"]
    return {
        "known_at": np.where(timed, time + delay, later),
        "visible_at": np.where(timed, time, later),
    }


def _merge_behaviors(
    requests: Columns, clicks: Columns, browses: Columns, document_text: Integers
) -> Columns:
    """Return searches, logged browses and recommendation clicks in their order."""
    searched = find_searches(requests)
    searches = {name: requests[name][searched] for name in ("user", "time", "activity")}
    searches |= {"known_at": searches["time"], "text": requests["query"][searched]}
    searches |= {"doc": np.zeros_like(searched), "request": searched + 1}

    recommended = np.flatnonzero(clicks["query"] == 0)
    clicked = {n: clicks[n][recommended] for n in ("user", "activity", "doc", "request")}
    clicked |= {"time": clicks["click_time"][recommended]}
    clicked |= {"known_at": clicks["visible_at"][recommended]}
    read = {name: browses[name] for name in ("user", "time", "activity", "doc")}
    read |= {"known_at": browses["time"], "request": np.zeros_like(browses["doc"])}
    opened = {name: np.append(column, clicked[name]) for name, column in read.items()}
    order = np.lexsort((opened["doc"], opened["request"], opened["activity"]))
    opened = {name: column[order] for name, column in opened.items()}
    opened["text"] = document_text[opened["doc"]]

    types = np.repeat([BehaviorType.BROWSE, BehaviorType.SEARCH], [len(order), len(searched)])
    both = {name: np.append(column, searches[name]) for name, column in opened.items()}
    # A stable sort merges two ascending runs.
    order = np.argsort(both["activity"], kind="stable")
    return {name: column[order] for name, column in (both | {"type": types}).items()}


def _keep_sessions(behaviors: Columns, kept: Integers) -> Columns:
    """Return the behaviors of kept sessions, numbered from 1 on."""
    inside = np.flatnonzero(kept[behaviors["session"] - 1])
    behaviors = {name: column[inside] for name, column in behaviors.items()}
    return behaviors | {"behavior": np.arange(1, len(inside) + 1)}


def _order_satisfied_clicks(behaviors: Columns, clicks: Columns) -> Columns:
    """Return the satisfied clicks of the searches, numbered in the order they were made."""
    searches = np.flatnonzero(behaviors["type"] == BehaviorType.SEARCH)
    rows = np.flatnonzero((clicks["satisfied"] == 1) & (clicks["query"] > 0))
    request = clicks["request"][rows]
    # Searches are in the order of their requests.
    place = np.searchsorted(behaviors["request"][searches], request)
    kept = np.append(behaviors["request"][searches], 0)[place] == request
    rows, place = rows[kept], place[kept]
    order = np.lexsort((clicks["click_time"][rows], -clicks["timed"][rows], place))
    rows, place = rows[order], place[order]
    edges = run_starts(place)
    return {
        "behavior": searches[place] + 1,
        "rank": np.arange(len(place)) - np.repeat(edges[:-1], np.diff(edges)),
        "doc": clicks["doc"][rows],
        "known_at": clicks["known_at"][rows],
    }


def list_document_opens(clicks: Columns, browses: Columns, delay: int) -> Columns:
    """Return every document a user opened in the unfiltered log, for popularity and F to count.

    Args:
        clicks: request, user, time, query, doc, satisfied, click_time, known_at, visible_at,
            session (of the request) of every click.
        browses: As in `UserEvents`.
        delay: Microseconds from an open to the time its satisfaction is known.

    Returns:
        int64 columns, one row a click or browse: user, doc, query (text of the search of the click,
        0 for a recommendation or browse), session (unified; of the request, or of the browse), time
        (of the click, or of its request if unknown), request_time (time of its request, or of the
        browse; decides its log), known_at (when it counts, as satisfied or not), visible_at (when
        the open itself is visible: at once for browses and recommendation clicks, which are
        behaviors of their own; at `known_at` for clicks of a search), satisfied (0/1). In the order
        of users; a user's clicks in the order (request, position), then browses in the order (time,
        doc).
    """
    of_search = clicks["query"] > 0
    clicked = {name: clicks[name] for name in ("user", "doc", "query", "session", "satisfied")}
    clicked |= {"time": clicks["click_time"], "request_time": clicks["time"]}
    clicked |= {
        "known_at": clicks["known_at"],
        "visible_at": np.where(of_search, clicks["known_at"], clicks["visible_at"]),
    }
    read = {name: browses[name] for name in ("user", "doc", "session", "satisfied", "time")}
    read |= {"query": np.zeros_like(read["doc"]), "request_time": read["time"]}
    read |= {"known_at": read["time"] + delay, "visible_at": read["time"]}
    order = np.argsort(np.append(clicked["user"], read["user"]), kind="stable")
    return {name: np.append(column, read[name])[order] for name, column in clicked.items()}


def sort_searches(searches: Columns) -> Columns:
    """Return user, time and query of searches in the order (user, time, query).

    Among a user's searches at one time the last one by its query's number counts as the latest, so
    that request ids decide nothing.

    Args:
        searches: As in `UserEvents`.
    """
    span = int(searches["query"].max(initial=0)) + 1
    query = np.sort(searches["activity"] * span + searches["query"]) % span
    return {"user": searches["user"], "time": searches["time"], "query": query}
