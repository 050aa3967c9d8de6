"""The integrated sequence of every user: requests, clicks, browses and behaviors, in order.

Every fact carries `known_after`: a target at time t may see it if and only if t > known_after, so
equal timestamps do not see each other. What DESIGN leaves open is settled in
`data_pipeline.events.sessions.CHOICES`.
"""

import dataclasses

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import BehaviorType, Scenario
from data_pipeline.common.sorted_arrays import run_starts
from data_pipeline.engine.base import Engine
from data_pipeline.events import sessions
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.log_tables import LogTables, click_delay
from data_pipeline.settings import SequenceSettings


@dataclasses.dataclass(frozen=True)
class UserEvents:
    """What users did, in order, and when each fact is known: int64 columns.

    * visits: user, time: the moments at which a user did something that cuts the sessions of the
      unified log, each once, in this order; a `visit` elsewhere is a row here
    * sessions: user, start, end (last activity), next_start (`NEVER` if there is none), has_both
      (0/1), kept (0/1: passes the session filter); row s - 1 is session s, order (user, start)
    * requests: user, time, query, visit, session: every request of the unfiltered log; row r - 1 is
      request r
    * clicks: request, query, satisfied, candidates (length of its list), visit (of the click, of
      its request where that is unknown or a search): every click of a list, order (request,
      position)
    * browses: user, time, doc, satisfied, visit, session
    * behaviors: behavior (1, 2, ... in the order user, time, type, request, doc), user, time,
      known_after, type (1 browse, 2 search), text, doc (0 for a search), visit, session: those of
      kept sessions
    * answers: behavior, rank (0, 1, ... in order of click, clicks without a time last), doc,
      known_after: the satisfied clicks of search behaviors, order (behavior, rank)
    * searches: user, time, query, visit, session: the requests with a query, in their order
    * openings: every document opened, see `openings`
    """

    visits: Columns
    sessions: Columns
    requests: Columns
    clicks: Columns
    browses: Columns
    behaviors: Columns
    answers: Columns
    searches: Columns
    openings: Columns


def build_events(
    engine: Engine, log: LogTables, document_text: Integers, settings: SequenceSettings
) -> UserEvents:
    """Behaviors, sessions and clicks of the unified log.

    Args:
        engine: Where the log's tables live.
        log: The log.
        document_text: int64 [documents], text of each document, number 0 the pad document.
        settings: When a session ends, what satisfaction is, the session filter.
    """
    requests = engine.fetch(log.requests.select("user", "time", "query", "request"), ["request"])
    del requests["request"]
    clicks, browses = _with_requests(log.clicks, requests), dict(log.browses)
    of_list = np.flatnonzero((clicks["query"] == 0) & (clicks["timed"] == 1))
    clicked = clicks["user"][of_list], clicks["click_time"][of_list]
    logged = browses["user"], browses["time"]
    moments = requests["user"], requests["time"]
    visits, rows = sessions.number_visits(moments, logged, clicked)
    requests["visit"], browses["visit"], place = rows
    clicks["visit"] = requests["visit"][clicks["request"] - 1]
    clicks["visit"][of_list] = place

    session = sessions.cut(**visits, settings=settings)
    about = sessions.spans(visits, session)
    for table in (requests, browses):
        table["session"] = session[table["visit"]]
    clicks["session"] = requests["session"][clicks["request"] - 1]
    clicks |= _known(clicks, about["next_start"], click_delay(settings))
    behaviors = _behaviors(requests, clicks, browses, document_text)
    behaviors["session"] = session[behaviors["visit"]]
    about |= sessions.marks(about["user"], behaviors, settings)
    inside = np.flatnonzero(about["kept"][behaviors["session"] - 1])
    behaviors = {name: column[inside] for name, column in behaviors.items()}
    behaviors["behavior"] = np.arange(1, len(inside) + 1)
    answers = _answers(behaviors, clicks)
    del behaviors["request"]
    asked = np.flatnonzero(requests["query"] > 0)
    return UserEvents(
        visits,
        about,
        requests,
        {n: clicks[n] for n in ("request", "query", "satisfied", "candidates", "visit")},
        browses,
        behaviors,
        answers,
        {name: column[asked] for name, column in requests.items()},
        openings(clicks, browses, click_delay(settings)),
    )


