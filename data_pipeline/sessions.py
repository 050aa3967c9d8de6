"""Behaviors, activities, sessions, and when each fact becomes known.

Every fact carries `known_after`: a target at time t may see it if and only if t > known_after, so
equal timestamps do not see each other. What DESIGN leaves open is settled here (`CHOICES`):

* Activities cut sessions: requests of both kinds, browses, and recommendation clicks with a time.
  A gap of more than `session_minutes` between two of a user begins a new session. The views
  `search` (USER-S) and `recommendation` (USER-R) are cut again on their own task's activities.
* Views see facts at the same time: `known_after` comes from the sessions of the unified log, of
  which the sessions of a view are parts.
* A click or browse without time information is never a reason to see it early: a click without
  click_time is known from the start of the user's next session on, and never where there is none.
"""

import dataclasses

import ibis

from data_pipeline.engine import Engine
from data_pipeline.settings import SequenceSettings
from data_pipeline.tables import NEVER, SECOND, LogTables, click_delay

UNIFIED, SEARCH, RECOMMENDATION = "unified", "search", "recommendation"
SCENARIOS = (UNIFIED, SEARCH, RECOMMENDATION)
BROWSE_TYPE, SEARCH_TYPE = 1, 2

CHOICES = (
    "Sessions are cut on the user's activities: requests of both kinds, browses and "
    "recommendation clicks with a time; the search and recommendation views are cut again on "
    "their own task's activities.",
    "The time from which a fact is known is taken from the sessions of the unified, unfiltered "
    "log and is the same in every view.",
    "A click without click_time is known from the start of the user's next session on, and never "
    "where there is no next session.",
    "A click whose click_time lies before its request counts as made at the request's time.",
    "Every click of a recommendation is a browse behavior, short ones included; a search holds "
    "its satisfied clicks only.",
    "The session filter counts sessions that hold at least one behavior; popularity and relevance "
    "features keep using the unfiltered log.",
)


@dataclasses.dataclass(frozen=True)
class Sequence:
    """What users did, in order, and when each fact is known (Ibis tables of integers, no nulls).

    * visits: user, time, session: every activity of the unified log
    * sessions: session (1, 2, ... in the order user, start), user, start, end (last activity),
      next_start (`NEVER` if there is none), has_both (0/1), kept (0/1: passes the session filter)
    * requests: request, user, time, query, session: every request of the unfiltered log
    * clicks: request, user, time (of the request), query, position, doc, satisfied, timed (0/1),
      click_time (the request's time where unknown), known_after (satisfaction known),
      visible_after (the click itself known), session (of the request): every click of a list
    * behaviors: behavior (1, 2, ... in the order user, time, type, request, doc), user, time,
      known_after, type (1 browse, 2 search), text, doc (0 for a search), request (0 for a logged
      browse), session: those of kept sessions
    * answers: behavior, rank (0, 1, ... in order of click, clicks without a time last), doc,
      known_after: the satisfied clicks of search behaviors
    """

    visits: ibis.Table
    sessions: ibis.Table
    requests: ibis.Table
    clicks: ibis.Table
    behaviors: ibis.Table
    answers: ibis.Table


def activities(log: LogTables, view: str) -> ibis.Table:
    """(user, time) of what cuts the sessions of a view, not distinct."""
    requests, parts = log.requests, []
    if view != RECOMMENDATION:
        parts.append(requests.filter(requests.query > 0).select("user", "time"))
    if view != SEARCH:
        parts.append(requests.filter(requests.query == 0).select("user", "time"))
        parts.append(log.browses.select("user", "time"))
        timed = log.clicks.filter((log.clicks.query == 0) & log.clicks.click_time.notnull())
        parts.append(timed.select("user", time="click_time"))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def cut(
    engine: Engine, moments: ibis.Table, settings: SequenceSettings
) -> tuple[ibis.Table, ibis.Table]:
    """Cuts (user, time) rows into sessions; returns `visits` and `sessions` of a `Sequence`.

    Equal rows are one visit.

    A gap of exactly `session_minutes` does not end a session, a longer one does.
    """
    gap = round(settings.session_minutes * 60 * SECOND)
    by_user = ibis.window(group_by="user", order_by="time")
    moments = moments.mutate(before=moments.time.lag().over(by_user))
    later = moments.before.isnull() | (moments.time > moments.before)
    begins = moments.before.isnull() | (moments.time - moments.before > gap)
    marked = moments.filter(later).mutate(begins=begins.cast("int64"))
    so_far = ibis.cumulative_window(group_by="user", order_by="time")
    local = engine.materialise(
        marked.select("user", "time", local=marked.begins.sum().over(so_far).cast("int64"))
    )
    # Users have few numbers each: the running total over users is the only global window.
    totals = local.group_by("user").aggregate(total=local.local.max())
    upto = ibis.cumulative_window(order_by="user")
    totals = totals.select(
        "user", offset=(totals.total.sum().over(upto) - totals.total).cast("int64")
    )
    numbered = local.join(totals, "user")
    visits = engine.materialise(
        numbered.select("user", "time", session=numbered.local + numbered.offset)
    )
    spans = visits.group_by(["session", "user"]).aggregate(
        start=visits.time.min(), end=visits.time.max()
    )
    following = spans.start.lead().over(group_by="user", order_by="session")
    sessions = spans.mutate(next_start=ibis.coalesce(following, NEVER))
    return visits, engine.materialise(sessions)


