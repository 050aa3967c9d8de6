"""The integers behind the relevance features: what was known of openings and queries.

All counts are over the whole unfiltered log and as of each target (`data_pipeline.asof`).
"""

import numpy as np
import numpy.typing as npt

from data_pipeline.asof import Clock, Ledger
from data_pipeline.engine import Columns
from data_pipeline.lookup import Pairs

Integers = npt.NDArray[np.int64]

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24


class CandidateCounts:
    """What is known of candidate documents at their targets' times.

    Args:
        openings: One row an opened document: user, doc, query (0 for none), session (of
            one user), satisfied (0/1), time (when it was opened), known_after (from when on it counts), visible_after
            (from when on it is part of the user's visible history); `NEVER` where it never is.
    """

    def __init__(self, openings: Columns) -> None:
        user, doc = openings["user"], openings["doc"]
        self._clock = clock = Clock(openings["known_after"], openings["visible_after"])
        known, visible = (clock.rank(openings[n]) for n in ("known_after", "visible_after"))
        self._of_document = Ledger(doc, known, clock.size)
        self._satisfied = self._of_document.running(openings["satisfied"])
        self._pairs = Pairs(user, doc)
        self._of_pair = Ledger(self._pairs.number, known, clock.size)
        # Openings known at the same moment share the last rank: they are equally recent.
        rank = Ledger(user, known, clock.size).count(user, known + 1)
        self._rank = np.append(rank[self._of_pair.order], -1)
        self._visible = Ledger(self._pairs.number, visible, clock.size)
        self._touch = _running_maximum(self._visible, self._pairs.number, openings["time"])
        self._in_session = Pairs(openings["session"], doc)
        self._of_session = Ledger(self._in_session.number, known, clock.size)
        asked = openings["query"] > 0
        user, doc, query, known = user[asked], doc[asked], openings["query"][asked], known[asked]
        self._under_query = Pairs(query, doc)
        self._of_query = Ledger(self._under_query.number, known, clock.size)
        self._of_users_query = Pairs(user, query)
        self._under_users_query = Pairs(self._of_users_query.number, doc)
        self._of_users = Ledger(self._under_users_query.number, known, clock.size)

    def of(self, target: Integers, targets: Columns, doc: Integers) -> Columns:
        """Counts of some candidates.

        Args:
            target: int64 [rows], row of each candidate's target in `targets`.
            targets: user, session, query (0 for a recommendation), time.
            doc: int64 [rows].

        Returns:
            int64 columns [rows]: clicks (openings of the document), satisfied (satisfied ones),
            query_clicks (under the same query), user_clicks (by the user), user_query_clicks,
            session_clicks (by the user in the target's session), last_rank (rank of the user's last
            opening of it among the user's openings, -1 for none), last_touch (time of the user's
            last visible opening of it, -1 for none). 0 under a recommendation's query.
        """
        moment = self._clock.rank(targets["time"])[target]
        first, after = self._of_document.known(doc, moment)
        pair = self._pairs.find(targets["user"][target], doc)
        first_of_pair, after_of_pair = self._of_pair.known(pair, moment)
        seen, last_seen = self._visible.known(pair, moment)
        session = self._in_session.find(targets["session"][target], doc)
        query = self._under_query.find(targets["query"][target], doc)
        users_query = self._of_users_query.find(targets["user"], targets["query"])[target]
        of_user = self._under_users_query.find(users_query, doc)
        return {
            "clicks": after - first,
            "satisfied": self._satisfied[after] - self._satisfied[first],
            "query_clicks": self._of_query.count(query, moment),
            "user_clicks": after_of_pair - first_of_pair,
            "user_query_clicks": self._of_users.count(of_user, moment),
            "session_clicks": self._of_session.count(session, moment),
            "last_rank": np.where(after_of_pair > first_of_pair, self._rank[after_of_pair - 1], -1),
            "last_touch": np.where(last_seen > seen, self._touch[last_seen - 1], -1),
        }


def target_counts(openings: Columns, searches: Columns, targets: Columns) -> Columns:
    """What is known of each target's user and query at its time.

    Args:
        openings: As for `CandidateCounts`.
        searches: One row a search in the order (user, time, query): user, query (1 and above),
            time.
        targets: user, query (0 for a recommendation), time.

    Returns:
        int64 columns [targets]: query_clicks (openings under the query), spread (their sum of
        n * log2(n) over documents, in steps of 2**-24), user_query_clicks, frequency (searches with
        the query), repeated (the user's ones), all 0 for a recommendation; user_clicks (openings by
        the user), last_query (the user's last query, 0 for none).
    """
    clock = Clock(openings["known_after"], searches["time"])
    moment = clock.rank(targets["time"])
    known, searched = clock.rank(openings["known_after"]), clock.rank(searches["time"])
    size = clock.size
    user_clicks = Ledger(openings["user"], known, size).count(targets["user"], moment)
    first, after = Ledger(searches["user"], searched, size).known(targets["user"], moment)
    last_query = np.where(after > first, np.append(searches["query"], 0)[after - 1], 0)

    frequency = Ledger(searches["query"], searched, size).count(targets["query"], moment)
    own = Pairs(searches["user"], searches["query"])
    repeated = Ledger(own.number, searched, size).count(
        own.find(targets["user"], targets["query"]), moment
    )

    asked = openings["query"] > 0
    user, doc, query = (openings[name][asked] for name in ("user", "doc", "query"))
    known = known[asked]
    pairs = Pairs(user, query)
    user_query_clicks = Ledger(pairs.number, known, size).count(
        pairs.find(targets["user"], targets["query"]), moment
    )
    under = Ledger(query, known, size)
    first, after = under.known(targets["query"], moment)
    spread = under.running(_gains(query, doc, known, size))
    return {
        "query_clicks": after - first,
        "spread": spread[after] - spread[first],
        "user_query_clicks": user_query_clicks,
        "frequency": frequency,
        "repeated": repeated,
        "user_clicks": user_clicks,
        "last_query": last_query,
    }


def _gains(query: Integers, doc: Integers, moment: Integers, size: int) -> Integers:
    """By how much each opening of a document under a query raises n * log2(n)."""
    pairs = Pairs(query, doc)
    ledger = Ledger(pairs.number, moment, size)
    first, _ = ledger.known(pairs.number, moment)
    gains = np.empty(len(query), np.int64)
    nth = np.arange(len(query)) - first[ledger.order]
    n = np.arange(1, int(nth.max(initial=-1)) + 2)
    total = np.rint(n * np.log2(n) * ENTROPY_SCALE).astype(np.int64)
    gains[ledger.order] = np.diff(total, prepend=0)[nth]
    return gains


def _running_maximum(ledger: Ledger, owner: Integers, time: Integers) -> Integers:
    """int64 [n + 1]: the latest time so far of each event's owner, in the ledger's order; then -1."""
    clock = Clock(time)
    # An owner's ranks stand above those of all owners before it.
    so_far = np.maximum.accumulate((owner * clock.size + clock.rank(time))[ledger.order])
    return np.append(clock.times[so_far % clock.size], -1) if len(time) else np.array([-1])