def _with_requests(clicks: Columns, requests: Columns) -> Columns:
    """Clicks with user, time and query of their requests.

    `timed` (0/1) tells whether `click_time` is known; else it is the request's time.
    """
    row = clicks["request"] - 1
    taken = {name: requests[name][row] for name in ("user", "time", "query")}
    timed = clicks["click_time"] < NEVER
    # A log's validation refuses clicks before their request; one that slipped through must not be
    # known before its list was shown.
    time = np.where(timed, np.maximum(clicks["click_time"], taken["time"]), taken["time"])
    return {**clicks, **taken, "timed": timed.astype(np.int64), "click_time": time}


def _known(clicks: Columns, next_start: Integers, delay: int) -> Columns:
    """From when on each click (visible_after), and its being satisfied (known_after), are known."""
    following = next_start[clicks["session"] - 1]
    later = np.where(following == NEVER, NEVER, following - 1)
    timed, time = clicks["timed"] == 1, clicks["click_time"]
    return {
        "known_after": np.where(timed, time + delay, later),
        "visible_after": np.where(timed, time, later),
    }


def _behaviors(
    requests: Columns, clicks: Columns, browses: Columns, document_text: Integers
) -> Columns:
    """Searches, logged browses and recommendation clicks, in their order."""
    asked = np.flatnonzero(requests["query"] > 0)
    searches = {name: requests[name][asked] for name in ("user", "time", "visit")}
    searches |= {"known_after": searches["time"], "text": requests["query"][asked]}
    searches |= {"doc": np.zeros_like(asked), "request": asked + 1}

    followed = np.flatnonzero(clicks["query"] == 0)
    recommended = {n: clicks[n][followed] for n in ("user", "visit", "doc", "request")}
    recommended |= {"time": clicks["click_time"][followed]}
    recommended |= {"known_after": clicks["visible_after"][followed]}
    logged = {name: browses[name] for name in ("user", "time", "visit", "doc")}
    logged |= {"known_after": browses["time"], "request": np.zeros_like(browses["doc"])}
    opened = {name: np.append(column, recommended[name]) for name, column in logged.items()}
    order = np.lexsort((opened["doc"], opened["request"], opened["visit"]))
    opened = {name: column[order] for name, column in opened.items()}
    opened["text"] = document_text[opened["doc"]]

    types = np.repeat([BehaviorType.BROWSE, BehaviorType.SEARCH], [len(order), len(asked)])
    both = {name: np.append(column, searches[name]) for name, column in opened.items()}
    # Two ascending runs are merged.
    order = np.argsort(both["visit"], kind="stable")
    return {name: column[order] for name, column in (both | {"type": types}).items()}


def _answers(behaviors: Columns, clicks: Columns) -> Columns:
    """Satisfied clicks of the searches, numbered in the order they were made."""
    searches = np.flatnonzero(behaviors["type"] == BehaviorType.SEARCH)
    liked = np.flatnonzero((clicks["satisfied"] == 1) & (clicks["query"] > 0))
    request = clicks["request"][liked]
    # Searches stand in the order of their requests.
    place = np.searchsorted(behaviors["request"][searches], request)
    asked = np.append(behaviors["request"][searches], 0)[place] == request
    liked, place = liked[asked], place[asked]
    order = np.lexsort((clicks["click_time"][liked], -clicks["timed"][liked], place))
    liked, place = liked[order], place[order]
    edges = run_starts(place)
    rank = np.arange(len(place)) - np.repeat(edges[:-1], np.diff(edges))
    return {
        "behavior": searches[place] + 1,
        "rank": rank,
        "doc": clicks["doc"][liked],
        "known_after": clicks["known_after"][liked],
    }