def build_sequence(engine: Engine, log: LogTables, settings: SequenceSettings) -> Sequence:
    """Behaviors, sessions and clicks of the unified log."""
    visits, sessions = cut(engine, activities(log, UNIFIED), settings)
    requests = log.requests.select("request", "user", "time", "query")
    requests = engine.materialise(requests.join(visits, ["user", "time"]))
    clicks = engine.materialise(_clicks(log, requests, sessions, click_delay(settings)))
    behaviors = engine.materialise(_behaviors(log, visits, requests, clicks))
    sessions = engine.materialise(_marked(sessions, behaviors, settings))
    if settings.filter_sessions:
        kept = sessions.filter(sessions.kept == 1).select("session")
        behaviors = behaviors.semi_join(kept, "session")
    order = ["user", "time", "type", "request", "doc"]
    number = (ibis.row_number().over(order_by=order) + 1).cast("int64")
    behaviors = engine.materialise(behaviors.mutate(behavior=number))
    answers = engine.materialise(_answers(behaviors, clicks))
    return Sequence(visits, sessions, requests, clicks, behaviors, answers)


def _clicks(log: LogTables, requests: ibis.Table, sessions: ibis.Table, delay: int) -> ibis.Table:
    """Every click with the time from which it, and its being satisfied, are known."""
    placed = log.clicks.join(requests.select("request", "session"), "request")
    placed = placed.join(sessions.select("session", "next_start"), "session")
    later = ibis.ifelse(placed.next_start == NEVER, NEVER, placed.next_start - 1)
    return placed.select(
        "request",
        "user",
        "time",
        "query",
        "position",
        "doc",
        "satisfied",
        "session",
        timed=placed.click_time.notnull().cast("int64"),
        click_time=ibis.coalesce(placed.click_time, placed.time),
        known_after=ibis.coalesce(placed.click_time + delay, later),
        visible_after=ibis.coalesce(placed.click_time, later),
    )


def _behaviors(
    log: LogTables, visits: ibis.Table, requests: ibis.Table, clicks: ibis.Table
) -> ibis.Table:
    """Searches, logged browses and recommendation clicks, each in the session of its time."""
    titles = log.documents.select("doc", "text")
    zero = ibis.literal(0, "int64")
    searches = requests.filter(requests.query > 0).select(
        "user",
        "time",
        known_after="time",
        type=ibis.literal(SEARCH_TYPE, "int64"),
        text="query",
        doc=zero,
        request="request",
        session="session",
    )
    logged = log.browses.join(titles, "doc")
    logged = logged.select(
        "user",
        "time",
        known_after="time",
        type=ibis.literal(BROWSE_TYPE, "int64"),
        text="text",
        doc="doc",
        request=zero,
    )
    recommended = clicks.filter(clicks.query == 0).join(titles, "doc")
    recommended = recommended.select(
        "user",
        time="click_time",
        known_after="visible_after",
        type=ibis.literal(BROWSE_TYPE, "int64"),
        text="text",
        doc="doc",
        request="request",
    )
    browses = logged.union(recommended).join(visits, ["user", "time"])
    return searches.union(browses.select(*searches.columns))