def view_sessions(sequence: UserEvents, view: str, settings: SequenceSettings) -> Integers:
    """Session of a view in which each visit lies: int64 [visits], 0 outside of the view.

    The unified log is the view of everything. The others' sessions are cut again, on the searches
    alone or on all else, and numbered from 1 on.
    """
    visits, requests = sequence.visits, sequence.requests
    inside = np.zeros(len(visits["user"]), bool)
    if view != Scenario.RECOMMENDATION:
        inside[requests["visit"][requests["query"] > 0]] = True
    if view != Scenario.SEARCH:
        clicks = sequence.clicks
        inside[requests["visit"][requests["query"] == 0]] = True
        inside[sequence.browses["visit"]] = True
        inside[clicks["visit"][clicks["query"] == 0]] = True
    place = np.flatnonzero(inside)
    session = np.zeros(len(inside), np.int64)
    session[place] = sessions.cut(visits["user"][place], visits["time"][place], settings)
    return session


def of_view(sequence: UserEvents, view: str) -> tuple[Columns, Columns]:
    """behaviors and answers of a view, numbered anew: all of them, or those of its task."""
    behaviors, answers = sequence.behaviors, sequence.answers
    if view == Scenario.UNIFIED:
        return behaviors, answers
    inside = behaviors["type"] == (
        BehaviorType.SEARCH if view == Scenario.SEARCH else BehaviorType.BROWSE
    )
    number = np.where(inside, np.cumsum(inside), 0)
    behaviors = {name: column[inside] for name, column in behaviors.items()}
    owner = number[answers["behavior"] - 1]
    answers = {name: column[owner > 0] for name, column in answers.items()}
    return (
        behaviors | {"behavior": np.arange(1, len(behaviors["type"]) + 1)},
        answers | {"behavior": owner[owner > 0]},
    )


def latest_last(searches: Columns) -> Columns:
    """user, time and query of searches in the order (user, time, query).

    Args:
        searches: As of a `Sequence`. Of a user's searches at one time, the last one by its query's
            number is the latest, whatever their requests are called.
    """
    span = int(searches["query"].max(initial=0)) + 1
    query = np.sort(searches["visit"] * span + searches["query"]) % span
    return {"user": searches["user"], "time": searches["time"], "query": query}


def openings(clicks: Columns, browses: Columns, delay: int) -> Columns:
    """Every document a user opened, in the unfiltered log: what popularity and F count.

    Args:
        clicks: request, user, time, query, doc, satisfied, click_time, known_after, visible_after,
            session (of the request) of every click.
        browses: As of a `Sequence`.
        delay: Microseconds from an opening to the moment its satisfaction is known.

    Returns:
        int64 columns, one row a click or browse: user, doc, query (text of the search it came from,
        0 for a recommendation or browse), session (unified; of the request, or of the browse), time
        (of the click, or of its request where unknown), asked (time of its request, or of the
        browse: tells its log), known_after (the opening counts, as satisfied or not, for targets
        strictly later), visible_after (the touch itself is known: at once for browses and
        recommendation clicks, which are behaviors of their own, with `known_after` for clicks of a
        search), satisfied (0/1). Clicks in the order (request, position), then browses in the
        order (user, time, doc).
    """
    of_search = clicks["query"] > 0
    clicked = {name: clicks[name] for name in ("user", "doc", "query", "session", "satisfied")}
    clicked |= {"time": clicks["click_time"], "asked": clicks["time"]}
    clicked |= {
        "known_after": clicks["known_after"],
        "visible_after": np.where(of_search, clicks["known_after"], clicks["visible_after"]),
    }
    read = {name: browses[name] for name in ("user", "doc", "session", "satisfied", "time")}
    read |= {"query": np.zeros_like(read["doc"]), "asked": read["time"]}
    read |= {"known_after": read["time"] + delay, "visible_after": read["time"]}
    return {name: np.append(column, read[name]) for name, column in clicked.items()}