def _marked(sessions: ibis.Table, behaviors: ibis.Table, settings: SequenceSettings) -> ibis.Table:
    """Adds `has_both` and `kept`: near enough to a session with both kinds of behavior."""
    kinds = behaviors.group_by("session").aggregate(
        least=behaviors.type.min(), most=behaviors.type.max()
    )
    held = sessions.join(kinds, "session")
    held = held.select("session", "user", has_both=(held.least < held.most).cast("int64"))
    near = ibis.window(
        group_by="user",
        order_by="session",
        preceding=settings.filter_neighbors,
        following=settings.filter_neighbors,
    )
    kept = held.has_both.max().over(near) if settings.filter_sessions else ibis.literal(1)
    held = held.select("session", "has_both", kept=kept.cast("int64"))
    joined = sessions.left_join(held, "session")
    return joined.select(
        "session",
        "user",
        "start",
        "end",
        "next_start",
        has_both=ibis.coalesce(joined.has_both, 0),
        kept=ibis.coalesce(joined.kept, 0 if settings.filter_sessions else 1),
    )


def _answers(behaviors: ibis.Table, clicks: ibis.Table) -> ibis.Table:
    """Satisfied clicks of the searches, numbered in the order they were made."""
    searches = behaviors.filter(behaviors.type == SEARCH_TYPE).select("behavior", "request")
    found = clicks.filter(clicks.satisfied == 1).join(searches, "request")
    order = [found.timed.desc(), found.click_time, found.position]
    rank = ibis.row_number().over(group_by=found.behavior, order_by=order)
    return found.select("behavior", "doc", "known_after", rank=rank.cast("int64"))


def view_visits(
    engine: Engine, log: LogTables, sequence: Sequence, view: str, settings: SequenceSettings
) -> ibis.Table:
    """`visits` (user, time, session) of a view, its sessions cut again and numbered from 1 on."""
    if view == UNIFIED:
        return sequence.visits
    return cut(engine, activities(log, view), settings)[0]


def view_behaviors(sequence: Sequence, visits: ibis.Table, view: str) -> ibis.Table:
    """The behaviors of a view: those of its task, `session` being the view's own."""
    behaviors = sequence.behaviors
    if view == UNIFIED:
        return behaviors
    kind = SEARCH_TYPE if view == SEARCH else BROWSE_TYPE
    mine = behaviors.filter(behaviors.type == kind).drop("session")
    return mine.join(visits, ["user", "time"])


def openings(sequence: Sequence, log: LogTables, settings: SequenceSettings) -> ibis.Table:
    """Every document a user opened, in the unfiltered log: what popularity and F count.

    Returns:
        Table of integers without nulls, one row a click or browse: user, doc, query (text of the
        search it came from, 0 for a recommendation or browse), request (0 for a browse), position
        (in its list, 0 for a browse), session (unified; of the request, or of the browse), time
        (of the click, or of its request where unknown), asked (time of its request, or of the
        browse: tells its log), known_after (the opening counts, as
        satisfied or not, for targets strictly later), visible_after (the touch itself is known:
        at once for browses and recommendation clicks, which are behaviors of their own, with
        `known_after` for clicks of a search), satisfied (0/1). Total order: user, time, request,
        position, doc.
    """
    clicks = sequence.clicks
    clicked = clicks.select(
        "user",
        "doc",
        "query",
        "request",
        "position",
        "session",
        time="click_time",
        asked="time",
        known_after="known_after",
        visible_after=ibis.ifelse(clicks.query == 0, clicks.visible_after, clicks.known_after),
        satisfied="satisfied",
    )
    zero = ibis.literal(0, "int64")
    read = log.browses.join(sequence.visits, ["user", "time"])
    browsed = read.select(
        "user",
        "doc",
        query=zero,
        request=zero,
        position=zero,
        session="session",
        time="time",
        asked="time",
        known_after=read.time + click_delay(settings),
        visible_after="time",
        satisfied="satisfied",
    )
    return clicked.union(browsed)


OPENING_ORDER = ("user", "time", "request", "position", "doc")


def searches(sequence: Sequence) -> ibis.Table:
    """Every query issued, in the unfiltered log, known after its own time.

    Returns:
        Table of integers without nulls: request, user, time, query (text), session (unified).
        Total order: request.
    """
    return sequence.requests.filter(sequence.requests.query > 0)
